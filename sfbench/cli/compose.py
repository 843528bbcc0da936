"""From arguments to a checked config: Hydra's compose API over structured configs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sfbench.cli.overrides import Override, check_keys, parse
from sfbench.errors import UnknownNameError, UsageError
from sfbench.registry import Plugin, find_policy, find_suite, policies, suites

RECIPE = "recipe"
"""Key and folder of the config files that set several keys at once."""


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


def compose_command(
    schema: type[Any],
    groups: Sequence[str],
    arguments: Sequence[str],
    recipes: Sequence[str] = (),
) -> Composed:
    """Compose a command's config from `key=value` arguments.

    Args:
        schema: the command's dataclass; it has an `Any` field for each group.
        groups: `suite`, `policy`: each must be chosen.
        arguments: what was typed after the command.
        recipes: packages with config files `recipe/NAME.yaml`, for a command that takes
            `recipe=NAME`; those of the chosen plugins come on top. Typed keys overrule a recipe's.

    Raises:
        UsageError: unknown key, suite, policy or recipe; a value of the wrong type.
    """
    overrides = parse(arguments)
    plugins = {group: _chosen(group, overrides) for group in groups}
    own_packages = [plugin.config_package for plugin in plugins.values() if plugin.config_package]
    packages = [*recipes, *own_packages]
    schemas = {"": schema, **{group: plugin.config_class() for group, plugin in plugins.items()}}
    chosen = {*groups, RECIPE} if recipes else set(groups)
    settings = check_keys([item for item in overrides if item.key not in chosen], schemas)
    store = ConfigStore.instance()
    store.store(name="command", node=schema)
    for group, plugin in plugins.items():
        store.store(group=group, name=plugin.name, node=plugin.config_class(), package=group)
    paths = [f"pkg://{package}" for package in packages]
    texts = [f"+{group}={plugin.name}" for group, plugin in plugins.items()]
    texts += [f"+{RECIPE}={name}" for name in _recipe(overrides, packages) if recipes]
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


def recipe_names(packages: Sequence[str]) -> list[str]:
    """Every `recipe/NAME.yaml` of some packages; names with a leading underscore are parts."""
    found = []
    for package in packages:
        folder = files(package) / RECIPE
        if folder.is_dir():
            names = (item.name for item in folder.iterdir() if item.name.endswith(".yaml"))
            found += [name.removesuffix(".yaml") for name in names if not name.startswith("_")]
    return sorted(found)


def _recipe(overrides: Sequence[Override], packages: Sequence[str]) -> list[str]:
    """The recipe that is asked for, or nothing."""
    asked = [item.value for item in overrides if item.key == RECIPE]
    known = recipe_names(packages)
    for name in asked:
        if name not in known:
            raise UnknownNameError("recipe", name, known)
    return asked


def _names(plugins: Mapping[str, Plugin]) -> dict[str, str]:
    return {group: plugin.name for group, plugin in plugins.items()}


def _readable(error: Exception) -> str:
    """The line of a Hydra or OmegaConf error that says what is wrong."""
    lines = [str(item) for item in (error.__cause__, error) if item is not None]
    text = " ".join(" ".join(lines).split())
    if "mismatched input" in text or "LexerNoViableAlt" in text or "no viable" in text:
        text += ". Quote values with special characters: 'out=\"my=folder\"'"
    return text
