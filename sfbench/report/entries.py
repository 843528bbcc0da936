"""The lines of a leaderboard: what was measured, and what was not."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from sfbench.contracts import Split, Status
from sfbench.errors import UsageError
from sfbench.report.comparison import Flips, flip_rate
from sfbench.report.intervals import (
    Estimate,
    design_effect,
    suite_mean_over_seeds,
    suite_mean_over_tasks,
)
from sfbench.report.load import Loaded
from sfbench.report.protocols import table_cards
from sfbench.report.rate import Rate, wilson_bounds
from sfbench.report.runs import Run
from sfbench.report.tally import Tally, tally_counts

EPISODE = ["task", "init_state", "seed"]
"""What two policies must share for their episodes to be a pair; of repeats the first is taken."""

REPEATED = ["task", "init_state", "seed", "train_seed", "checkpoint"]
"""Rows that differ in nothing but `repeat` agree in these."""

_KEY = ["suite", "card", "split", "policy", "preset", "weights", "arm", "recipe", "demos",
        "train_step"]  # fmt: skip


class EntryKey(NamedTuple):
    """Rows are pooled only where all of these are equal; texts are '' and numbers -1 where null.

    `weights` is the checkpoint of a policy that was not trained here. Checkpoints of one recipe
    that differ in nothing but the training seed are one line.
    """

    suite: str
    card: str
    split: str
    policy: str
    preset: str
    weights: str
    arm: str
    recipe: str
    demos: int
    train_step: int


@dataclass(frozen=True)
class Entry:
    """One line of a leaderboard.

    Attributes:
        key: what makes it a line of its own.
        rows: its episodes, sorted; the column `episode` numbers what EPISODE tells apart.
        total: counts over all tasks.
        tasks: counts by task, sorted by name.
        seed_tasks: counts by task of each training seed; one, of number -1, where nothing was
            trained.
        label: short name for a table, unlike that of all other lines of its suite and card.
        design_effect: how many episodes count as one, since several share an initial state.
        flips: how often its repeated episodes end differently; None where none was repeated.
        runs: the folders that it comes from.
    """

    key: EntryKey
    rows: pd.DataFrame
    total: Tally
    tasks: Mapping[str, Tally]
    seed_tasks: Mapping[int, Mapping[str, Tally]]
    label: str
    design_effect: float
    flips: Flips | None
    runs: Sequence[Run]

    @property
    def label_without_weights(self) -> str:
        """As `label`, equal for checkpoints that were trained for different suites."""
        return _named(self.key, "")

    @cached_property
    def seeds(self) -> Mapping[int, Mapping[str, Rate]]:
        """By training seed the rates by task.

        Strict ones where something was not measured, so that a policy gains nothing by breaking on
        hard episodes.
        """
        strict = not self.total.complete
        return {
            seed: {task: counts.strict if strict else counts.rate for task, counts in own.items()}
            for seed, own in self.seed_tasks.items()
        }

    @cached_property
    def mean(self) -> Estimate | None:
        """Mean over tasks with the fixed-task interval; None where a task has no measurement."""
        return self.mean_of(self.tasks)

    def mean_of(self, tasks: Collection[str]) -> Estimate | None:
        """As `mean`, over some of the tasks."""
        own = [{task: own[task] for task in own if task in tasks} for own in self.seeds.values()]
        seeds = [rates for rates in own if rates]
        if not seeds or any(not rate.n for rates in seeds for rate in rates.values()):
            return None
        return suite_mean_over_seeds(seeds, self.design_effect)

    def task_mean(self, task: str) -> Estimate | None:
        """As `mean`, of one task; Wilson's interval where there is one training seed."""
        return self._over_seeds([own[task] for own in self.seeds.values() if task in own])

    def task_rate(self, task: str) -> Estimate | None:
        """As `task_mean`, of measured episodes alone."""
        return self._over_seeds([own[task].rate for own in self.seed_tasks.values() if task in own])

    def _over_seeds(self, rates: Sequence[Rate]) -> Estimate | None:
        if not rates or not all(rate.n for rate in rates):
            return None
        if len(rates) > 1:
            return suite_mean_over_seeds([{"": rate} for rate in rates], self.design_effect)
        value = rates[0].value
        return Estimate(value, *wilson_bounds(value, rates[0].n / self.design_effect))

    @cached_property
    def mean_over_tasks(self) -> Estimate | None:
        """As `mean`, with the interval that resamples the tasks."""
        rates = {
            name: counts.rate if self.total.complete else counts.strict
            for name, counts in self.tasks.items()
        }
        return suite_mean_over_tasks(rates) if all(rate.n for rate in rates.values()) else None


