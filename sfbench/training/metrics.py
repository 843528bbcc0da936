"""metrics.jsonl: one line a logged step; and TensorBoard beside it, if asked for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfbench.errors import MissingError

METRICS_FILE = "metrics.jsonl"


class MetricsLog:
    """Appends lines; a resumed run first takes back those after the step it resumes from."""

    def __init__(self, folder: Path, step: int, tensorboard: bool) -> None:
        """Open the log. Raises MissingError where tensorboard is asked for and not installed."""
        self._file = folder / METRICS_FILE
        self._board = _board(folder, step) if tensorboard else None
        kept = [line for line in _lines(self._file) if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        partial = self._file.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.rename(self._file)
        self._stream = self._file.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        """One step; `losses` is a mapping, all else are numbers."""
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
        if self._board is not None:
            numbers = {**line, **{f"losses/{key}": value for key, value in line["losses"].items()}}
            for key, value in numbers.items():
                if isinstance(value, int | float) and key != "step":
                    self._board.add_scalar(key, value, line["step"])

    def close(self) -> None:
        """Close the files."""
        self._stream.close()
        if self._board is not None:
            self._board.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All lines of a run folder; a torn last one is dropped."""
    return _lines(folder / METRICS_FILE)


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return found


def _board(folder: Path, step: int) -> Any:  # noqa: ANN401 (an optional package's class)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingError(
            "tensorboard=true: TensorBoard is not installed; type `pip install tensorboard`"
        ) from error
    make: Any = SummaryWriter
    return make(str(folder / "tensorboard"), purge_step=step + 1)
