"""Which reader opens a path."""

from pathlib import Path

from sfbench.demos.lerobot.read import LerobotSource
from sfbench.demos.source import Source
from sfbench.errors import DatasetError
from sfbench.registry import suites


def open_source(path: Path) -> Source:
    """Open a dataset with the reader of its format.

    LeRobot folders are read here; other files are offered to every family of suites.

    Raises:
        DatasetError: nothing there, or no known format.
    """
    if not path.exists():
        raise DatasetError(f"no dataset at {path}")
    if (path / "meta/info.json").exists():
        return LerobotSource(path)
    if (path / "collection/request.json").exists():
        raise DatasetError(
            f"{path} holds a collection that is not finished; run the same `sfbench collect` again"
        )
    return _of_a_suite(path)


def _of_a_suite(path: Path) -> Source:
    from sfbench.suite_tools import tools_of

    families = {plugin.tools: plugin for plugin in suites().values() if plugin.tools}
    for plugin in families.values():
        tools = tools_of(plugin)
        found = None if tools is None else tools.open_demonstrations(path)
        if found is not None:
            return found
    known = ", ".join(str(plugin.family) for plugin in families.values()) or "(none)"
    raise DatasetError(
        f"{path} is no dataset: it has no meta/info.json (LeRobot v3.0 or v2.1), and is no "
        f"demonstration file of a suite family that has its own: {known}"
    )
