"""Everything in one process, for a debugger: same rows; no retry, deadline or crash isolation."""

import sys
from collections.abc import Callable, Sequence

from sfbench.contracts import Env, EpisodeSpec, Policy, RunsIn
from sfbench.errors import StoppedError, SystemFaultError, UsageError
from sfbench.rollout.actors import BuiltPerEnv, LocalActor
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

        def lent(env: Env) -> Policy:
            return policy

        in_worker = setup.runs_in is RunsIn.WORKER
        actor = LocalActor(BuiltPerEnv(policy_builder(setup)) if in_worker else lent)
        watchers = make_subscribers(setup, _to_stderr)
        self._loop = EpisodeLoop(actor, setup.cameras, watchers, _no_deadline, setup.ends)

    def run(
        self,
        episodes: Sequence[EpisodeSpec],
        record: Callable[[EpisodeSpec, Outcome], None],
        stop_requested: Callable[[], bool],
    ) -> None:
        """Run all episodes.

        Raises:
            StoppedError: stop was requested, or an episode after the first cannot be run.
            UsageError, SystemFaultError: the first episode cannot be run.
        """
        try:
            for index, episode in enumerate(episodes):
                if stop_requested():
                    raise StoppedError(
                        f"stopped with {len(episodes) - index} episodes to go; "
                        "run the same command again to resume"
                    )
                try:
                    outcome = self._loop.run(self._envs.get(episode), episode)
                except (UsageError, SystemFaultError) as error:
                    if index == 0:
                        raise
                    raise StoppedError(
                        f"{error}\nFinished episodes are kept; mend it and run the same command "
                        "again to resume"
                    ) from error
                record(episode, outcome)
        finally:
            self._envs.close()


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def _no_deadline(operation: Operation) -> None:
    """Nobody watches."""
