"""openpi-client drives our server through whole episodes."""

import json
from pathlib import Path

import numpy as np
from sfbench_toy.policies import ChaseConfig
from sfbench_toy.suite import ToyConfig

from sfbench.contracts import EpisodeContext, EpisodeSpec, Observation, PolicyContext, Split
from sfbench.registry import PolicyRecipe, SuiteRecipe
from sfbench.rollout.seeds import policy_seed
from tests.serving.peers.conftest import Start, finish
from tests.serving.running import serving

TOY = ("policy=toy_chase", "suite=toy", "protocol=openpi")


def replayed(recorded: "np.lib.npyio.NpzFile") -> list[np.ndarray]:
    """What the policy says to the same observations without a server."""
    env_spec = SuiteRecipe("toy", ToyConfig()).build().env_spec
    policy = PolicyRecipe("toy_chase", ChaseConfig()).build(PolicyContext(env_spec=env_spec))
    chunks, prompts = [], []
    for image, state, prompt in zip(
        recorded["images"], recorded["states"], map(str, recorded["prompts"]), strict=True
    ):
        if not prompts or prompts[-1] != prompt:
            policy.reset(0, context(prompt, len(set(prompts))))
        prompts.append(prompt)
        (chunk,) = policy.act([Observation(images={"top": image}, state=state)], [0])
        chunks.append(np.asarray(chunk))
    return chunks


def context(prompt: str, index: int) -> EpisodeContext:
    episode = EpisodeSpec(
        suite="toy",
        task=prompt,
        instruction=prompt,
        instruction_split="seen",
        init_state=index,
        split=Split.EVAL,
        seed=0,
        repeat=0,
        budget_steps=40,
    )
    return EpisodeContext(episode, policy_seed(episode.key))


def test_two_clients_at_once_play_whole_episodes(peer: Start, tmp_path: Path) -> None:
    """Every action is the one that the policy gives at home, noise included."""
    with serving(*TOY) as served:
        clients = {
            seed: peer("drive_openpi.py", served.port, seed, 3, tmp_path / f"{seed}.npz")
            for seed in (10, 20)
        }
        for seed, process in clients.items():
            assert json.loads(finish(process).splitlines()[-1]) == [True] * 3
            recorded = np.load(tmp_path / f"{seed}.npz")
            assert len(recorded["chunks"]) > 3
            np.testing.assert_array_equal(recorded["chunks"], replayed(recorded))
        assert served.end() == (0, "")


def test_a_token(peer: Start, tmp_path: Path) -> None:
    with serving(*TOY, "token_env=SECRET", env={"SECRET": "open sesame"}) as served:
        good = peer("drive_openpi.py", served.port, 1, 1, tmp_path / "a.npz", "open sesame")
        assert json.loads(finish(good).splitlines()[-1]) == [True]
        bad = peer("drive_openpi.py", served.port, 1, 1, tmp_path / "b.npz", "wrong")
        _, err = bad.communicate(timeout=120)
        assert bad.returncode != 0
        assert "401" in err


def test_an_error_reaches_the_client(peer: Start, tmp_path: Path) -> None:
    """As openpi's own server reports one."""
    faulty = ("policy=toy_faulty", "policy.fault=nan", "policy.fault_state=0", "suite=toy")
    with serving(*faulty, "protocol=openpi") as served:
        process = peer("drive_openpi.py", served.port, 1, 1, tmp_path / "a.npz")
        _, err = process.communicate(timeout=120)
    assert "Error in inference server:\nthe policy's chunk holds nan at [1, 0]" in err
