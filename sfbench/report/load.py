"""Run folders as one table of rows.

Journals are read by Arrow, column by column: a million rows take seconds. Where Arrow finds fault
with a file, the engine's own reader names the line.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.json

from sfbench.contracts import ROW_SCHEMA, EpisodeRow, ProtocolCard
from sfbench.errors import RunFolderError, UsageError
from sfbench.rollout.journal import read_journal
from sfbench.rollout.run_folder import read_card, read_plan, read_provenance

KEY_COLUMNS = ["suite", "task", "init_state", "seed", "repeat"]

_TYPES = {
    "int": pa.int64(),
    "float": pa.float64(),
    "str": pa.string(),
    "bool": pa.bool_(),
}
_INTEGERS = {"schema", "init_state", "seed", "repeat", "steps", "success_step", "train_step",
             "train_seed", "demos", "infer_calls", "attempt"}  # fmt: skip
_FLOATS = {"demos_share", "infer_p50_s", "infer_p95_s", "wall_s", "infer_s", "sim_s", "render_s"}
_BOOLEANS = {"leak"}
_NULLABLE = {"cause", "success_step", "preset", "checkpoint", "train_step", "train_seed", "demos",
             "demos_share", "dataset", "recipe", "arm", "infer_p50_s", "infer_p95_s", "video",
             "error"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder, without its rows.

    Attributes:
        folder: where it is.
        planned: planned episodes by task.
        card: its protocol card.
        command: what was typed to make it.
    """

    folder: Path
    planned: Mapping[str, int]
    card: ProtocolCard
    command: str


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
    """Read run folders.

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
    runs = [_load_run(folder) for folder in ordered]
    tables = []
    for index, folder in enumerate(ordered):
        frame = _read_folder(folder)
        frame["run"] = index
        tables.append(frame)
    rows = pd.concat(tables, ignore_index=True)
    _check_unique(rows, ordered)
    order = [*KEY_COLUMNS, "policy", "arm", "checkpoint"]
    rows = rows.sort_values(order, kind="stable", ignore_index=True)
    return Loaded(rows, runs)


def nothing_loaded() -> Loaded:
    """No rows: of a report on trainings or probes alone."""
    frame = _schema().empty_table().to_pandas(types_mapper=_pandas_type)
    frame["run"] = 0
    return Loaded(frame, [])


def _load_run(folder: Path) -> Run:
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is no folder; give run folders, as made by `sfbench eval`")
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
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas(types_mapper=_pandas_type)
    return frame


def _read_file(path: Path) -> pa.Table:
    _check_last_line(path)
    parse = pyarrow.json.ParseOptions(explicit_schema=_schema(), unexpected_field_behavior="error")
    try:
        table = pyarrow.json.read_json(path, parse_options=parse)
    except pa.ArrowInvalid as error:
        read_journal(path)  # Names the line.
        raise RunFolderError(f"{path}: not a journal ({error})") from error
    incomplete = [
        name for name in table.column_names if name not in _NULLABLE and table[name].null_count
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


_IDENTITY = [*KEY_COLUMNS, "policy", "preset", "checkpoint", "arm", "card", "train_seed",
             "train_step", "recipe"]  # fmt: skip


def _check_unique(rows: pd.DataFrame, folders: Sequence[Path]) -> None:
    double = rows[rows.duplicated(_IDENTITY, keep=False)]
    if double.empty:
        return
    row = double.sort_values(_IDENTITY, kind="stable").iloc[0]
    wanted = {name: None if pd.isna(row[name]) else row[name] for name in _IDENTITY}
    key = tuple(wanted[name] for name in KEY_COLUMNS)
    places = [place for folder in folders for place in _places(folder, wanted)]
    raise RunFolderError(
        f"episode {key} of {row['policy']} stands twice: {' and '.join(places)}; leave one out"
    )


def _places(folder: Path, wanted: Mapping[str, object]) -> list[str]:
    """File and line of every row with these fields."""
    return [
        f"{path}, line {number}"
        for path in sorted((folder / "episodes").glob("*.jsonl"))
        for number, row in enumerate(read_journal(path).rows, start=1)
        if all(getattr(row, name) == value for name, value in wanted.items())
    ]


def _schema() -> pa.Schema:
    kinds = []
    for item in fields(EpisodeRow):
        if item.name in _INTEGERS:
            kind = "int"
        elif item.name in _FLOATS:
            kind = "float"
        else:
            kind = "bool" if item.name in _BOOLEANS else "str"
        kinds.append((item.name, _TYPES[kind]))
    return pa.schema(kinds)


def _pandas_type(kind: pa.DataType) -> Any:  # noqa: ANN401 (pandas' extension types)
    """Nullable integers, and texts as categories: a million rows repeat a few words."""
    return pd.Int64Dtype() if pa.types.is_int64(kind) else None
