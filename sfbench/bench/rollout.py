"""The engine against bare MuJoCo, and two workers against one, interleaved in one run."""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfbench.bench.floor import Floor, Recording, bare, record
from sfbench.contracts import (
    CameraNeed,
    EnvSpec,
    EpisodeContext,
    EpisodeSpec,
    Observation,
    PolicySpec,
    ProtocolCard,
    RunsIn,
    Split,
    Suite,
)
from sfbench.errors import UsageError
from sfbench.registry import PolicyRecipe, SuiteRecipe
from sfbench.rollout.engine import EngineSettings, RolloutEngine
from sfbench.rollout.journal import Journal
from sfbench.rollout.plan import PlanRequest, make_plan
from sfbench.rollout.pool import WorkerPool
from sfbench.rollout.rows import RowMaker
from sfbench.rollout.seeds import policy_seed, scene_seed
from sfbench.rollout.shared import SlotLayout
from sfbench.rollout.video import VideoMode
from sfbench.rollout.worker import WorkerSetup
from sfbench.rollout.wrapping import PolicyWrapping
from sfbench.sim import gl
from sfbench.sim.gl import GlBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """What to measure.

    Attributes:
        suite: which suite.
        task: one of its tasks.
        cameras: rendered at every chunk boundary.
        chunk_steps: control steps between two policy calls.
        steps: control steps of an episode.
        episodes: episodes of a block; divided among workers.
        blocks: how often everything is measured, in turn.
        workers: worker counts to measure, the first being the base of the speed-up.
        gl: backend.
    """

    suite: SuiteRecipe
    task: str
    cameras: tuple[str, ...]
    chunk_steps: int
    steps: int
    episodes: int
    blocks: int
    workers: tuple[int, ...]
    gl: GlBackend


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds per block.

    Attributes:
        floor_s: bare MuJoCo in this process.
        engine_s: the engine, by number of workers.
    """

    floor_s: list[float]
    engine_s: dict[int, list[float]]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range over blocks."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise. Raises StatisticsError without values."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


class RandomChunks:
    """A policy that costs nothing: uniform actions from the episode's stream."""

    def __init__(self, spec: EnvSpec, cameras: Sequence[str], chunk_steps: int) -> None:
        self._action, self._chunk_steps = spec.action, chunk_steps
        self._streams: dict[int, np.random.Generator] = {}
        needs = tuple(
            CameraNeed(name=camera.name, orientation=camera.orientation)
            for camera in spec.cameras
            if camera.name in cameras
        )
        self.spec = PolicySpec(
            name="random_chunks",
            runs_in=RunsIn.MAIN,
            cameras=needs,
            action=spec.action,
            chunk_steps=chunk_steps,
            open_loop_steps=chunk_steps,
        )

    def reset(self, slot: int, context: EpisodeContext) -> None:
        """See Policy."""
        self._streams[slot] = np.random.default_rng(context.seed)

    def act(
        self, observations: Sequence[Observation], slots: Sequence[int]
    ) -> Sequence[NDArray[np.float64]]:
        """See Policy."""
        return [self.draw(self._streams[slot]) for slot in slots]

    def draw(self, stream: np.random.Generator) -> NDArray[np.float64]:
        """One chunk [K, A]: a random target that is held."""
        target = stream.uniform(self._action.low, self._action.high)
        return np.repeat(target[None], self._chunk_steps, axis=0)

    def close(self) -> None:
        """See Policy."""


class RolloutBench:
    """Everything warmed up; `measure` runs the blocks."""

    def __init__(self, request: BenchRequest, folder: Path) -> None:
        self._request = request
        gl.configure(request.gl)
        self._suite = request.suite.build()
        self._policy = RandomChunks(self._suite.env_spec, request.cameras, request.chunk_steps)
        self._episodes = _episodes(self._suite, request)
        self._env = self._suite.make_env(request.task, Split.EVAL)
        self._recordings = [self._record(episode) for episode in self._episodes]
        self._floor = Floor(bare(self._env), self._suite.env_spec, request.cameras)
        setup = self._worker_setup(folder)
        self._pools = {count: WorkerPool(setup, count) for count in request.workers}
        self._folder = folder
        self._runs = 0

    def measure(self, progress: Callable[[int], None]) -> Timings:
        """Run one uncounted block and then the counted ones."""
        timings = Timings([], {count: [] for count in self._pools})
        for block in range(-1, self._request.blocks):
            floor_s = self._time(self._play_floor)
            engine_s = {
                count: self._time(partial(self._run_engine, pool))
                for count, pool in self._pools.items()
            }
            if block >= 0:
                timings.floor_s.append(floor_s)
                for count, spent_s in engine_s.items():
                    timings.engine_s[count].append(spent_s)
            progress(block + 1)
        return timings

    def close(self) -> None:
        """End the workers."""
        for pool in self._pools.values():
            pool.close()
        self._floor.close()
        self._env.close()

    def _play_floor(self) -> None:
        for recording in self._recordings:
            self._floor.play(recording, self._request.chunk_steps)

    def _run_engine(self, pool: WorkerPool) -> None:
        self._runs += 1
        journal = Journal(self._folder / f"{self._runs}.jsonl")
        make_row = RowMaker(self._suite, self._policy.spec, None, ProtocolCard({}, {}))
        engine = RolloutEngine(pool, self._policy, journal, make_row, EngineSettings())
        engine.run(self._episodes, (), lambda: False)
        journal.close()
        wrong = [row for row in journal.rows if row.steps != self._request.steps]
        if wrong:
            raise UsageError(f"an episode ended early ({wrong[0].status}, {wrong[0].error})")

    def _record(self, episode: EpisodeSpec) -> Recording:
        stream = np.random.default_rng(policy_seed(episode.key))
        calls = -(-self._request.steps // self._request.chunk_steps)
        actions = np.concatenate([self._policy.draw(stream) for _ in range(calls)])
        seed = scene_seed(episode.key)
        return record(self._env, episode.init_state, seed, actions[: self._request.steps])

    def _worker_setup(self, folder: Path) -> WorkerSetup:
        spec = self._suite.env_spec
        kept = tuple(camera for camera in spec.cameras if camera.name in self._request.cameras)
        return WorkerSetup(
            suite=self._request.suite,
            policy=PolicyRecipe("", None),
            wrapping=PolicyWrapping(),
            runs_in=RunsIn.MAIN,
            cameras=tuple(camera.name for camera in kept),
            layout=SlotLayout(spec.state.size, kept),
            gl_backend=self._request.gl,
            egl_device=None,
            run_folder=folder,
            video=VideoMode.NONE,
            record_actions=False,
        )

    @staticmethod
    def _time(work: Callable[[], None]) -> float:
        start_s = time.perf_counter()
        work()
        return time.perf_counter() - start_s


def measure(request: BenchRequest, progress: Callable[[int], None]) -> Timings:
    """Measure a request; see RolloutBench."""
    with tempfile.TemporaryDirectory() as folder:
        bench = RolloutBench(request, Path(folder))
        try:
            return bench.measure(progress)
        finally:
            bench.close()


def _episodes(suite: Suite, request: BenchRequest) -> list[EpisodeSpec]:
    plan = make_plan(suite, PlanRequest(tasks=(request.task,), episodes=request.episodes))
    return [dataclasses.replace(episode, budget_steps=request.steps) for episode in plan.episodes]
