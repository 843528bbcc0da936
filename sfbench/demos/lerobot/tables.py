"""The parquet tables of the LeRobot v3.0 layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sfbench.demos.lerobot import layout
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import DatasetSpec


class FrameTables:
    """Writes the frames' numbers, one row group an episode."""

    def __init__(self, root: Path, spec: DatasetSpec, instructions: Sequence[str]) -> None:
        self._root, self._spec = root, spec
        self._task_index = {text: index for index, text in enumerate(instructions)}
        self._schema = pa.schema(
            [
                (layout.STATE, pa.list_(pa.float32(), spec.state_size)),
                (layout.ACTION, pa.list_(pa.float32(), spec.action_size)),
                ("timestamp", pa.float32()),
                ("frame_index", pa.int64()),
                ("episode_index", pa.int64()),
                ("index", pa.int64()),
                ("task_index", pa.int64()),
            ]
        )
        self._number, self._bytes, self._frames = 0, 0, 0
        self._writer: Any = None

    def add(
        self, episode: EpisodeInfo, state: NDArray[np.float32], action: NDArray[np.float32]
    ) -> dict[str, int]:
        """Append an episode; returns where it lies, as the episode table says it."""
        frames = np.arange(episode.length)
        full = np.full(episode.length, 1, np.int64)
        table = pa.table(
            {
                layout.STATE: _rows(state),
                layout.ACTION: _rows(action),
                "timestamp": (frames / self._spec.fps).astype(np.float32),
                "frame_index": frames,
                "episode_index": full * episode.index,
                "index": frames + self._frames,
                "task_index": full * self._task_index[episode.instruction],
            },
            schema=self._schema,
        )
        self._open_for(table.nbytes)
        self._writer.write_table(table)
        self._bytes += table.nbytes
        start, self._frames = self._frames, self._frames + episode.length
        return {
            **{f"data/{key}": value for key, value in layout.chunk_of(self._number).items()},
            "dataset_from_index": start,
            "dataset_to_index": self._frames,
        }

    def close(self) -> None:
        """Finish the last file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open_for(self, more: int) -> None:
        if self._writer is not None and self._bytes + more > layout.DATA_FILE_MB * 2**20:
            self.close()
            self._number, self._bytes = self._number + 1, 0
        if self._writer is None:
            path = self._root / layout.DATA.format(**layout.chunk_of(self._number))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(path, self._schema)


def episode_table(rows: Sequence[dict[str, Any]]) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """The table of episodes, a column a key."""
    return pa.table({key: [row[key] for row in rows] for key in rows[0]})


def _rows(table: NDArray[np.float32]) -> Any:  # noqa: ANN401
    flat = pa.array(np.ascontiguousarray(table).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, table.shape[1])
