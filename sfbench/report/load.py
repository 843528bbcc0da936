"""Run folders as one table of rows.

Journals are read by Arrow, column by column: a million rows take seconds. Where Arrow finds fault
with a file, the engine's own reader names the line.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.json

from sfbench.contracts import ROW_SCHEMA
from sfbench.errors import RunFolderError, UsageError
from sfbench.report.columns import IDENTITY, KEY_COLUMNS, NULLABLE, row_schema, to_frame
from sfbench.report.runs import Run
from sfbench.report.stored import is_stored, read_stored, stored_places
from sfbench.rollout.journal import read_journal
from sfbench.rollout.run_folder import read_card, read_plan, read_provenance


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that a report is a function of.

    Attributes:
        rows: one line per episode, columns as EpisodeRow's fields, and `run`, an index into `runs`;
            sorted, so that it does not depend on the order of files.
        runs: the folders.
    """

    rows: pd.DataFrame
    runs: Sequence[Run]


def load(folders: Sequence[Path]) -> Loaded:
    """Read run folders, and folders of stored rows.

    Raises:
        UsageError: none given, or one given twice.
        RunFolderError: naming file, and line where there is one: no rows, a torn or unreadable
            line, an episode that stands there twice.
    """
    if not folders:
        raise UsageError("report of what? Give at least one run folder.")
    resolved = [folder.resolve() for folder in folders]
    if len(set(resolved)) < len(resolved):
        raise UsageError("a run folder is given twice")
    ordered = sorted(folders, key=str)
    runs: list[Run] = []
    tables = []
    for folder in ordered:
        some, frame = read_stored(folder) if is_stored(folder) else _read_run(folder)
        frame["run"] += len(runs)
        runs += some
        tables.append(frame)
    rows = pd.concat(tables, ignore_index=True)
    _check_unique(rows, ordered)
    order = [*KEY_COLUMNS, "policy", "arm", "checkpoint"]
    rows = rows.sort_values(order, kind="stable", ignore_index=True)
    return Loaded(rows, runs)


def nothing_loaded() -> Loaded:
    """No rows: of a report on trainings or probes alone."""
    frame = to_frame(row_schema().empty_table())
    frame["run"] = 0
    return Loaded(frame, [])


def _read_run(folder: Path) -> tuple[list[Run], pd.DataFrame]:
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is no folder; give run folders, as made by `sfbench eval`")
    frame = _read_folder(folder)
    frame["run"] = 0
    return [_describe(folder)], frame


def _describe(folder: Path) -> Run:
    planned = _planned(folder)
    shards = read_provenance(folder)
    command = " ".join(next(iter(shards.values()))["command"]) if shards else ""
    return Run(folder, planned, read_card(folder), command)


def _planned(folder: Path) -> Counter[str]:
    """Planned episodes by task, without building each: a large study has a million."""
    try:
        data = json.loads((folder / "plan.json").read_bytes())
        return Counter(str(episode["task"]) for episode in data["episodes"])
    except (OSError, ValueError, KeyError, TypeError):
        # The engine's reader says what is wrong.
        return Counter(episode.task for episode in read_plan(folder).episodes)


def _read_folder(folder: Path) -> pd.DataFrame:
    paths = sorted((folder / "episodes").glob("*.jsonl"))
    tables = [_read_file(path) for path in paths if path.stat().st_size]
    if not tables:
        raise RunFolderError(f"{folder}: no episode rows under episodes/*.jsonl")
    return to_frame(pa.concat_tables(tables))


def _read_file(path: Path) -> pa.Table:
    _check_last_line(path)
    parse = pyarrow.json.ParseOptions(
        explicit_schema=row_schema(), unexpected_field_behavior="error"
    )
    try:
        table = pyarrow.json.read_json(path, parse_options=parse)
    except pa.ArrowInvalid as error:
        read_journal(path)  # Names the line.
        raise RunFolderError(f"{path}: not a journal ({error})") from error
    incomplete = [
        name for name in table.column_names if name not in NULLABLE and table[name].null_count
    ]
    if incomplete or pa.compute.any(pa.compute.not_equal(table["schema"], ROW_SCHEMA)).as_py():
        read_journal(path)
        raise RunFolderError(f"{path}: a row lacks {', '.join(incomplete) or 'its schema'}")
    return table


def _check_last_line(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
    line = read_journal(path).torn_at
    raise RunFolderError(
        f"{path}, line {line}: the last row is incomplete; run the evaluation again to resume it "
        "(the row is dropped and its episode rerun)"
    )


def _check_unique(rows: pd.DataFrame, folders: Sequence[Path]) -> None:
    double = rows[rows.duplicated(IDENTITY, keep=False)]
    if double.empty:
        return
    row = double.sort_values(IDENTITY, kind="stable").iloc[0]
    wanted = {name: None if pd.isna(row[name]) else row[name] for name in IDENTITY}
    key = tuple(wanted[name] for name in KEY_COLUMNS)
    places = [place for folder in folders for place in _places(folder, wanted)]
    raise RunFolderError(
        f"episode {key} of {row['policy']} stands twice: {' and '.join(places)}; leave one out"
    )


def _places(folder: Path, wanted: Mapping[str, object]) -> list[str]:
    """File and line of every row with these fields."""
    if is_stored(folder):
        return stored_places(folder, wanted)
    return [
        f"{path}, line {number}"
        for path in sorted((folder / "episodes").glob("*.jsonl"))
        for number, row in enumerate(read_journal(path).rows, start=1)
        if all(getattr(row, name) == value for name, value in wanted.items())
    ]
