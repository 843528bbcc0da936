"""usage: sfbench fetch suite=NAME [suite.KEY=...]

Fills the suite's caches (compiled scenes and the like), so that runs on compute nodes need neither
network nor set-up time.
"""  # noqa: D415 (a usage text)

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from sfbench.cli.compose import compose_command
from sfbench.registry import find_suite
from sfbench.suite_tools import tools_of


@dataclass
class FetchConfig:
    """The keys of `sfbench fetch`."""

    suite: Any = MISSING


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench fetch`."""
    composed = compose_command(FetchConfig, ("suite",), arguments)
    name = composed.chosen["suite"]
    tools = tools_of(find_suite(name))
    if tools is None:
        print(f"{name} needs nothing from elsewhere")
    else:
        print(tools.fetch(name, composed.own.suite))
    return 0
