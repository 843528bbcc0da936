"""A worker process: holds Envs and one GL context, runs the episodes it is given.

Started as `python -m sfbench.rollout.worker PIPE MEMORY LIFELINE` with three inherited descriptors,
so that its environment is its own and the main script is not imported again.
"""

import os
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sfbench.contracts import Cause, Env, EpisodeSpec, Policy, PolicyContext, RunsIn, Split, Suite
from sfbench.errors import StoppedError, UsageError
from sfbench.registry import PolicyRecipe, SuiteRecipe
from sfbench.rollout.actors import BuiltPerEnv, LocalActor, PipeActor
from sfbench.rollout.episode_loop import (
    Actor,
    EpisodeEnd,
    EpisodeLoop,
    EpisodeSubscriber,
    SubscriberRecipe,
)
from sfbench.rollout.messages import Note, Operation, Outcome, Ready, Refused, Start, StopWorker
from sfbench.rollout.recording import ActionRecorder
from sfbench.rollout.shared import SlotLayout, SlotMemory
from sfbench.rollout.video import VideoMode, VideoRecorder
from sfbench.rollout.wrapping import PolicyWrapping
from sfbench.sim.gl import GlBackend, configure

MAX_OPEN_ENVS = 2
"""Envs kept open for their compiled scenes; tasks are handed out one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """All that a worker needs to know; sent once."""

    suite: SuiteRecipe
    policy: PolicyRecipe
    runs_in: RunsIn
    cameras: tuple[str, ...]
    layout: SlotLayout
    wrapping: PolicyWrapping
    gl_backend: GlBackend | None
    egl_device: int | None
    run_folder: Path
    video: VideoMode
    record_actions: bool
    subscribers: tuple[SubscriberRecipe, ...] = ()
    ends: EpisodeEnd = EpisodeEnd.FIRST_SUCCESS


class EnvCache:
    """The last few Envs of a suite, so that a compiled scene serves many episodes."""

    def __init__(self, suite: Suite, max_open: int = MAX_OPEN_ENVS) -> None:
        self._suite = suite
        self._max_open = max_open
        self._open: OrderedDict[tuple[str, Split], Env] = OrderedDict()

    def get(self, episode: EpisodeSpec) -> Env:
        """The Env for an episode, made if need be."""
        key = (episode.task, episode.split)
        if key not in self._open:
            while len(self._open) >= self._max_open:
                self._open.popitem(last=False)[1].close()
            self._open[key] = self._suite.make_env(*key)
        self._open.move_to_end(key)
        return self._open[key]

    def discard(self, episode: EpisodeSpec) -> None:
        """Close an Env that failed; the next episode gets a fresh one."""
        env = self._open.pop((episode.task, episode.split), None)
        if env is not None:
            env.close()

    def close(self) -> None:
        """Close all."""
        while self._open:
            self._open.popitem()[1].close()


def make_subscribers(
    setup: WorkerSetup, warn: Callable[[str], None]
) -> Sequence[EpisodeSubscriber]:
    """Whatever watches this run's episodes from beside the Env; `warn` reaches the user."""
    found: list[EpisodeSubscriber] = []
    if setup.video is not VideoMode.NONE:
        found.append(VideoRecorder(setup.run_folder, setup.video, warn))
    if setup.record_actions:
        found.append(ActionRecorder(setup.run_folder))
    return [*found, *(recipe.make(warn) for recipe in setup.subscribers)]


def policy_builder(setup: WorkerSetup) -> Callable[[Env], Policy]:
    """How a policy that runs beside its Env is made."""

    def build(env: Env) -> Policy:
        return setup.wrapping.wrap(setup.policy.build(PolicyContext(env_spec=env.spec, env=env)))

    return build


def _serve(pipe: "Connection[Any, Any]", memory: SlotMemory, setup: WorkerSetup) -> None:
    memory.begin(Operation.START)
    if setup.gl_backend is not None:
        configure(setup.gl_backend, setup.egl_device)
    suite = setup.suite.build()
    envs = EnvCache(suite)
    actor: Actor
    if setup.runs_in is RunsIn.WORKER:
        actor = LocalActor(BuiltPerEnv(policy_builder(setup)))
    else:
        actor = PipeActor(pipe, memory, suite.env_spec.action.size)

    def warn(text: str) -> None:
        pipe.send(Note(text))

    watchers = make_subscribers(setup, warn)
    loop = EpisodeLoop(actor, setup.cameras, watchers, memory.begin, setup.ends)
    pipe.send(Ready())
    while True:
        memory.begin(Operation.IDLE)
        message = pipe.recv()
        if isinstance(message, StopWorker):
            envs.close()
            return
        assert isinstance(message, Start)
        memory.begin(Operation.START)
        env = envs.get(message.episode)
        outcome: Outcome = loop.run(env, message.episode)
        if outcome.cause is Cause.SYSTEM:
            envs.discard(message.episode)
        pipe.send(outcome)


def _end_with_parent(lifeline: int) -> None:
    """Exit as soon as the main process is gone, whatever this process is busy with."""

    def watch() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="lifeline").start()


def main(arguments: Sequence[str]) -> None:
    """Entry point of the process."""
    pipe_fd, memory_fd, lifeline_fd = (int(text) for text in arguments)
    # A batch system signals every process of a job; the main process decides what that means.
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    _end_with_parent(lifeline_fd)
    pipe: Connection[Any, Any] = Connection(pipe_fd)
    try:
        setup: WorkerSetup = pipe.recv()
        _serve(pipe, SlotMemory(memory_fd, setup.layout), setup)
    except (UsageError, StoppedError) as error:
        pipe.send(Refused(str(error), isinstance(error, StoppedError)))
    except EOFError:
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
