"""Tables beside the leaderboard, and what clusters, repeats and cards do to it."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from sfbench.contracts import Cause, EpisodeRow, Status
from sfbench.errors import UsageError
from sfbench.report.content import Options
from sfbench.report.entries import make_entries
from sfbench.report.intervals import design_effect, suite_mean
from sfbench.report.load import load
from sfbench.report.rate import wilson
from sfbench.report.summaries import resolution
from sfbench.report.tables import make_sections
from tests.conftest import Cli
from tests.report.reporting import report_on
from tests.report.test_report import ROOT, played, table_in_html, table_in_markdown, write_run
from tests.rollout.test_plan_and_journal import make_row


def repeated(policy: str, outcomes: list[list[bool]], **changes: object) -> list[EpisodeRow]:
    """Rows of states that were played several times."""
    return [
        make_row(
            state, policy=policy, repeat=repeat,
            status=Status.SUCCESS if solved else Status.FAILURE, **changes,
        )
        for state, ends in enumerate(outcomes)
        for repeat, solved in enumerate(ends)
    ]  # fmt: skip


def part_of(text: str, title: str) -> str:
    """One part of the Markdown."""
    return text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_suites_stand_side_by_side_in_all_formats(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / f"{policy}-{suite}", played(policy, k, suite=suite, card=suite))
        for policy, k in (("good_one", 45), ("poor", 10))
        for suite in ("s1", "s2")
    ]
    folders.append(write_run(tmp_path / "half", played("half", 25, suite="s1", card="s1")))
    page = tmp_path / "page"
    report_on(folders, page, Options(tmp_path))
    text = part_of((page / "leaderboard.md").read_text(), "Policies by suites")
    lines = table_in_markdown(text)
    assert lines[0] == ["policy", "s1", "s2", "all suites"]
    by_policy = {line[0]: line[1:] for line in lines[1:]}
    assert by_policy["good_one"][0].startswith("90.0 (")
    assert by_policy["good_one"][0].endswith("n 50, rank 1")
    assert by_policy["half"][1:] == ["", ""]
    assert by_policy["poor"][2].startswith("20.0 (")
    # Two suites tell more than one.
    widths = []
    for cell in by_policy["poor"][0], by_policy["poor"][2]:
        low, high = map(float, re.findall(r"\((\S+) to (\S+)\)", cell)[0])
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 2**0.5, rel=0.02)
    found = list(csv.reader((page / "overview.csv").open()))
    assert found == lines
    assert table_in_html((page / "index.html").read_text()) == lines[1:]
    latex = (page / "leaderboard.tex").read_text()
    for line in lines[1:]:
        assert " & ".join(line).replace("_", r"\_") in latex


def test_tables_of_tasks_hold_both_intervals(tmp_path: Path) -> None:
    report_on([write_run(tmp_path / "run", played("p", 7))], tmp_path / "page", Options(tmp_path))
    line = next(csv.DictReader((tmp_path / "page" / "tasks.csv").open()))
    for name, method in (("wilson", "wilson"), ("exact", "beta")):
        judge = proportion_confint(7, 50, method=method)
        assert float(line[f"{name}_low_pct"]) == pytest.approx(100 * judge[0], abs=0.05)
        assert float(line[f"{name}_high_pct"]) == pytest.approx(100 * judge[1], abs=0.05)
    markdown = (tmp_path / "page" / "leaderboard.md").read_text()
    cell = f"14.0 ({line['wilson_low_pct']} to {line['wilson_high_pct']}), 7 of 50"
    assert f"| reach | {cell} |" in markdown
    assert cell in (tmp_path / "page" / "index.html").read_text()
    assert cell in (tmp_path / "page" / "leaderboard.tex").read_text()


def test_errors_stand_beside_in_tables_of_tasks(tmp_path: Path) -> None:
    rows = [*played("p", 7, 10), make_row(99, policy="p", status=Status.INVALID)]
    rows += [make_row(i, policy="p", status=Status.ERROR, cause=Cause.SYSTEM) for i in (50, 51)]
    report_on([write_run(tmp_path / "run", rows)], tmp_path / "page", Options(tmp_path))
    text = (tmp_path / "page" / "leaderboard.md").read_text()
    assert "7 of 10, 2 errors, 1 invalid |" in text
    assert "UNPUBLISHABLE" in text
    assert "more than 2 % was not measured" in text


def test_what_episodes_can_tell_is_printed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", played("p", 45))
    (entry,) = make_entries(load([run]))
    found = resolution(entry, 0.1)
    assert found is not None
    report_on([run], tmp_path / "page", Options(tmp_path, wished=0.1))
    line = next(csv.DictReader((tmp_path / "page" / "resolution.csv").open()))
    assert line["n for 10 points"] == str(found.needed)
    assert float(line["detects, points"]) == pytest.approx(100 * found.detectable, abs=0.05)
    # 90 % against 80 %, by the formula of two proportions: about 199 episodes each.
    assert found.needed == pytest.approx(199, abs=1)


def test_flips_are_shown_and_repeats_are_no_new_states(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    first = (random.random(50) < 0.6).tolist()
    same = [[end] * 4 for end in first]
    mixed = [
        [end, end, end, not end] if state % 2 else [end] * 4 for state, end in enumerate(first)
    ]
    once = [[end] for end in first]
    folders = [
        write_run(tmp_path / name, repeated(name, outcomes))
        for name, outcomes in (("same", same), ("mixed", mixed), ("once", once))
    ]
    by_name = {entry.label: entry for entry in make_entries(load(folders))}
    assert by_name["same"].flips is not None
    assert by_name["mixed"].flips is not None
    assert by_name["same"].flips.rate.value == 0
    # Half of the states: 3 of 6 pairs of repeats differ.
    assert by_name["mixed"].flips.rate.value == pytest.approx(0.25)
    assert by_name["once"].flips is None
    # Four equal repeats tell as much as one.
    same_mean, once_mean = by_name["same"].mean, by_name["once"].mean
    assert same_mean is not None
    assert once_mean is not None
    assert same_mean.high - same_mean.low == pytest.approx(once_mean.high - once_mean.low, rel=0.02)
    report_on(folders, tmp_path / "page", Options(tmp_path))
    rows = {r["policy"]: r for r in csv.DictReader((tmp_path / "page" / "leaderboard.csv").open())}
    assert (rows["mixed"]["flip_pct"], rows["mixed"]["repeated"]) == ("25.0", "50")
    pair = next(csv.DictReader((tmp_path / "page" / "pairs.csv").open()))
    assert pair["shared"] == "50"


def test_design_effect_of_clusters() -> None:
    random = np.random.default_rng(1)
    task = np.repeat([0, 1], 2000)
    n = np.full(4000, 5)
    independent = random.binomial(n, 0.4)
    assert design_effect(n, independent, task) == pytest.approx(1, abs=0.1)
    alike = 5 * (random.random(4000) < 0.4)
    assert design_effect(n, alike, task) == pytest.approx(5, abs=0.2)
    # All solved: nothing tells how far repeats are independent.
    assert design_effect(n, n, task) == 5


def test_intervals_cover_where_repeats_share_their_states() -> None:
    """States are easy or hard every time: repeats that count as states of their own miss often."""
    random = np.random.default_rng(2)
    runs, tasks, states, repeats = 400, 4, 20, 5
    task_C = np.repeat(np.arange(tasks), states)
    n_C = np.full(tasks * states, repeats)
    hits = naive = 0
    for _ in range(runs):
        easy = random.random((tasks, states)) < 0.5
        solved = random.binomial(repeats, np.where(easy, 0.95, 0.25))
        rates = {str(t): wilson(int(k), states * repeats) for t, k in enumerate(solved.sum(axis=1))}
        effect = design_effect(n_C, solved.ravel(), task_C)
        for found, clustered in ((suite_mean(rates, effect), True), (suite_mean(rates), False)):
            covered = found.low <= 0.6 <= found.high
            hits += covered and clustered
            naive += covered and not clustered
    assert hits / runs >= 0.93
    assert naive / runs < 0.85


def test_two_cards_of_a_suite_are_told_apart_aloud(tmp_path: Path) -> None:
    folders = []
    for card, version in (("x", "3.2.3"), ("y", "3.3.3")):
        folder = write_run(tmp_path / card, played("p", 5, 10, card=card))
        env = {"mujoco": version, "gl": "egl"}
        (folder / "card.json").write_text(json.dumps({"env": env, "policy": {}}))
        folders.append(folder)
    sections = make_sections(make_entries(load(folders)))
    assert [section.warnings for section in sections] == [
        ["Not to be compared with the other table of this suite: card y differs in mujoco."],
        ["Not to be compared with the other table of this suite: card x differs in mujoco."],
    ]


def test_pairs_do_not_ask_for_equal_training_seeds(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / arm, played("net", k, arm=arm, recipe=arm, train_seed=seed, demos=9))
        for arm, k, seed in (("baseline", 20, 0), ("sf", 40, 1))
    ]
    (section,) = make_sections(make_entries(load(folders)))
    assert (section.pairs[0].shared, section.pairs[0].discordant) == (50, (20, 0))


def test_a_missing_episode_does_not_hide_the_spread_of_seeds(tmp_path: Path) -> None:
    folders = []
    for seed, k in ((0, 10), (1, 45)):
        trained = {"recipe": "r", "train_seed": seed, "demos": 9}
        rows = played("net", k, 50, **trained)
        if seed:
            rows[-1] = make_row(
                49, policy="net", status=Status.ERROR, cause=Cause.POLICY, **trained
            )
        folders.append(write_run(tmp_path / str(seed), rows))
    (entry,) = make_entries(load(folders))
    assert not entry.total.complete
    assert entry.mean is not None
    assert entry.mean.value == pytest.approx(0.55)
    assert entry.mean.high - entry.mean.low > 0.9


def test_published_numbers_stand_apart_in_every_format(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", played("p", 5, suite="libero_goal"))
    page = tmp_path / "page"
    report_on([run], page, Options(ROOT / "results" / "published"))
    lines = list(csv.DictReader((page / "published.csv").open()))
    ours = next(line for line in lines if line["method"] == "Spatial Forcing")
    assert (ours["suite"], ours["success %"]) == ("libero_goal", "98.8")
    for name in ("leaderboard.md", "leaderboard.tex", "index.html"):
        text = (page / name).read_text()
        before, after = text.split("Published", 1)
        assert "per-task LIBERO rates of any method" in after
        assert "98.8" in after
        assert "98.8" not in before
    assert "98.8" not in (page / "leaderboard.csv").read_text()


def test_bad_options_are_refused(cli: Cli, tmp_path: Path) -> None:
    run = str(write_run(tmp_path / "run", played("p", 5)))
    for extra, message in (
        (("--detect", "x"), "--detect x: allowed is a number above 0, up to 50"),
        (("--level", "120"), "--level 120: allowed is a number above 0, up to 100"),
        (("tracker=wand",), "unknown tracker 'wand'. Did you mean 'wandb'?"),
        (("--nope",), "unknown option '--nope'"),
    ):
        done = cli("report", run, "-o", "page", *extra)
        assert done.returncode == 2
        assert message in done.stderr


def test_a_folder_given_with_its_training_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "train" / "evals" / "100", played("p", 5))
    with pytest.raises(UsageError, match="given twice"):
        report_on([tmp_path / "train", run], tmp_path / "page", Options(tmp_path))
