"""How chunks are executed: exactly as often asked, exactly what is averaged."""

import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sfbench_toy.policies import Chase, ChaseConfig
from sfbench_toy.suite import ToyConfig, env_spec

from sfbench.contracts import EpisodeContext, Observation, PolicyContext
from sfbench.errors import PolicyError
from sfbench.rollout.journal import read_rows
from sfbench.rollout.plan import PlanRequest, make_plan
from sfbench.rollout.wrappers import TemporalEnsemble, TimeLimit
from tests.conftest import Cli, eval_toy
from tests.rollout.test_plan_and_journal import SUITE


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_a_policy_is_asked_exactly_ceil_t_over_k_times(
    cli: Cli, tmp_path: Path, steps: int
) -> None:
    done = cli(*eval_toy(tmp_path, "episodes=3", f"open_loop_steps={steps}"))
    assert done.returncode == 0, done.stderr
    for row in read_rows(tmp_path):
        assert row.infer_calls == math.ceil(row.steps / steps)


class Counting(Chase):
    """Its n-th call predicts 100 n, 100 n + 1, ... in both coordinates."""

    calls = 0

    def act(
        self, observations: Sequence[Observation], slots: Sequence[int]
    ) -> Sequence[NDArray[np.float64]]:
        self.calls += 1
        column = 100.0 * self.calls + np.arange(4)
        return [np.stack([column, column], axis=1) for _ in slots]


def test_temporal_ensemble_averages_what_speaks_about_the_step() -> None:
    spec = env_spec(ToyConfig())
    decay = 0.5
    policy = TemporalEnsemble(Counting(ChaseConfig(), PolicyContext(env_spec=spec)), decay)
    episode = make_plan(SUITE, PlanRequest(episodes=1)).episodes[0]
    policy.reset(0, EpisodeContext(episode, 0))
    seen = Observation(images={}, state=np.zeros(4))
    got = [policy.act([seen], [0])[0][0, 0] for _ in range(6)]
    for step in range(6):
        # Call n (from 1) was made at step n - 1 and predicts steps n - 1 to n + 2.
        calls = [n for n in range(1, step + 2) if n + 2 >= step]
        weights = np.exp(-decay * np.arange(len(calls)))
        values = [100.0 * n + (step - (n - 1)) for n in calls]
        assert got[step] == pytest.approx(np.average(values, weights=weights))
    policy.reset(0, EpisodeContext(episode, 0))
    assert policy.act([seen], [0])[0][0, 0] == 700.0


class Held(Counting):
    """Its first call does not return before `free` is set."""

    def __init__(self, free: threading.Event) -> None:
        super().__init__(ChaseConfig(), PolicyContext(env_spec=env_spec(ToyConfig())))
        self._free = free

    def act(
        self, observations: Sequence[Observation], slots: Sequence[int]
    ) -> Sequence[NDArray[np.float64]]:
        chunks = super().act(observations, slots)
        if self.calls == 1:
            self._free.wait()
        return chunks


def test_a_call_that_overran_leaves_nothing_in_the_next_episode() -> None:
    """The ensemble keeps a history in each slot, which the late chunk must not enter."""
    free = threading.Event()
    policy = TimeLimit(TemporalEnsemble(Held(free), 0.0), 1.0)
    context = EpisodeContext(make_plan(SUITE, PlanRequest(episodes=1)).episodes[0], 0)
    seen = Observation(images={}, state=np.zeros(4))
    policy.reset(0, context)
    with pytest.raises(PolicyError, match="took more than 1 s"):
        policy.act([seen], [0])
    with pytest.raises(PolicyError, match="still busy"):
        policy.reset(0, context)
    free.set()
    reset_within(policy, context, patience_s=60)
    assert policy.act([seen], [0])[0][0, 0] == 200.0


def reset_within(policy: TimeLimit, context: EpisodeContext, patience_s: float) -> None:
    """Reset as soon as the policy is no longer busy."""
    end_s = time.monotonic() + patience_s
    while True:
        try:
            return policy.reset(0, context)
        except PolicyError:
            assert time.monotonic() < end_s


def test_replay_repeats_an_episode_exactly(cli: Cli, tmp_path: Path) -> None:
    made, again = tmp_path / "made", tmp_path / "again"
    assert cli(*eval_toy(made, "episodes=3", "record_actions=true")).returncode == 0
    done = cli(*eval_toy(again, "episodes=3", f"policy.source={made}", policy="replay"))
    assert done.returncode == 0, done.stderr
    steps = [(row.key, row.success_step) for row in sorted(read_rows(made), key=lambda r: r.key)]
    assert steps == [
        (row.key, row.success_step) for row in sorted(read_rows(again), key=lambda r: r.key)
    ]


def test_replay_of_an_episode_that_was_not_recorded_is_an_error_row(
    cli: Cli, tmp_path: Path
) -> None:
    made, again = tmp_path / "made", tmp_path / "again"
    assert cli(*eval_toy(made, "episodes=1", "record_actions=true")).returncode == 0
    done = cli(*eval_toy(again, "episodes=2", f"policy.source={made}", policy="replay"))
    assert done.returncode == 1
    bad = [row for row in read_rows(again) if row.status == "error"]
    assert {row.init_state for row in bad} == {1}
    assert all("no actions were recorded" in str(row.error) for row in bad)
