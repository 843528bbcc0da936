"""usage: sfbench doctor [suite=NAME]

Checks this machine: Python and packages against the pins, GL backends (each in a process of its
own), GPUs and their EGL index, memory, disk, and what each suite needs (or one, with suite=NAME).
Every line that is not ok says what to type to mend it. Exit status 0 if nothing is bad, else 2.
"""  # noqa: D415 (a usage text)

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rich.console import Console

from sfbench.cli.overrides import parse
from sfbench.doctor import Finding, Verdict, check_suite, examine
from sfbench.errors import UnknownNameError
from sfbench.registry import SuitePlugin, SuiteRecipe, find_suite, suites

_STYLES = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.BAD: "bold red"}


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench doctor`."""
    overrides = parse(arguments)
    for override in overrides:
        if override.key != "suite":
            raise UnknownNameError("key", override.key, ["suite"])
    chosen = [find_suite(item.value) for item in overrides] or list(suites().values())
    console = Console()
    bad = 0
    for finding in examine([_suite_check(plugin) for plugin in chosen]):
        bad += finding.verdict is Verdict.BAD
        style = _STYLES[finding.verdict]
        console.print(f"[{style}]{finding.verdict:<5}[/]", end="")
        console.print(f"{finding.what:<20} {finding.detail}", markup=False, highlight=False)
        if finding.mend:
            console.print(f"{'':<26}to mend: {finding.mend}", markup=False, highlight=False)
    return 2 if bad else 0


def _suite_check(plugin: SuitePlugin) -> Callable[[], Iterator[Finding]]:
    def preflight() -> None:
        SuiteRecipe(plugin.name, plugin.config_class()()).build().preflight()

    return partial(check_suite, plugin.name, preflight)
