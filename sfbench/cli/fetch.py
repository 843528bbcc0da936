"""usage: sfbench fetch [suite=NAME ...] [policy=NAME checkpoint=HUB_ID ...]

Fills caches, so that runs on compute nodes need neither network nor set-up time: a suite's compiled
scenes, a policy's weights from the hub.

  suite=NAME          its own keys as suite.KEY=...
  policy=NAME         its own keys as policy.KEY=...
  checkpoint=DIR|ID   the weights to fetch
"""  # noqa: D415 (a usage text)

from collections.abc import Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from sfbench.cli.compose import compose_command
from sfbench.errors import UsageError
from sfbench.registry import find_policy, find_suite
from sfbench.suite_tools import tools_of


@dataclass
class FetchConfig:
    """The keys of `sfbench fetch`."""

    suite: Any = None
    policy: Any = None
    checkpoint: str | None = None


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench fetch`."""
    composed = compose_command(FetchConfig, (), arguments, optional=("suite", "policy"))
    config: FetchConfig = composed.own
    if not composed.chosen:
        raise UsageError("nothing to fetch: type suite=NAME, policy=NAME checkpoint=ID, or both")
    if config.checkpoint is not None and "policy" not in composed.chosen:
        raise UsageError(f"checkpoint={config.checkpoint}: type policy=NAME too")
    if "suite" in composed.chosen:
        print(_fetch_suite(composed.chosen["suite"], config.suite))
    if "policy" in composed.chosen:
        print(_fetch_policy(composed.chosen["policy"], config.policy, config.checkpoint))
    return 0


def _fetch_suite(name: str, config: Any) -> str:  # noqa: ANN401 (the plugin's own dataclass)
    tools = tools_of(find_suite(name))
    return f"{name} needs nothing from elsewhere" if tools is None else tools.fetch(name, config)


def _fetch_policy(name: str, config: Any, checkpoint: str | None) -> str:  # noqa: ANN401
    fetch = find_policy(name).fetch
    if fetch is None:
        return f"{name} needs nothing from elsewhere"
    if checkpoint is not None:
        config.checkpoint = checkpoint
    if not config.checkpoint:
        raise UsageError(f"policy {name}: say which weights to fetch, with checkpoint=HUB_ID")
    found: str = resolve_name(fetch)(config)
    return found
