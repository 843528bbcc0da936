"""From arguments to a checked config: Hydra's compose API over structured configs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml
from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sfbench.cli.overrides import Override, check_keys, parse
from sfbench.errors import UnknownNameError, UsageError
from sfbench.registry import (
    Plugin,
    alignments,
    find_alignment,
    find_policy,
    find_suite,
    find_teacher,
    policies,
    suites,
    teachers,
)

RECIPE = "recipe"
"""Key and folder of the config files that set several keys at once."""

_GROUPS: Mapping[str, tuple[Callable[[], Mapping[str, Plugin]], Callable[[str], Plugin]]] = {
    "suite": (suites, find_suite),
    "policy": (policies, find_policy),
    "align": (alignments, find_alignment),
    "teacher": (teachers, find_teacher),
}


@dataclass(frozen=True, slots=True)
class Composed:
    """A command's config.

    Attributes:
        own: instance of the command's dataclass, its `suite` and `policy` filled in as dataclasses.
        chosen: plugin name by group.
        typed: every key that was typed, such as `suite.preset`.
    """

    own: Any
    chosen: Mapping[str, str]
    typed: frozenset[str]

    @property
    def yaml(self) -> str:
        """The config as text, with what a command has changed in `own` since."""
        return OmegaConf.to_yaml(OmegaConf.structured(self.own))


def compose_command(
    schema: type[Any],
    groups: Sequence[str],
    arguments: Sequence[str],
    recipes: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Composed:
    """Compose a command's config from `key=value` arguments.

    Args:
        schema: the command's dataclass; it has an `Any` field for each group.
        groups: `suite`, `policy`: each must be chosen.
        arguments: what was typed after the command.
        recipes: packages with config files `recipe/NAME.yaml`, for a command that takes
            `recipe=NAME`; those of the chosen plugins come on top. Typed keys overrule a recipe's.
        optional: groups that need not be chosen; a recipe chooses one in its defaults, as
            `/teacher: vggt`.

    Raises:
        UsageError: unknown key, suite, policy or recipe; a value of the wrong type.
    """
    overrides = parse(arguments)
    plugins = {group: _chosen(group, overrides) for group in groups}
    own_packages = [plugin.config_package for plugin in plugins.values() if plugin.config_package]
    packages = [*recipes, *own_packages]
    names = _recipe(overrides, packages) if recipes else []
    implied = _implied(names, packages, optional)
    typed = frozenset(item.key for item in overrides)
    for group in optional:
        if group in typed:
            plugins[group] = _chosen(group, overrides)
        elif group in implied:
            plugins[group] = _GROUPS[group][1](implied[group])
    schemas = {"": schema, **{group: plugin.config_class() for group, plugin in plugins.items()}}
    chosen = {*plugins, RECIPE} if recipes else set(plugins)
    settings = check_keys([item for item in overrides if item.key not in chosen], schemas)
    store = ConfigStore.instance()
    store.store(name="command", node=schema)
    for group, plugin in plugins.items():
        store.store(group=group, name=plugin.name, node=plugin.config_class(), package=group)
    paths = [f"pkg://{package}" for package in packages]
    texts = [
        f"{'' if group in implied else '+'}{group}={plugin.name}"
        for group, plugin in plugins.items()
    ]
    texts += [f"+{RECIPE}={name}" for name in names]
    texts += [str(item) for item in settings]
    if paths:
        texts.append(f"hydra.searchpath=[{','.join(paths)}]")
    try:
        with initialize(version_base=None, config_path=None):
            config = compose("command", texts)
        return Composed(OmegaConf.to_object(config), _names(plugins), typed)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(_readable(error)) from error


def _chosen(group: str, overrides: Sequence[Override]) -> Plugin:
    value = next((item.value for item in overrides if item.key == group), None)
    if value is None:
        raise UsageError(f"{group}= is missing. Valid: {', '.join(_GROUPS[group][0]())}.")
    return _GROUPS[group][1](value)


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


def _implied(
    names: Sequence[str], packages: Sequence[str], groups: Sequence[str]
) -> dict[str, str]:
    """What recipes, and the parts that they are made of, choose of some groups."""
    found: dict[str, str] = {}
    for name in names:
        for package in packages:
            file = files(package) / RECIPE / f"{name}.yaml"
            if not file.is_file():
                continue
            entries = yaml.safe_load(file.read_text(encoding="utf-8")).get("defaults", [])
            parts = [entry for entry in entries if isinstance(entry, str) and entry != "_self_"]
            found |= _implied(parts, packages, groups)
            for entry in entries:
                if isinstance(entry, Mapping):
                    found |= {f: str(entry[f"/{f}"]) for f in groups if f"/{f}" in entry}
    return found


def _names(plugins: Mapping[str, Plugin]) -> dict[str, str]:
    return {group: plugin.name for group, plugin in plugins.items()}


def _readable(error: Exception) -> str:
    """The line of a Hydra or OmegaConf error that says what is wrong."""
    lines = [str(item) for item in (error.__cause__, error) if item is not None]
    text = " ".join(" ".join(lines).split())
    if "mismatched input" in text or "LexerNoViableAlt" in text or "no viable" in text:
        text += ". Quote values with special characters: 'out=\"my=folder\"'"
    return text