def make_entries(loaded: Loaded) -> list[Entry]:
    """All lines, best first within a suite and card."""
    rows = loaded.rows.copy(deep=False)
    rows["card"] = table_cards(rows, loaded.runs)
    rows["episode"] = rows.groupby(EPISODE, sort=False, dropna=False).ngroup()
    rows["weights"] = rows["checkpoint"].where(rows["recipe"].isna(), "")
    for name in ("preset", "weights", "arm", "recipe"):
        rows[name] = rows[name].fillna("")
    for name in ("demos", "train_step"):
        rows[name] = rows[name].fillna(-1).astype(int)
    groups = {EntryKey(*key): some for key, some in rows.groupby(_KEY, sort=True, observed=True)}
    labels = make_labels(groups)
    entries = [_entry(key, some, loaded.runs, labels[key]) for key, some in groups.items()]
    return sorted(entries, key=_order)


def make_labels(keys: Iterable[EntryKey]) -> dict[EntryKey, str]:
    """Names that tell the lines of each suite and card apart.

    A checkpoint is named by as much of the end of its path as no other one shares; the recipe
    stands there only where nothing else tells two lines apart.
    """
    keys = list(keys)
    short = _short_paths({key.weights for key in keys if key.weights})
    labels = {key: _named(key, short.get(key.weights, "")) for key in keys}
    counts = Counter((key.suite, key.card, label) for key, label in labels.items())
    return {
        key: f"{label} (recipe {key.recipe[:8]})"
        if key.recipe and counts[key.suite, key.card, label] > 1
        else label
        for key, label in labels.items()
    }


def _named(key: EntryKey, weights: str) -> str:
    parts = [key.policy, key.preset, weights, key.arm]
    parts += [f"{key.demos} demos"] if key.demos >= 0 else []
    parts += [f"@{key.train_step}"] if key.train_step >= 0 else []
    parts += [f"(split {key.split})"] if key.split != Split.EVAL else []
    return " ".join(part for part in parts if part)


def _short_paths(paths: Collection[str]) -> dict[str, str]:
    """Each path's last parts, as many as it takes to tell it from the others."""
    found = {}
    for path in paths:
        parts = Path(path).parts
        others = [Path(other).parts for other in paths if other != path]
        count = next(
            (n for n in range(1, len(parts)) if all(o[-n:] != parts[-n:] for o in others)),
            len(parts),
        )
        found[path] = "/".join(parts[-count:])
    return found


def final_entries(entries: Sequence[Entry]) -> list[Entry]:
    """Of each training run only the last kept step: choosing the best one would flatter it."""
    last: dict[tuple[Any, ...], int] = {}
    for entry in entries:
        last[entry.key[:-1]] = max(entry.key.train_step, last.get(entry.key[:-1], -1))
    return [entry for entry in entries if entry.key.train_step == last[entry.key[:-1]]]


