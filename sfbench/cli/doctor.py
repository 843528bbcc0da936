"""usage: sfbench doctor [suite=NAME_OR_FAMILY]

Checks this machine: Python and packages against the pins, GL backends (each in a process of its
own), GPUs and their EGL index, memory, disk, and what each suite needs; with suite= one suite or
family, thoroughly.
Every line that is not ok says what to type to mend it. Exit status 0 if nothing is bad, else 2.
"""  # noqa: D415 (a usage text)

from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Console

from sfbench.cli.overrides import parse
from sfbench.doctor import Finding, Verdict, check_suite, examine
from sfbench.errors import UnknownNameError
from sfbench.registry import SuitePlugin, SuiteRecipe, find_suite, suites
from sfbench.suite_tools import tools_of

_STYLES = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.BAD: "bold red"}


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench doctor`."""
    overrides = parse(arguments)
    for override in overrides:
        if override.key != "suite":
            raise UnknownNameError("key", override.key, ["suite"])
    if overrides:
        checks = [partial(_thorough, plugin) for plugin in _named(overrides[0].value)]
    else:
        checks = [partial(_ready, plugin) for plugin in suites().values()]
    console = Console()
    bad = 0
    for finding in examine(checks):
        bad += finding.verdict is Verdict.BAD
        style = _STYLES[finding.verdict]
        console.print(f"[{style}]{finding.verdict:<5}[/]", end="")
        text = f"{finding.what:<20} {finding.detail}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        if finding.mend:
            text = f"{'':<26}to mend: {finding.mend}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 2 if bad else 0


def _named(name: str) -> list[SuitePlugin]:
    """The suite of that name, or all of that family."""
    family = [plugin for plugin in suites().values() if plugin.family == name]
    return family or [find_suite(name)]


def _ready(plugin: SuitePlugin) -> Iterator[Finding]:
    def preflight() -> None:
        SuiteRecipe(plugin.name, plugin.config_class()()).build().preflight()

    return check_suite(plugin.name, preflight)


def _thorough(plugin: SuitePlugin) -> Iterator[Finding]:
    """Its preflight and, where that is passed, its own checks, which may take a minute."""
    found = list(_ready(plugin))
    yield from found
    tools = tools_of(plugin)
    if tools is not None and all(finding.verdict is not Verdict.BAD for finding in found):
        yield from tools.findings(plugin.name, plugin.config_class()())
