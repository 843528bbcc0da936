"""Lines are compared on equal terms: the same tasks, seeds and ways of counting."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from sfbench.contracts import Cause, EpisodeRow, Status
from sfbench.report.comparison import holm
from sfbench.report.curves import Curve, Point, speed_ups
from sfbench.report.entries import Entry, EntryKey, make_entries, make_labels
from sfbench.report.load import load
from sfbench.report.ranking import compare_all, rank_of
from sfbench.report.rate import wilson
from sfbench.report.seed_pairs import paired_over_seeds
from sfbench.report.summaries import independent_episodes
from sfbench.report.tables import make_sections, remarks
from sfbench.report.training import Matching, training_curves
from tests.report.test_report import write_run
from tests.rollout.test_plan_and_journal import make_row


def played(policy: str, solved: int, count: int = 100, **changes: object) -> list[EpisodeRow]:
    return [
        make_row(
            state, policy=policy, status=Status.SUCCESS if state < solved else Status.FAILURE,
            **changes,
        )
        for state in range(count)
    ]  # fmt: skip


def entries_of(folder: Path, *runs: Sequence[EpisodeRow]) -> list[Entry]:
    made = [write_run(folder / str(place), list(rows)) for place, rows in enumerate(runs)]
    return make_entries(load(made))


def trained(seed: int, arm: str = "sf", **changes: object) -> dict[str, object]:
    known = {"arm": arm, "recipe": arm, "train_seed": seed, "train_step": 9, "demos": 5}
    return {**known, "checkpoint": f"{arm}-{seed}", **changes}


def test_only_tasks_that_both_were_to_play_are_compared(tmp_path: Path) -> None:
    """98 % of an easy task is no better than 100 % of it and 20 % of a hard one."""
    entries = entries_of(
        tmp_path,
        played("some", 98, task="easy"),
        played("all", 100, task="easy") + played("all", 20, task="hard"),
        played("other", 50, task="another"),
    )
    (pair,) = compare_all(entries)
    assert (pair.first.key.policy, pair.tasks, pair.shared) == ("all", ["easy"], 100)
    assert pair.gap.value == pytest.approx(0.02)
    assert set(rank_of(entries, [pair]).values()) == {1}
    (section,) = make_sections(entries)
    assert {entry.label: remarks(entry, 3) for entry in section.entries} == {
        "some": "1 of 3 tasks", "all": "2 of 3 tasks", "other": "1 of 3 tasks",
    }  # fmt: skip


def test_a_crash_of_the_policy_counts_in_pairs_as_in_the_mean(tmp_path: Path) -> None:
    broken = [
        make_row(state, policy="crashes", status=Status.ERROR, cause=Cause.POLICY)
        for state in range(40, 100)
    ]
    entries = entries_of(tmp_path, played("solid", 87), [*played("crashes", 40, 40), *broken])
    (pair,) = compare_all(entries)
    assert (pair.first.key.policy, pair.shared, pair.discordant) == ("solid", 100, (47, 0))
    assert pair.gap.value == pytest.approx(0.47)
    assert pair.decided


def test_seeds_that_are_not_through_all_tasks_are_no_pairs(tmp_path: Path) -> None:
    runs = [
        played("net", 30, 50, task=task, **trained(seed, arm))
        for arm in ("sf", "baseline")
        for seed in range(3)
        for task in (("a",) if seed == 2 else ("a", "b"))
    ]
    (pair,) = compare_all(entries_of(tmp_path, *runs))
    assert pair.shared == 0
    assert not pair.decided


def false_alarms(test: Callable[[dict[str, np.ndarray]], float], arms: int) -> float:
    """How often Holm's correction lets through any pair of arms that do not differ."""
    random = np.random.default_rng(0)
    alarms, studies = 0, 150
    for _ in range(studies):
        rates_AS = 0.5 + random.normal(0, 0.1, (arms, 3))
        solved_AES = random.random((arms, 50, 3)) < rates_AS[:, None]
        p = [
            test({"t": solved_AES[one].astype(int) - solved_AES[two]})
            for one in range(arms)
            for two in range(one)
        ]
        alarms += min(holm(p)) < 0.05
    return alarms / studies


