"""LIBERO's part of the command line: assets, caches, checks, benchmark."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sfbench.demos.source import Source
from sfbench.doctor import Finding, Verdict
from sfbench.errors import MissingError, UsageError
from sfbench.sim.gl import GlBackend

from . import assets, scene_cache
from .bench import DEFAULT_TASK, BenchRequest, Clock, measure, table
from .catalog import tasks
from .config import LiberoConfig
from .golden import compare
from .suite import LiberoSuite

_SHOWN = 3
"""Misplaced joints that `doctor` names."""


@dataclass
class LiberoBenchConfig:
    """Keys of `sfbench bench libero`; see BenchRequest."""

    task: str = DEFAULT_TASK
    blocks: int = 5
    episodes: int = 3
    steps: int = 100
    chunk_steps: int = 8
    memory_episodes: int = 50
    pin: bool = True
    gl: GlBackend = GlBackend.EGL
    clock: Clock = Clock.WALL


class LiberoTools:
    """Implements `sfbench.suite_tools.SuiteTools`."""

    bench_config = LiberoBenchConfig

    def install_assets(self, source: str | None) -> str:
        """See SuiteTools."""
        tree = assets.install(source)
        return f"LIBERO assets: {tree.kind}, hash {tree.hash}, in {tree.root}"

    def fetch(self, suite: str, config: LiberoConfig) -> str:
        """See SuiteTools."""
        LiberoSuite(suite, config).fetch()
        return f"{suite}: every scene is built and cached"

    def findings(self, suite: str, config: LiberoConfig) -> Iterator[Finding]:
        """The tree in use, and whether scenes settle where they should."""
        tree = assets.find()
        lite = tree.kind is assets.AssetKind.LITE
        note = "; rates are not comparable with published ones" if lite else ""
        verdict = Verdict.NOTE if lite else Verdict.OK
        yield Finding(f"{suite} assets", verdict, f"{tree.kind}{note}")
        chosen = tasks(suite).values()
        try:
            scene_cache.ensure(chosen, tree)
        except MissingError as error:
            yield Finding(f"{suite} scenes", Verdict.BAD, str(error))
            return
        off = [str(deviation) for deviation in compare(chosen)]
        what = f"{suite} physics"
        if off:
            more = f"; {len(off) - _SHOWN} more" if len(off) > _SHOWN else ""
            mend = "pip install mujoco==3.2.3"
            yield Finding(what, Verdict.BAD, "; ".join(off[:_SHOWN]) + more, mend)
        else:
            yield Finding(what, Verdict.OK, f"all {len(chosen)} scenes settle where they should")

    def open_demonstrations(self, path: Path) -> Source | None:
        """LIBERO's HDF5: a file, or a folder with some."""
        from .demo_source import LiberoSource, demonstration_files

        return LiberoSource(path) if demonstration_files(path) else None

    def bench(self, config: LiberoBenchConfig, progress: Callable[[str], None]) -> str:
        """See SuiteTools."""
        for key in ("blocks", "episodes", "steps", "chunk_steps", "memory_episodes"):
            if getattr(config, key) < 1:
                raise UsageError(f"{key}={getattr(config, key)}: allowed 1 or more")
        request = BenchRequest(
            task=config.task,
            blocks=config.blocks,
            episodes=config.episodes,
            steps=config.steps,
            chunk_steps=config.chunk_steps,
            memory_episodes=config.memory_episodes,
            cores=(0, 1) if config.pin else (),
            gl=config.gl,
            clock=config.clock,
        )
        return table(request, measure(request, progress))
