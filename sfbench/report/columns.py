"""The columns of a table of rows: EpisodeRow's fields as Arrow's and pandas' types."""

from dataclasses import fields
from typing import Any

import pandas as pd
import pyarrow as pa

from sfbench.contracts import EpisodeRow

KEY_COLUMNS = ["suite", "task", "init_state", "seed", "repeat"]

IDENTITY = [*KEY_COLUMNS, "policy", "preset", "checkpoint", "arm", "card", "train_seed",
            "train_step", "recipe"]  # fmt: skip
"""No two rows of a report agree in all of these."""

NULLABLE = {"cause", "success_step", "preset", "checkpoint", "train_step", "train_seed", "demos",
            "demos_share", "dataset", "recipe", "arm", "infer_p50_s", "infer_p95_s", "video",
            "error"}  # fmt: skip

_INTEGERS = {"schema", "init_state", "seed", "repeat", "steps", "success_step", "train_step",
             "train_seed", "demos", "infer_calls", "attempt"}  # fmt: skip
_FLOATS = {"demos_share", "infer_p50_s", "infer_p95_s", "wall_s", "infer_s", "sim_s", "render_s"}
_BOOLEANS = {"leak"}


def row_schema() -> pa.Schema:
    """Of a table with one line per EpisodeRow."""
    kinds = []
    for item in fields(EpisodeRow):
        if item.name in _INTEGERS:
            kind = pa.int64()
        elif item.name in _FLOATS:
            kind = pa.float64()
        else:
            kind = pa.bool_() if item.name in _BOOLEANS else pa.string()
        kinds.append((item.name, kind))
    return pa.schema(kinds)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """As pandas holds it; integers stay integers where some are missing."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=_pandas_type)
    return frame


def _pandas_type(kind: pa.DataType) -> Any:  # noqa: ANN401 (pandas' extension types)
    return pd.Int64Dtype() if pa.types.is_int64(kind) else None
