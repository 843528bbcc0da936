"""Every registered policy keeps the contract on every suite that it fits."""

import pickle
from functools import cache

import numpy as np
import pytest

from sfbench.contracts import (
    Env,
    EpisodeContext,
    EpisodeSpec,
    Observation,
    Policy,
    PolicyContext,
    RunsIn,
    Split,
    Suite,
    check_compatible,
)
from sfbench.errors import SfbenchError, UsageError
from sfbench.registry import PolicyRecipe, policies, suites
from sfbench.rollout.plan import PlanRequest, make_plan
from sfbench.rollout.seeds import policy_seed
from tests.conformance.test_suites import build

PAIRS = [(suite, policy) for suite in suites() for policy in policies()]


@cache
def suite_and_env(name: str) -> tuple[Suite, Env]:
    """Built once for all policies."""
    suite = build(name)
    env = suite.make_env(next(iter(suite.tasks)), Split.EVAL)
    env.reset(0, seed=0)
    return suite, env


def prepare(suite_name: str, policy_name: str) -> tuple[PolicyRecipe, Policy]:
    suite, env = suite_and_env(suite_name)
    recipe = PolicyRecipe(policy_name, policies()[policy_name].config_class()())
    policy = recipe.build(PolicyContext(env_spec=suite.env_spec, env=env))
    check_compatible(suite.env_spec, policy.spec)
    return recipe, policy


def refusal(suite_name: str, policy_name: str) -> SfbenchError | None:
    """Why the pair does not go together; None if it does."""
    try:
        prepare(suite_name, policy_name)[1].close()
    except SfbenchError as error:
        return error
    return None


def fake_observation(suite: Suite, policy: Policy, seed: int) -> Observation:
    stream = np.random.default_rng(seed)
    images = {}
    for need in policy.spec.cameras:
        camera = suite.env_spec.camera(need.name)
        assert camera is not None
        images[need.name] = stream.integers(0, 256, (camera.height, camera.width, 3), np.uint8)
    return Observation(images=images, state=stream.normal(0, 0.1, suite.env_spec.state.size))


def episode(suite: Suite) -> EpisodeSpec:
    return make_plan(suite, PlanRequest(episodes=1)).episodes[0]


@pytest.mark.parametrize("suite_name", suites())
def test_scripted_policies_fit_every_suite(suite_name: str) -> None:
    """Guards the test below: it must not pass because everything is refused."""
    for policy_name in ("expert", "noop", "random"):
        assert refusal(suite_name, policy_name) is None


@pytest.mark.parametrize(("suite_name", "policy_name"), PAIRS)
def test_chunks_match_the_spec_and_repeat(suite_name: str, policy_name: str) -> None:
    if (error := refusal(suite_name, policy_name)) is not None:
        # Refusing with an explanation before episode 0 is the contract's other half.
        assert error.exit_status == 2
        assert len(str(error)) > 20
        return
    suite, _ = suite_and_env(suite_name)
    recipe, policy = prepare(suite_name, policy_name)
    context = EpisodeContext(episode(suite), policy_seed(episode(suite).key))
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert policy.spec.name
    slots = [0] if policy.spec.runs_in is RunsIn.WORKER else [0, 3]
    seen = [fake_observation(suite, policy, seed) for seed in range(len(slots))]
    chunks = []
    for _ in range(2):
        try:
            for slot in slots:
                policy.reset(slot, context)
        except UsageError as missing:
            # A suite need not have an expert for its first task; it has to say so.
            if "no expert" not in str(missing):
                raise
            return
        chunks.append([np.asarray(chunk) for chunk in policy.act(seen, slots)])
    policy.close()
    policy.close()
    for chunk, again in zip(*chunks, strict=True):
        assert chunk.shape == (policy.spec.chunk_steps, suite.env_spec.action.size)
        assert np.isfinite(chunk).all()
        np.testing.assert_array_equal(chunk, again)