def test_few_seeds_raise_few_false_alarms_among_many_arms() -> None:
    """A normal distribution in Student's place gave 17 % here, by its thin tails."""
    assert false_alarms(lambda tasks: paired_over_seeds(tasks).p, arms=6) <= 0.08


def test_a_table_of_tasks_holds_the_spread_of_seeds(tmp_path: Path) -> None:
    (entry,) = entries_of(
        tmp_path,
        *(played("net", solved, 50, **trained(s)) for s, solved in enumerate((20, 30, 40))),
    )
    found = entry.task_rate("reach")
    assert found == entry.task_mean("reach") == entry.mean
    pooled = wilson(90, 150)
    assert found is not None
    assert found.high - found.low > 2 * (pooled.high - pooled.low)


def test_repeats_that_end_alike_are_no_new_episodes(tmp_path: Path) -> None:
    rows = [row for repeat in range(10) for row in played("net", 5, 10, repeat=repeat)]
    (entry,) = entries_of(tmp_path, rows)
    once = wilson(5, 10)
    found = entry.task_rate("reach")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((once.low, once.high))
    assert independent_episodes(entry) == 10


def point(x: int, solved: dict[int, int], design_effect: float = 1.0) -> Point:
    rates = {seed: {"t": wilson(k, 150)} for seed, k in solved.items()}
    return Point(x, rates, design_effect)


def test_a_ratio_is_of_seeds_that_all_points_have() -> None:
    late = [point(120, {0: 30, 1: 75, 2: 90}), point(600, {0: 90, 1: 120, 2: 135})]
    base = Curve("baseline", [point(30, {0: 15, 1: 18, 2: 20}), *late])
    torn = Curve("sf", [point(30, {2: 50}), *late])
    alone = Curve("sf", [point(p.x, {2: p.seeds[2]["t"].successes}) for p in torn.points])
    assert speed_ups(base, torn, [0.5])[0] == speed_ups(base, alone, [0.5])[0]
    assert speed_ups(base, torn, [0.5])[0].train_seeds == (3, 1)


def test_a_ratio_knows_that_repeats_are_no_new_episodes() -> None:
    def curve(arm: str, solved: Sequence[int], design_effect: float) -> Curve:
        places = zip((100, 200, 400), solved, strict=True)
        return Curve(arm, [point(x, {0: k}, design_effect) for x, k in places])

    widths = []
    for effect in (1.0, 10.0):
        arms = curve("baseline", (30, 75, 120), effect), curve("sf", (60, 105, 130), effect)
        found = speed_ups(*arms, [0.5])[0].ratio
        widths.append(min(found.high, 100) - found.low)
    assert widths[1] > 2 * widths[0]


def test_curves_are_of_equal_demonstrations_and_tasks(tmp_path: Path) -> None:
    runs = [
        played("net", solved, task=task, **trained(0, arm, demos=demos, train_step=step,
               checkpoint=f"{arm}{demos}{step}{task}"))
        for arm, demos, task in (
            ("baseline", 400, "a"), ("baseline", 20, "a"), ("sf", 20, "a"), ("sf", 400, "b"),
        )
        for step, solved in ((1, 20), (2, 80))
    ]  # fmt: skip
    sets = training_curves(entries_of(tmp_path, *runs), Matching())
    found = [(found.tasks, [c.arm for c in found.curves], found.ratios) for found in sets]
    assert found == [(("a",), ["baseline"], []), (("b",), ["sf"], [])]


def test_labels_tell_checkpoints_and_recipes_apart() -> None:
    def key(suite: str, weights: str, recipe: str = "") -> EntryKey:
        return EntryKey(suite, "c", "eval", "net", "", weights, "", recipe, -1, -1)

    keys = [
        key("s", "runs/a/8000"), key("s", "runs/b/8000"), key("s", "runs/b/7000"),
        key("t", "", "0123456789"), key("t", "", "abcdefghij"), key("u", "", "0123456789"),
    ]  # fmt: skip
    assert [*make_labels(keys).values()] == [
        "net a/8000", "net b/8000", "net 7000",
        "net (recipe 01234567)", "net (recipe abcdefgh)", "net",
    ]  # fmt: skip
