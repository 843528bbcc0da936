"""Arms of equal training seeds are compared seed by seed and episode by episode."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_rel

from sfbench.contracts import EpisodeRow, Status
from sfbench.errors import UsageError
from sfbench.report.entries import make_entries
from sfbench.report.intervals import Estimate, difference, suite_mean_over_seeds
from sfbench.report.load import load
from sfbench.report.ranking import compare_all
from sfbench.report.rate import wilson
from sfbench.report.seed_pairs import SeedOutcomes, paired_over_seeds, seed_differences
from tests.report.test_report import write_run
from tests.rollout.test_plan_and_journal import make_row

TASKS, STATES, SEEDS, GAIN = "abc", 50, 3, 0.1


def drawn_study(random: np.random.Generator) -> list[dict[str, np.ndarray]]:
    """Per arm and task bool [E, S]; seeds are lucky for both arms alike, states hard for both."""
    luck_S = random.normal(0, 0.08, SEEDS)
    own_AS = random.normal(0, 0.02, (2, SEEDS))
    arms: list[dict[str, np.ndarray]] = [{}, {}]
    for task in TASKS:
        hard_E = random.uniform(-0.3, 0.3, STATES)
        for arm, solved in enumerate(arms):
            rates_ES = 0.45 + GAIN * (1 - arm) + hard_E[:, None] + luck_S + own_AS[arm]
            solved[task] = random.random((STATES, SEEDS)) < rates_ES
    return arms


def differences_of(arms: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {task: arms[0][task].astype(int) - arms[1][task] for task in TASKS}


def unpaired(arms: list[dict[str, np.ndarray]]) -> Estimate:
    means = [
        suite_mean_over_seeds(
            [
                {task: wilson(int(solved[task][:, seed].sum()), STATES) for task in TASKS}
                for seed in range(SEEDS)
            ]
        )
        for solved in arms
    ]
    return difference(*means)


def test_the_interval_holds_the_truth_and_pairing_narrows_it() -> None:
    random = np.random.default_rng(0)
    hits, widths, unpaired_widths, runs = 0, [], [], 200
    for _ in range(runs):
        arms = drawn_study(random)
        found, other = paired_over_seeds(differences_of(arms)).gap, unpaired(arms)
        assert found.value == pytest.approx(other.value)
        hits += found.low <= GAIN <= found.high
        widths.append(found.high - found.low)
        unpaired_widths.append(other.high - other.low)
    assert hits / runs >= 0.93
    assert np.median(widths) < 0.7 * np.median(unpaired_widths)


def test_the_interval_is_students_where_seeds_differ() -> None:
    """Three seeds that gain 0, 10 and 20 points in every episode's neighbourhood."""
    tasks = {}
    for task in "ab":
        tasks[task] = np.zeros((50, 3), int)
        tasks[task][:5, 1] = 1
        tasks[task][:10, 2] = 1
    found = paired_over_seeds(tasks)
    judge = ttest_rel([0.0, 0.1, 0.2], [0.0, 0.0, 0.0])
    interval = judge.confidence_interval()
    gap = found.gap
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.1, interval.low, interval.high))
    assert found.p == pytest.approx(judge.pvalue)
    with pytest.raises(UsageError, match="no shared episodes: b"):
        paired_over_seeds({**tasks, "b": np.zeros((0, 3), int)})


def test_episodes_are_matched_by_number() -> None:
    first = SeedOutcomes(np.array([1, 2, 3]), np.array([[True, True], [True, False], [False] * 2]))
    second = SeedOutcomes(
        np.array([2, 3, 4]), np.array([[False, False], [True, False], [True] * 2])
    )
    assert seed_differences(first, second).tolist() == [[1, 0], [-1, 0]]


def rows_of(arm: str, solved: dict[str, np.ndarray], seeds: tuple[int, ...]) -> list[EpisodeRow]:
    return [
        make_row(
            state, task=task, policy="net", arm=arm, recipe=arm, train_seed=seed, train_step=9,
            demos=5, checkpoint=f"{arm}-{seed}",
            status=Status.SUCCESS if solved[task][state, column] else Status.FAILURE,
        )
        for column, seed in enumerate(seeds)
        for task in TASKS
        for state in range(STATES)
    ]  # fmt: skip


@pytest.mark.parametrize(("seeds", "shared"), [((0, 1, 2), 450), ((0, 1, 5), 0)])
def test_a_report_pairs_equal_seeds_alone(
    tmp_path: Path, seeds: tuple[int, ...], shared: int
) -> None:
    arms = drawn_study(np.random.default_rng(1))
    folders = [
        write_run(tmp_path / "sf", rows_of("sf", arms[0], (0, 1, 2))),
        write_run(tmp_path / "base", rows_of("base", arms[1], seeds)),
    ]
    (pair,) = compare_all(make_entries(load(folders)))
    assert pair.first.key.arm == "sf"
    assert pair.shared == shared
    expected = paired_over_seeds(differences_of(arms)).gap if shared else unpaired(arms)
    assert pair.gap.value == pytest.approx(expected.value)
    if shared:
        assert pair.gap == expected
        flat = np.concatenate([some.ravel() for some in differences_of(arms).values()])
        assert pair.discordant == ((flat == 1).sum(), (flat == -1).sum())
    # At the edge of the interval the p-value is 5 %.
    assert (pair.p < 0.05) == (pair.gap.low > 0)
