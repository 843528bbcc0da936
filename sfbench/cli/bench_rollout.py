"""`sfbench bench rollout`: the rollout engine against bare MuJoCo; see `bench` for the keys."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from sfbench.bench.rollout import BenchRequest, Spread, Timings, measure
from sfbench.cli.compose import compose_command
from sfbench.errors import UnknownNameError, UsageError
from sfbench.registry import SuiteRecipe
from sfbench.sim.gl import GlBackend


@dataclass
class BenchConfig:
    """The keys of `sfbench bench rollout`; the usage text of `bench` describes them."""

    suite: Any = MISSING
    task: str | None = None
    cameras: list[str] | None = None
    chunk_steps: int = 8
    steps: int = 104
    episodes: int = 4
    blocks: int = 7
    workers: list[int] = field(default_factory=lambda: [1, 2])
    gl: GlBackend = GlBackend.EGL


def run(arguments: Sequence[str]) -> int:
    """Measure, and print medians and ranges."""
    request = _request(arguments)
    timings = measure(request, lambda block: print(f"block {block} done", file=sys.stderr))
    print(_summary(request, timings))
    return 0


def _request(arguments: Sequence[str]) -> BenchRequest:
    composed = compose_command(BenchConfig, ("suite",), arguments)
    config: BenchConfig = composed.own
    for key in ("chunk_steps", "steps", "episodes", "blocks"):
        if getattr(config, key) < 1:
            raise UsageError(f"{key}={getattr(config, key)}: allowed 1 or more")
    if not config.workers or min(config.workers) < 1:
        raise UsageError(f"workers={config.workers}: name worker counts of 1 or more")
    recipe = SuiteRecipe(composed.chosen["suite"], config.suite)
    suite = recipe.build()
    suite.preflight()
    task = next(iter(suite.tasks)) if config.task is None else config.task
    if task not in suite.tasks:
        raise UnknownNameError(f"task of suite '{suite.name}'", task, suite.tasks)
    spec = suite.env_spec
    names = [camera.name for camera in spec.cameras if camera.name != spec.video_camera]
    return BenchRequest(
        suite=recipe,
        task=task,
        cameras=tuple(names if config.cameras is None else config.cameras),
        chunk_steps=config.chunk_steps,
        steps=config.steps,
        episodes=config.episodes,
        blocks=config.blocks,
        workers=tuple(config.workers),
        gl=config.gl,
    )


def _summary(request: BenchRequest, timings: Timings) -> str:
    per_episode = [spent_s / request.episodes for spent_s in timings.floor_s]
    heading = (
        f"{request.suite.name} {request.task}: {request.blocks} blocks of {request.episodes} "
        f"episodes, {request.steps} steps, a policy call every {request.chunk_steps}, "
        f"cameras {', '.join(request.cameras) or 'none'}. Median (range)."
    )
    lines = [
        heading,
        f"  bare MuJoCo             {Spread.of(per_episode)} s an episode",
    ]
    base = timings.engine_s[request.workers[0]]
    for count, spent_s in timings.engine_s.items():
        per_episode = [block_s / request.episodes for block_s in spent_s]
        lines.append(f"  engine, {count} worker(s)     {Spread.of(per_episode)} s an episode")
        if count == 1:
            ratios = [a / b for a, b in zip(spent_s, timings.floor_s, strict=True)]
            lines.append(f"    of bare MuJoCo        x {Spread.of(ratios)}")
        if spent_s is not base:
            ratios = [a / b for a, b in zip(base, spent_s, strict=True)]
            lines.append(f"    speed-up over {request.workers[0]}       x {Spread.of(ratios)}")
    return "\n".join(lines)
