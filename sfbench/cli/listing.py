"""usage: sfbench list suites|policies|teachers|tasks suite=NAME [suite.KEY=...]

Names what is installed, this project's own and other packages' plugins alike.
"""  # noqa: D415 (a usage text)

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING
from rich.console import Console
from rich.table import Table

from sfbench.cli.compose import compose_command
from sfbench.contracts import Split
from sfbench.errors import UnknownNameError, UsageError
from sfbench.registry import Plugin, SuiteRecipe, policies, suites, teachers

_PLUGINS: Mapping[str, Callable[[], Mapping[str, Plugin]]] = {
    "suites": suites,
    "policies": policies,
    "teachers": teachers,
}
KINDS = (*_PLUGINS, "tasks")


@dataclass
class ListConfig:
    """The keys of `sfbench list tasks`."""

    suite: Any = MISSING


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench list`."""
    if not arguments:
        raise UsageError(f"list what? One of: {', '.join(KINDS)}. Type `sfbench list suites`.")
    kind, rest = arguments[0], arguments[1:]
    if kind not in KINDS:
        raise UnknownNameError("thing to list", kind, KINDS)
    if kind == "tasks":
        _print_tasks(rest)
        return 0
    if rest:
        raise UsageError(f"list {kind} takes no further arguments, got {' '.join(rest)}")
    rows = [
        (plugin.name, plugin.version, plugin.summary, ", ".join(plugin.aliases))
        for plugin in _PLUGINS[kind]().values()
    ]
    _print(("name", "version", "what it is", "also called"), rows)
    return 0


def _print_tasks(arguments: Sequence[str]) -> None:
    composed = compose_command(ListConfig, ("suite",), arguments)
    suite = SuiteRecipe(composed.chosen["suite"], composed.own.suite).build()
    rows = [
        (
            task.name,
            task.version,
            str(task.budget_steps),
            *(str(task.init_states.get(split, 0)) for split in Split),
            task.instructions[0],
        )
        for task in suite.tasks.values()
    ]
    _print(("task", "version", "steps", *(split.value for split in Split), "instruction"), rows)


def _print(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
