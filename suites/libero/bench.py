"""The fast path beside the plain loop and bare MuJoCo, measured in one run, block after block."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from sfbench.errors import SystemFaultError
from sfbench.sim.gl import GlBackend

from . import assets, scene_cache
from .bench_players import Kind, PlayerSpec
from .catalog import find_task

DEFAULT_TASK = "pick_up_the_black_bowl_between_the_plate_and_the_ramekin_and_place_it_on_the_plate"


_TOGETHER = {
    "two workers / one": ("fast", "fast, second core"),
    "two floors / one": ("floor", "floor, second core"),
}
"""The floors say what the machine itself gives: two cores of it are rarely twice one."""
_TURNS = 3
"""How often a block lets two players play apart and together: other programs come and go."""


class Clock(StrEnum):
    """Which time is measured."""

    WALL = "wall"
    CPU = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """What to measure.

    Attributes:
        task: a task's name.
        blocks: how often everything is measured, in turn.
        episodes: of a block, for all but the plain loops, which play one.
        steps: control steps of an episode, after 10 settle steps.
        chunk_steps: control steps between two looks.
        memory_episodes: over which memory growth is measured.
        cores: two cores that the players are tied to, or () to leave them free.
        gl: backend.
        clock: what is compared: time that passed, or the processor's time, which other programs
            disturb less. Two workers are always compared by the time that passed.
    """

    task: str = DEFAULT_TASK
    blocks: int = 5
    episodes: int = 3
    steps: int = 100
    chunk_steps: int = 8
    memory_episodes: int = 50
    cores: tuple[int, ...] = (0, 1)
    gl: GlBackend = GlBackend.EGL
    clock: Clock = Clock.WALL


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One measured thing: median and range over blocks."""

    what: str
    unit: str
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, what: str, unit: str, values: Sequence[float]) -> "BenchRow":
        """Summarise."""
        return cls(what, unit, statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        numbers = f"{self.median:9.3f}  ({self.low:.3f} to {self.high:.3f})"
        return f"{self.what:<44}{numbers} {self.unit}"


def measure(request: BenchRequest, progress: Callable[[str], None]) -> list[BenchRow]:
    """Run everything; takes minutes, most of them in the plain loop.

    Raises:
        SystemFaultError: a player failed.
    """
    task = find_task(request.task)
    scene_cache.ensure([task], assets.find())
    with _players(request) as players:
        progress("players are ready")
        rounds = []
        for number in range(request.blocks):
            rounds.append(_round(players, request))
            progress(f"block {number + 1} of {request.blocks} done")
        memory = list(_memory(players["fast"], request))
    return [*_rows(rounds), *memory]


def table(request: BenchRequest, rows: Sequence[BenchRow]) -> str:
    """The rows as text."""
    heading = (
        f"{request.task}: {request.blocks} blocks, episodes of 10 + {request.steps} steps, two "
        f"images of 256 px every {request.chunk_steps}, {request.clock} time. Median (range)."
    )
    return "\n".join([heading, *map(str, rows)])


class _Process:
    """A player; see `bench_players`."""

    def __init__(self, spec: PlayerSpec) -> None:
        self._spec = spec
        # A file, because a pipe that nobody reads would block a talkative player.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the player)
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.bench_players", json.dumps(asdict(spec))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        self.resident_mb = 0.0

    def wait(self) -> dict[str, float]:
        """The answer to the order that was begun: seconds an episode by clock."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._complaints.seek(0)
            text = self._complaints.read().decode(errors="replace")
            raise SystemFaultError(f"the player '{self._spec.kind}' failed: {text[-2000:]}")
        answer: dict[str, float] = json.loads(line)
        self.resident_mb = answer.pop("resident_mb")
        return answer

    def begin(self, episodes: int) -> None:
        """Order episodes."""
        assert self._process.stdin is not None
        print(json.dumps({"episodes": episodes}), file=self._process.stdin, flush=True)

    def play(self, episodes: int) -> dict[str, float]:
        """Seconds an episode by clock."""
        self.begin(episodes)
        return self.wait()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._complaints.close()


@contextmanager
def _players(request: BenchRequest) -> Iterator[dict[str, _Process]]:
    first, second = request.cores or (None, None)
    base = PlayerSpec(
        kind=Kind.FAST,
        task=request.task,
        images=True,
        steps=request.steps,
        chunk_steps=request.chunk_steps,
        cpu=first,
        gl=request.gl,
    )
    specs = {
        "plain": replace(base, kind=Kind.PLAIN),
        "plain, images where read": replace(base, kind=Kind.GATED),
        "plain, only resets": replace(base, kind=Kind.RESETS),
        "fast, unculled": replace(base, kind=Kind.UNCULLED),
        "fast": base,
        "floor": replace(base, kind=Kind.FLOOR),
        "fast, no images": replace(base, images=False),
        "floor, no images": replace(base, kind=Kind.FLOOR, images=False),
        "fast, second core": replace(base, cpu=second),
        "floor, second core": replace(base, kind=Kind.FLOOR, cpu=second),
    }
    players: dict[str, _Process] = {}
    try:
        for name, spec in specs.items():
            players[name] = _Process(spec)
            players[name].wait()
        yield players
    finally:
        for player in players.values():
            player.close()


def _round(players: dict[str, _Process], request: BenchRequest) -> dict[str, float]:
    """Seconds an episode of everything, once; and what two gain over one."""
    times = {}
    for name, player in players.items():
        plays = 1 if name.startswith("plain") else request.episodes
        if not name.endswith("second core"):
            times[name] = player.play(plays)[request.clock]
    for what, (first, second) in _TOGETHER.items():
        times[what] = _gain(players[first], players[second])
    return times


def _gain(first: _Process, second: _Process) -> float:
    """Time of both playing one after the other, by that of both playing at once."""
    apart_s = together_s = 0.0
    for _ in range(_TURNS):
        apart_s += first.play(1)["wall"] + second.play(1)["wall"]
        for player in (first, second):
            player.begin(1)
        together_s += max(player.wait()["wall"] for player in (first, second))
    return apart_s / together_s


def _rows(rounds: Sequence[dict[str, float]]) -> Iterator[BenchRow]:
    for name in rounds[0]:
        if name not in _TOGETHER:
            yield BenchRow.of(name, "s an episode", [times[name] for times in rounds])
    yield BenchRow.of("fast", "episodes a minute", [60 / times["fast"] for times in rounds])
    for what, over, under in (
        ("plain loop / fast path", "plain", "fast"),
        ("fast path / floor", "fast", "floor"),
        ("fast path / floor, without images", "fast, no images", "floor, no images"),
        ("unculled / culled", "fast, unculled", "fast"),
    ):
        yield BenchRow.of(what, "x", [times[over] / times[under] for times in rounds])
    for what in _TOGETHER:
        yield BenchRow.of(what, "x", [times[what] for times in rounds])


def _memory(player: _Process, request: BenchRequest) -> Iterator[BenchRow]:
    before_mb = player.resident_mb
    player.play(request.memory_episodes)
    yield BenchRow.of("memory of a worker", "MB", [player.resident_mb])
    grown_mb = player.resident_mb - before_mb
    yield BenchRow.of(f"its growth over {request.memory_episodes} episodes", "MB", [grown_mb])
