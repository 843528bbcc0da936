"""What a family of suites may add to the command line, beyond being rolled out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol, cast

from sfbench.demos.source import Source
from sfbench.doctor import Finding
from sfbench.registry import SuitePlugin


class SuiteTools(Protocol):
    """Named by `SuitePlugin.tools`; made without arguments.

    Attributes:
        bench_config: dataclass of the keys of `sfbench bench <family>`.
    """

    bench_config: type[Any]

    def install_assets(self, source: str | None) -> str:
        """Get and check assets, from a folder or archive or the hub; returns what was done."""

    def fetch(self, suite: str, config: Any) -> str:  # noqa: ANN401 (the suite's config class)
        """Fill caches, so that later runs need no network; returns what was done."""

    def findings(self, suite: str, config: Any) -> Iterator[Finding]:  # noqa: ANN401
        """Checks of this machine beyond the suite's preflight."""

    def open_demonstrations(self, path: Path) -> Source | None:
        """A reader of the family's own demonstration files; None if these are not such files."""

    def bench(self, config: Any, progress: Callable[[str], None]) -> str:  # noqa: ANN401
        """Measure; returns a table. `config` is an instance of `bench_config`."""


def tools_of(plugin: SuitePlugin) -> SuiteTools | None:
    """The tools of a suite's family, or None."""
    return None if plugin.tools is None else cast("SuiteTools", resolve_name(plugin.tools)())