def sections(entries: Sequence[Entry]) -> dict[tuple[str, str], list[Entry]]:
    """Entries by (suite, card): only these may stand in one table."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        found.setdefault((entry.key.suite, entry.key.card), []).append(entry)
    return found


@dataclass(frozen=True, slots=True)
class _Seed:
    """Rows of one training seed, counted.

    Attributes:
        outcomes: (status, cause) pairs by task.
        planned: planned episodes by task.
    """

    outcomes: Mapping[str, Counter[tuple[str, str]]]
    planned: Mapping[str, int]

    @property
    def tasks(self) -> dict[str, Tally]:
        """Counts by task, those without rows too."""
        names = sorted(self.outcomes.keys() | self.planned.keys())
        return {
            name: tally_counts(self.outcomes.get(name, Counter()), self.planned.get(name, 0))
            for name in names
        }


def _entry(key: EntryKey, rows: pd.DataFrame, runs: Sequence[Run], label: str) -> Entry:
    _refuse_twice(rows)
    seeds = _count_by_seed(rows, runs)
    own = [runs[index] for index in sorted(set(rows["run"]))]
    every = _Seed(_added(seed.outcomes for seed in seeds.values()), _planned(own))
    whole = sum(every.outcomes.values(), Counter[tuple[str, str]]())
    total = tally_counts(whole, sum(every.planned.values()))
    by_seed = {number: seed.tasks for number, seed in seeds.items()}
    effect = _design_effect(rows)
    return Entry(key, rows, total, every.tasks, by_seed, label, effect, _flips(rows), own)


def _refuse_twice(rows: pd.DataFrame) -> None:
    """One training evaluated under two names would count double. Raises UsageError."""
    twice = rows[rows.duplicated(["episode", "train_seed", "repeat"], keep=False)]
    if len(twice):
        names = sorted({str(name) for name in twice["checkpoint"].dropna()})
        raise UsageError(
            f"{len(twice)} episodes of one policy, arm, training seed and step stand twice, of "
            f"{', '.join(names) or 'two runs'}; leave one out, or give it an arm= of its own"
        )


def _count_by_seed(rows: pd.DataFrame, runs: Sequence[Run]) -> dict[int, _Seed]:
    """In the order of seeds; -1 where nothing was trained."""
    counts = rows.groupby(["train_seed", "task", "run", "status", "cause"], dropna=False).size()
    outcomes: dict[int, dict[str, Counter[tuple[str, str]]]] = {}
    seen: dict[int, set[int]] = {}
    for (seed, task, run, status, cause), count in counts.items():
        number = -1 if pd.isna(seed) else int(seed)
        ends = outcomes.setdefault(number, {}).setdefault(str(task), Counter())
        ends[str(status), "" if pd.isna(cause) else str(cause)] += int(count)
        seen.setdefault(number, set()).add(int(run))
    return {
        number: _Seed(outcomes[number], _planned(runs[index] for index in seen[number]))
        for number in sorted(outcomes)
    }


def _planned(runs: Iterable[Run]) -> Counter[str]:
    found: Counter[str] = Counter()
    for run in runs:
        found.update(run.planned)
    return found


def _added(
    parts: Iterable[Mapping[str, Counter[tuple[str, str]]]],
) -> dict[str, Counter[tuple[str, str]]]:
    found: dict[str, Counter[tuple[str, str]]] = {}
    for part in parts:
        for task, ends in part.items():
            found.setdefault(task, Counter()).update(ends)
    return found


def _design_effect(rows: pd.DataFrame) -> float:
    measured = _measured(rows)
    if not measured["episode"].duplicated().any():
        return 1.0
    solved = (measured["status"] == Status.SUCCESS).groupby(measured["episode"].to_numpy())
    tasks = measured.drop_duplicates("episode").sort_values("episode")["task"]
    return design_effect(solved.size().to_numpy(), solved.sum().to_numpy(), pd.factorize(tasks)[0])


def _measured(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["status"].isin([Status.SUCCESS, Status.FAILURE])]


def _flips(rows: pd.DataFrame) -> Flips | None:
    measured = _measured(rows)
    if measured["repeat"].nunique() < 2:
        return None
    solved = (measured["status"] == Status.SUCCESS).groupby(
        [measured[name] for name in REPEATED], sort=False, dropna=False
    )
    played = solved.size().to_numpy()
    return flip_rate(played, solved.sum().to_numpy()) if (played > 1).any() else None


def _order(entry: Entry) -> tuple[Any, ...]:
    mean = entry.mean
    return (entry.key.suite, entry.key.card, -mean.value if mean else 1.0, entry.label)
