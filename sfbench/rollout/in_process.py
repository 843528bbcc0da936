"""Everything in one process, for a debugger: same rows; no retry, deadline or crash isolation."""

import sys
from collections.abc import Callable, Sequence

from sfbench.contracts import Env, EpisodeSpec, Policy, RunsIn
from sfbench.errors import StoppedError
from sfbench.rollout.actors import LocalActor
from sfbench.rollout.episode_loop import EpisodeLoop
from sfbench.rollout.messages import Operation, Outcome
from sfbench.rollout.worker import EnvCache, WorkerSetup, make_subscribers, policy_builder
from sfbench.sim import gl


class InProcessRunner:
    """Runs episodes one after the other in this process."""

    def __init__(self, setup: WorkerSetup, policy: Policy) -> None:
        if setup.gl_backend is not None and not gl.is_created():
            gl.configure(setup.gl_backend, setup.egl_device)
        self._envs = EnvCache(setup.suite.build())
        build = policy_builder(setup)

        def of_env(env: Env) -> Policy:
            return build(env) if setup.runs_in is RunsIn.WORKER else policy

        watchers = make_subscribers(setup, _to_stderr)
        actor = LocalActor(of_env)
        self._loop = EpisodeLoop(actor, setup.cameras, watchers, _no_deadline, setup.ends)

    def run(
        self,
        episodes: Sequence[EpisodeSpec],
        record: Callable[[EpisodeSpec, Outcome], None],
        stop_requested: Callable[[], bool],
    ) -> None:
        """Run all episodes. Raises StoppedError when stop was requested."""
        try:
            for index, episode in enumerate(episodes):
                if stop_requested():
                    raise StoppedError(
                        f"stopped with {len(episodes) - index} episodes to go; "
                        "run the same command again to resume"
                    )
                record(episode, self._loop.run(self._envs.get(episode), episode))
        finally:
            self._envs.close()


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def _no_deadline(operation: Operation) -> None:
    """Nobody watches."""
