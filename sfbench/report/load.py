"""Run folders read for a report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from sfbench.contracts import EpisodeRow, ProtocolCard
from sfbench.errors import RunFolderError, UsageError
from sfbench.report.groups import EntryKey, Tally, by_task, entry_key, tally
from sfbench.rollout.journal import read_rows
from sfbench.rollout.run_folder import read_card, read_plan, read_provenance


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder.

    Attributes:
        folder: where it is.
        rows: all of its rows, sorted by episode.
        planned: planned episodes by task.
        card: its protocol card.
        command: what was typed to make it.
    """

    folder: Path
    rows: Sequence[EpisodeRow]
    planned: Mapping[str, int]
    card: ProtocolCard
    command: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a leaderboard, pooled over the runs that measured the same thing.

    Attributes:
        key: what makes it a line of its own.
        rows: sorted by episode.
        total: counts over all tasks.
        tasks: counts by task, sorted by name.
        runs: the folders that it comes from.
    """

    key: EntryKey
    rows: Sequence[EpisodeRow]
    total: Tally
    tasks: Mapping[str, Tally]
    runs: Sequence[Run]

    @property
    def label(self) -> str:
        """Short name for a table."""
        key = self.key
        parts = [
            key.policy,
            key.preset,
            Path(key.checkpoint).name if key.checkpoint else "",
            key.arm,
        ]
        text = " ".join(part for part in parts if part)
        return text if key.train_step < 0 else f"{text} @{key.train_step}"


def load_run(folder: Path) -> Run:
    """Read a run folder. Raises RunFolderError naming what is wrong with it."""
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is no folder; give run folders, as made by `sfbench eval`")
    rows = sorted(read_rows(folder), key=lambda row: row.key)
    plan = read_plan(folder)
    planned = Counter(episode.task for episode in plan.episodes)
    shards = read_provenance(folder)
    command = " ".join(_first_command(shards))
    return Run(folder, rows, planned, read_card(folder), command)


def pool_runs(runs: Sequence[Run]) -> list[Entry]:
    """Entries of all runs, best first within a suite and card.

    Raises:
        UsageError: no runs, or one episode of one policy stands in two of them.
    """
    if not runs:
        raise UsageError("report of what? Give at least one run folder.")
    pooled: dict[EntryKey, list[tuple[EpisodeRow, Run]]] = {}
    for run in runs:
        for row in run.rows:
            pooled.setdefault(entry_key(row), []).append((row, run))
    entries = [_entry(key, members) for key, members in pooled.items()]
    return sorted(entries, key=_order)


def _entry(key: EntryKey, members: Sequence[tuple[EpisodeRow, Run]]) -> Entry:
    ordered = sorted(members, key=lambda member: member[0].key)
    for (one, first), (two, second) in pairwise(ordered):
        if one.key == two.key:
            raise RunFolderError(
                f"episode {tuple(one.key)} of {key.policy} stands in {first.folder} and in "
                f"{second.folder}; leave one out"
            )
    rows = [row for row, _ in ordered]
    runs = list({id(run): run for _, run in ordered}.values())
    planned: Counter[str] = Counter()
    for run in runs:
        planned.update(run.planned)
    tasks = {task: tally(some, planned[task]) for task, some in by_task(rows).items()}
    total = tally(rows, sum(planned.values()))
    return Entry(key, rows, total, dict(sorted(tasks.items())), runs)


def _order(entry: Entry) -> tuple[Any, ...]:
    counts = entry.total
    # Where something was not measured, the stricter rate decides.
    rate = counts.rate if counts.complete else counts.strict
    return (entry.key.suite, entry.key.card, -(rate.value if rate.n else -1.0), entry.label)


def _first_command(shards: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    for provenance in shards.values():
        command: Sequence[str] = provenance["command"]
        return command
    return ()
