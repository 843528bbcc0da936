"""From arguments to a checked config: Hydra's compose API over structured configs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sfbench.cli.overrides import Override, check_keys, parse
from sfbench.errors import UsageError
from sfbench.registry import Plugin, find_policy, find_suite, policies, suites


@dataclass(frozen=True, slots=True)
class Composed:
    """A command's config.

    Attributes:
        own: instance of the command's dataclass, its `suite` and `policy` filled in as dataclasses.
        chosen: plugin name by group.
        yaml: the resolved config as text.
    """

    own: Any
    chosen: Mapping[str, str]
    yaml: str


def compose_command(schema: type[Any], groups: Sequence[str], arguments: Sequence[str]) -> Composed:
    """Compose a command's config from `key=value` arguments.

    Args:
        schema: the command's dataclass; it has an `Any` field for each group.
        groups: `suite`, `policy`: each must be chosen.
        arguments: what was typed after the command.

    Raises:
        UsageError: unknown key, suite or policy; a value of the wrong type.
    """
    overrides = parse(arguments)
    plugins = {group: _chosen(group, overrides) for group in groups}
    schemas = {"": schema, **{group: plugin.config_class() for group, plugin in plugins.items()}}
    settings = check_keys([item for item in overrides if item.key not in groups], schemas)
    store = ConfigStore.instance()
    store.store(name="command", node=schema)
    for group, plugin in plugins.items():
        store.store(group=group, name=plugin.name, node=plugin.config_class(), package=group)
    paths = [
        f"pkg://{plugin.config_package}" for plugin in plugins.values() if plugin.config_package
    ]
    texts = [f"+{group}={plugin.name}" for group, plugin in plugins.items()]
    texts += [str(item) for item in settings]
    if paths:
        texts.append(f"hydra.searchpath=[{','.join(paths)}]")
    try:
        with initialize(version_base=None, config_path=None):
            config = compose("command", texts)
        text = OmegaConf.to_yaml(config, resolve=True)
        return Composed(OmegaConf.to_object(config), _names(plugins), text)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(_readable(error)) from error


def _chosen(group: str, overrides: Sequence[Override]) -> Plugin:
    value = next((item.value for item in overrides if item.key == group), None)
    if value is None:
        known: Mapping[str, Plugin] = suites() if group == "suite" else policies()
        raise UsageError(f"{group}= is missing. Valid: {', '.join(known)}.")
    return find_suite(value) if group == "suite" else find_policy(value)


def _names(plugins: Mapping[str, Plugin]) -> dict[str, str]:
    return {group: plugin.name for group, plugin in plugins.items()}


def _readable(error: Exception) -> str:
    """The line of a Hydra or OmegaConf error that says what is wrong."""
    lines = [str(item) for item in (error.__cause__, error) if item is not None]
    text = " ".join(" ".join(lines).split())
    if "mismatched input" in text or "LexerNoViableAlt" in text or "no viable" in text:
        text += ". Quote values with special characters: 'out=\"my=folder\"'"
    return text
