"""What main process and workers say to each other over a pipe.

Only our own processes are at both ends; images and states go through shared memory instead.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Cause, EpisodeSpec, Status


class Operation(IntEnum):
    """What a worker is doing now; each has its own deadline."""

    IDLE = 0
    START = 1
    RESET = 2
    STEP = 3
    RENDER = 4
    AWAIT_ACTION = 5
    POLICY = 6
    FINISH = 7


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker to main: the suite is built."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Worker to main: it cannot go on: no suite or GL context can be made, or the disk is full.

    Attributes:
        reason: why.
        stopped: whether the same run can be resumed once that is mended.
    """

    reason: str
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Worker to main: something that the user should read."""

    text: str


@dataclass(frozen=True, slots=True)
class Start:
    """Main to worker: run this episode."""

    episode: EpisodeSpec


@dataclass(frozen=True, slots=True)
class Observed:
    """Worker to main: state and images are in shared memory; an action chunk is wanted."""


@dataclass(frozen=True, slots=True)
class Act:
    """Main to worker: execute all of this chunk [K, A]."""

    chunk: NDArray[np.float64]
    infer_s: float


@dataclass(frozen=True, slots=True)
class Abandon:
    """Main to worker: the policy failed, or cannot be reached; end the episode."""

    error: str
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Worker to main: how the episode ended, and what it cost."""

    status: Status
    cause: Cause | None = None
    error: str | None = None
    steps: int = 0
    success_step: int | None = None
    scene: str = ""
    infer_times_s: tuple[float, ...] = ()
    sim_s: float = 0.0
    render_s: float = 0.0
    wall_s: float = 0.0
    video: str | None = None


class StopWorker:
    """Main to worker: end."""
