"""How often intervals hold the truth: 2,000 journals of known truth (`make test-coverage`)."""

import json
from pathlib import Path

import numpy as np
import pytest

from sfbench.contracts import Status
from sfbench.report.curves import speed_ups
from sfbench.report.entries import make_entries
from sfbench.report.intervals import Estimate, clopper_pearson
from sfbench.report.load import load
from sfbench.report.rate import Rate
from tests.report.test_curves import drawn_curve
from tests.rollout.test_plan_and_journal import make_row

RUNS, TASKS, STATES = 2000, 10, 20
CENTRES = np.linspace(0.05, 0.95, 19)
SPREAD = 8.0
"""Tasks are drawn from Beta(p SPREAD, (1 - p) SPREAD), so that they differ as real ones do."""


def write_journal(folder: Path, policy: str, solved_TS: np.ndarray) -> Path:
    row = make_row(policy=policy).to_json()
    lines = []
    for task, solved_S in enumerate(solved_TS):
        for state, solved in enumerate(solved_S):
            status = Status.SUCCESS if solved else Status.FAILURE
            row |= {"task": f"t{task}", "init_state": state, "status": status.value}
            lines.append(json.dumps(row))
    (folder / "episodes").mkdir(parents=True)
    (folder / "episodes" / "0-of-1.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "plan.json").write_text(json.dumps({"episodes": []}))
    (folder / "card.json").write_text(json.dumps({"env": {}, "policy": {}}))
    return folder


class Tallied:
    """Coverage and width of one kind of interval, by p."""

    def __init__(self) -> None:
        self.covered: dict[float, list[bool]] = {}
        self.widths: list[float] = []

    def add(self, p: float, interval: Rate | Estimate, truth: float) -> None:
        self.covered.setdefault(p, []).append(interval.low <= truth <= interval.high)
        self.widths.append(interval.high - interval.low)

    @property
    def by_p(self) -> list[float]:
        return [float(np.mean(some)) for some in self.covered.values()]

    def __str__(self) -> str:
        shares = self.by_p
        return (
            f"mean coverage {np.mean(shares):.4f} (lowest at one p {min(shares):.3f}), "
            f"mean width {np.mean(self.widths):.4f}"
        )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_intervals_of_2000_journals(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    truths: dict[str, tuple[float, np.ndarray]] = {}
    folders = []
    for run in range(RUNS):
        p = float(CENTRES[run % len(CENTRES)])
        rates_T = random.beta(p * SPREAD, (1 - p) * SPREAD, TASKS)
        solved_TS = random.random((TASKS, STATES)) < rates_T[:, None]
        truths[f"p{run}"] = (p, rates_T)
        folders.append(write_journal(tmp_path / f"{run}", f"p{run}", solved_TS))
    kinds = {
        name: Tallied() for name in ("Wilson", "Clopper-Pearson", "fixed tasks", "other tasks")
    }
    entries = make_entries(load(folders))
    assert len(entries) == RUNS
    for entry in entries:
        p, rates_T = truths[entry.label]
        for task, counts in entry.tasks.items():
            rate = rates_T[int(task[1:])]
            kinds["Wilson"].add(p, counts.rate, rate)
            exact = clopper_pearson(counts.rate.successes, counts.rate.n)
            kinds["Clopper-Pearson"].add(p, exact, rate)
        assert entry.mean is not None
        assert entry.mean_over_tasks is not None
        kinds["fixed tasks"].add(p, entry.mean, float(rates_T.mean()))
        kinds["other tasks"].add(p, entry.mean_over_tasks, p)
    print()
    for name, tallied in kinds.items():
        print(f"{name}: {tallied}")
    assert np.mean(kinds["Wilson"].by_p) >= 0.93
    assert np.mean(kinds["Clopper-Pearson"].by_p) >= 0.95
    assert np.mean(kinds["fixed tasks"].by_p) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("true_ratio", [1.0, 2.0, 3.8])
@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_ratios_of_many_trainings(true_ratio: float, seeds: int) -> None:
    random = np.random.default_rng([int(10 * true_ratio), seeds])
    hits, widths, runs = 0, [], 400
    for _ in range(runs):
        baseline = drawn_curve("baseline", 2000, random, seeds)
        arm = drawn_curve("sf", 2000 / true_ratio, random, seeds)
        found = speed_ups(baseline, arm, [0.66])[0]
        hits += found.ratio.low <= true_ratio <= found.ratio.high
        widths.append(found.ratio.high - found.ratio.low)
    print(
        f"\nratio {true_ratio}, {seeds} training seeds: coverage {hits / runs:.3f}, "
        f"median width {np.median(widths):.2f}"
    )
    assert hits / runs >= 0.85
