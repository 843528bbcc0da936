"""Which reader opens a path."""

from pathlib import Path

from sfbench.demos.lerobot.read import LerobotSource
from sfbench.demos.source import Source
from sfbench.errors import DatasetError


def open_source(path: Path) -> Source:
    """Open a dataset with the reader of its format.

    Raises:
        DatasetError: nothing there, or no known format.
    """
    if not path.exists():
        raise DatasetError(f"no dataset at {path}")
    if (path / "meta/info.json").exists():
        return LerobotSource(path)
    raise DatasetError(f"{path} is no dataset: it has no meta/info.json (LeRobot v3.0 or v2.1)")
