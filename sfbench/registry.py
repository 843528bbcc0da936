"""Plugins: how suites and policies come in, by entry point, without the engine importing any.

An entry point in the group `sfbench.suites`, `sfbench.policies`, `sfbench.teachers` or
`sfbench.alignments` names a SuitePlugin, a PolicyPlugin, a TeacherPlugin or an AlignmentPlugin.
These are light: listing them imports no simulator and no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Any, ClassVar, TypeVar

from sfbench.contracts import Policy, PolicyContext, Suite
from sfbench.errors import UnknownNameError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """What an entry point names.

    Attributes:
        name: as typed after `suite=` or `policy=`.
        version: changed behaviour means a new one.
        summary: one line for `sfbench list`.
        factory: `module:callable`; imported when the plugin is used.
        config: `module:Class` of a dataclass; its fields are the keys that can be overridden.
        config_package: package with more Hydra config files, or None.
        aliases: other names for it.
    """

    name: str
    version: str
    summary: str
    factory: str
    config: str
    config_package: str | None = None
    aliases: tuple[str, ...] = ()

    group: ClassVar[str]

    def config_class(self) -> type[Any]:
        """The dataclass whose fields configure the plugin."""
        found: type[Any] = resolve_name(self.config)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitePlugin(Plugin):
    """A suite; its factory takes an instance of the config class and returns a Suite.

    Attributes:
        family: name that suites with common assets and tools share, or None.
        tools: `module:Class` of the family's SuiteTools, or None.
    """

    family: str | None = None
    tools: str | None = None

    group: ClassVar[str] = "sfbench.suites"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPlugin(Plugin):
    """A policy; its factory takes a config instance and a PolicyContext and returns a Policy.

    Attributes:
        suite_preset: protocol preset that its checkpoints were made for, or None.
        trainable: `module:callable` that makes a Trainable; None for what cannot be trained.
        reader: `module:callable` that makes a Reader, whose vision and language layers can be
            pretrained; or None.
        fetch: `module:callable` that takes a config instance whose `checkpoint` is set, fetches
            what it names, and says in a line what there is now; None for what needs nothing.
    """

    suite_preset: str | None = None
    trainable: str | None = None
    reader: str | None = None
    fetch: str | None = None

    group: ClassVar[str] = "sfbench.policies"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherPlugin(Plugin):
    """A teacher for Spatial Forcing; its factory takes a config instance and returns a Teacher."""

    group: ClassVar[str] = "sfbench.teachers"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentPlugin(Plugin):
    """A way to pull a policy's hidden states towards a teacher's features while it is trained.

    Its factory takes a config instance, the chosen TeacherRecipe and the TrainRequest, and returns
    a `sfbench.training.auxiliary.Weighted`.
    """

    group: ClassVar[str] = "sfbench.alignments"


P = TypeVar("P", bound=Plugin)


@cache
def suites() -> Mapping[str, SuitePlugin]:
    """Every installed suite plugin by name, sorted."""
    return _load(SuitePlugin)


@cache
def policies() -> Mapping[str, PolicyPlugin]:
    """Every installed policy plugin by name, sorted."""
    return _load(PolicyPlugin)


@cache
def teachers() -> Mapping[str, TeacherPlugin]:
    """Every installed teacher plugin by name, sorted."""
    return _load(TeacherPlugin)


@cache
def alignments() -> Mapping[str, AlignmentPlugin]:
    """Every installed alignment plugin by name, sorted."""
    return _load(AlignmentPlugin)


def find_suite(name: str) -> SuitePlugin:
    """The suite of that name or alias. Raises UnknownNameError."""
    return _find(suites(), "suite", name)


def find_policy(name: str) -> PolicyPlugin:
    """The policy of that name or alias. Raises UnknownNameError."""
    return _find(policies(), "policy", name)


def find_teacher(name: str) -> TeacherPlugin:
    """The teacher of that name or alias. Raises UnknownNameError."""
    return _find(teachers(), "teacher", name)


def find_alignment(name: str) -> AlignmentPlugin:
    """The alignment of that name or alias. Raises UnknownNameError."""
    return _find(alignments(), "alignment", name)


def find_family(name: str) -> SuitePlugin:
    """A suite with tools, by its own or its family's name. Raises UnknownNameError."""
    with_tools = {
        plugin.family: plugin for plugin in suites().values() if plugin.family and plugin.tools
    }
    if name not in with_tools and name in suites() and suites()[name].tools:
        return suites()[name]
    if name not in with_tools:
        raise UnknownNameError("suite family", name, [str(family) for family in with_tools])
    return with_tools[name]


@dataclass(frozen=True, slots=True)
class SuiteRecipe:
    """A suite as data, so that a worker process can build its own copy."""

    name: str
    config: Any

    def build(self) -> Suite:
        """Import the plugin and make the suite."""
        suite: Suite = resolve_name(find_suite(self.name).factory)(self.config)
        return suite


@dataclass(frozen=True, slots=True)
class PolicyRecipe:
    """A policy as data: built in the main process, or in each worker."""

    name: str
    config: Any

    def build(self, context: PolicyContext) -> Policy:
        """Import the plugin and make the policy."""
        policy: Policy = resolve_name(find_policy(self.name).factory)(self.config, context)
        return policy


@dataclass(frozen=True, slots=True)
class TeacherRecipe:
    """A teacher as data: its weights are read when it is built."""

    name: str
    config: Any

    def build(self) -> Any:  # noqa: ANN401 (a sfbench.spatial.teachers.contract.Teacher)
        """Import the plugin and make the teacher."""
        return resolve_name(find_teacher(self.name).factory)(self.config)


def _load(kind: type[P]) -> dict[str, P]:
    found: dict[str, P] = {}
    for entry in entry_points(group=kind.group):
        try:
            plugin = entry.load()
        except Exception as error:
            raise UsageError(
                f"plugin '{entry.name}' ({entry.value}) cannot be loaded: {error!r}; "
                "mend or uninstall the package that declares it"
            ) from error
        if not isinstance(plugin, kind):
            raise UsageError(f"plugin '{entry.name}' ({entry.value}) is not a {kind.__name__}")
        found[plugin.name] = plugin
    return dict(sorted(found.items()))


def _find(known: Mapping[str, P], kind: str, name: str) -> P:
    for plugin in known.values():
        if name == plugin.name or name in plugin.aliases:
            return plugin
    names = [label for plugin in known.values() for label in (plugin.name, *plugin.aliases)]
    raise UnknownNameError(kind, name, names)
