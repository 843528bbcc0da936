"""The adapter: what openpi's client does in LIBERO, conventions, batching and randomness."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sfbench_policies.common import libero
from sfbench_policies.pi0.adapter import Pi0Policy
from sfbench_policies.pi0.bundle import Bundle
from sfbench_policies.pi0.checkpoint import published_bundle
from sfbench_policies.pi0.config import Pi0Config, SmallConfig
from sfbench_policies.pi0.factory import EXECUTED_STEPS, make_pi0_micro, make_pi0_mini
from sfbench_policies.pi0.plugin import PI0

from sfbench.contracts import (
    CameraSpec,
    EnvSpec,
    EpisodeContext,
    EpisodeSpec,
    Observation,
    Orientation,
    Policy,
    PolicyContext,
    PolicySpec,
    RotationSign,
    RunsIn,
    Split,
    check_compatible,
)
from sfbench.errors import PolicyError, SpecMismatchError
from sfbench.registry import SuiteRecipe, suites

from . import tiny
from .conftest import KNOWN

OPENPI = np.load(Path(__file__).parent / "fixtures" / "processing_openpi.npz")
INSTRUCTIONS = ("put the bowl on the plate", "put the black bowl", "put")


def bundle_of(folder: Path, env: EnvSpec, **settings: object) -> Bundle:
    given = {"resize": "pil_bilinear", "dtype": "float32", "device": "cpu", **settings}
    return published_bundle(folder, Pi0Config(**given), env, KNOWN)


def policy_of(bundle: Bundle, env: EnvSpec) -> Pi0Policy:
    described = PolicySpec(name="pi0", runs_in=RunsIn.MAIN, open_loop_steps=EXECUTED_STEPS)
    return Pi0Policy(bundle, PolicyContext(env_spec=env), described)


@pytest.fixture(scope="module")
def bundle(published_folder: Path, libero_env: EnvSpec) -> Bundle:
    return bundle_of(published_folder, libero_env)


@pytest.fixture
def policy(bundle: Bundle, libero_env: EnvSpec) -> Pi0Policy:
    return policy_of(bundle, libero_env)


def context(seed: int, instruction: str = INSTRUCTIONS[0]) -> EpisodeContext:
    episode = EpisodeSpec(
        suite="libero",
        task="bowl",
        instruction=instruction,
        instruction_split="seen",
        init_state=0,
        split=Split.EVAL,
        seed=0,
        repeat=0,
        budget_steps=10,
    )
    return EpisodeContext(episode, seed)


def observation(index: int = 0) -> Observation:
    seen = tiny.libero_observation()
    images = {
        name: np.roll(seen[name], 7 * index, axis=1) for name in ("agentview", "robot0_eye_in_hand")
    }
    return Observation(images=images, state=seen["state"] + 0.01 * index)


def test_libero_as_openpi_prepares_it(policy: Pi0Policy, bundle: Bundle) -> None:
    """Golden: 180 degrees, resizing, order of views, z-scored state, zeros behind it."""
    inputs = bundle.processor.inputs(
        [observation()], [INSTRUCTIONS[0]], [Orientation.BOTTOM_UP] * 2
    )
    np.testing.assert_array_equal(OPENPI["libero_present"], [True, True, False])
    np.testing.assert_allclose(inputs.pixels_BVCHW[0], OPENPI["libero_pixels"][:2], atol=1e-6)
    assert inputs.present_BV.tolist() == [[True, True]]
    np.testing.assert_allclose(inputs.state_BS[0], OPENPI["libero_state"], rtol=1e-4)
    assert inputs.state_BS.shape == (1, 32)
    assert not inputs.state_BS[0, 8:].any()


def test_libero_actions_as_openpi_returns_them(
    bundle: Bundle, published_folder: Path, libero_env: EnvSpec
) -> None:
    """Golden: the first 7 of 32 numbers, un-scaled; the gripper raw; differences added up."""
    output = torch.from_numpy(tiny.network_output())[None]
    states = observation().state[None]
    plain = bundle.processor.commands(output, states)
    np.testing.assert_allclose(plain[0], OPENPI["libero_actions"], atol=1e-5)
    assert set(np.sign(plain[0, :, 6])) == {-1.0, 1.0}, "the gripper is not made binary"
    assert len(np.unique(np.abs(plain[0, :, 6]))) == len(plain[0])
    moved = bundle_of(published_folder, libero_env, relative_parts=["eef_pos", "eef_rot"])
    absolute = moved.processor.commands(output, states)
    np.testing.assert_allclose(absolute[0], OPENPI["libero_absolute"], atol=1e-5)
    back = moved.processor.targets(absolute, states)
    np.testing.assert_allclose(back[0], tiny.network_output()[:, :7], atol=1e-5)


def test_every_way_a_suite_may_turn_images_gives_the_same_pixels(bundle: Bundle) -> None:
    seen = observation()
    expected = bundle.processor.inputs([seen], ["put"], [Orientation.BOTTOM_UP] * 2)
    turned = {
        Orientation.UPRIGHT: lambda image: image[::-1],
        Orientation.MIRRORED: lambda image: image[::-1, ::-1],
    }
    for orientation, turn in turned.items():
        images = {name: turn(image) for name, image in seen.images.items()}
        mine = bundle.processor.inputs([replace(seen, images=images)], ["put"], [orientation] * 2)
        assert torch.equal(mine.pixels_BVCHW, expected.pixels_BVCHW)


def test_spec(policy: Pi0Policy, libero_env: EnvSpec) -> None:
    check_compatible(libero_env, policy.spec)
    assert policy.spec.chunk_steps == 8
    assert policy.spec.open_loop_steps == 5
    assert PI0.suite_preset == "openpi"
    card = policy.spec.card
    assert card["resize"] == "pil_bilinear"
    assert card["image_orientation"] == "mirrored"
    assert card["dtype"] == "float32"
    assert card["denoise_steps"] == 10


@pytest.mark.parametrize("name", ["libero_spatial", "libero_10"])
def test_the_real_suite_under_openpis_protocol(name: str, bundle: Bundle) -> None:
    config = suites()[name].config_class()(preset=PI0.suite_preset)
    env = SuiteRecipe(name, config).build().env_spec
    check_compatible(env, policy_of(bundle, env).spec)
    flipping = suites()[name].config_class()(preset="vla_eval")
    other = SuiteRecipe(name, flipping).build().env_spec
    signs = {part.rotation_sign for part in other.state.parts if part.rotation_sign}
    if signs != {RotationSign.AS_SIMULATED}:
        with pytest.raises(SpecMismatchError, match="rotation_sign"):
            check_compatible(other, policy_of(bundle, other).spec)


def test_other_conventions_are_refused(bundle: Bundle, libero_env: EnvSpec) -> None:
    """The sign of the quaternion alone moves LIBERO-Goal by 14 points."""
    parts = [
        replace(part, rotation_sign=RotationSign.CANONICAL) if part.rotation_sign else part
        for part in libero.STATE.parts
    ]
    other = replace(libero_env, state=replace(libero.STATE, parts=tuple(parts)))
    with pytest.raises(SpecMismatchError, match="rotation_sign"):
        check_compatible(other, policy_of(bundle, other).spec)
    slower = replace(libero_env, action=replace(libero.ACTION, hz=10.0))
    with pytest.raises(SpecMismatchError, match="hz"):
        check_compatible(slower, policy_of(bundle, slower).spec)
    blind = replace(libero_env, cameras=libero_env.cameras[:1])
    with pytest.raises(SpecMismatchError, match="robot0_eye_in_hand"):
        check_compatible(blind, policy_of(bundle, blind).spec)


def act_singly(policy: Policy, slots: list[int]) -> list[np.ndarray]:
    return [policy.act([observation(slot)], [slot])[0] for slot in slots]


def start(policy: Policy, slots: list[int]) -> None:
    for slot in slots:
        policy.reset(slot, context(100 + slot, INSTRUCTIONS[slot % 3]))


def test_a_batch_gives_what_single_calls_give(policy: Pi0Policy) -> None:
    """Prompts of different lengths, in another order, twice."""
    slots = [2, 0, 1, 4, 3]
    start(policy, slots)
    single = [act_singly(policy, slots) for _ in range(2)]
    start(policy, slots)
    for expected in single:
        together = policy.act([observation(slot) for slot in slots], slots)
        for mine, theirs in zip(together, expected, strict=True):
            assert mine.shape == (8, 7)
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5)
    assert np.abs(single[0][0] - single[0][1]).max() > 0.01
    assert np.abs(single[0][0] - single[1][0]).max() > 0.01, "noise differs from call to call"


def test_noise_belongs_to_the_episode(policy: Pi0Policy) -> None:
    """Not to the slot, not to the neighbours, not to torch's global stream."""
    policy.reset(0, context(seed=1))
    expected = policy.act([observation()], [0])[0]
    torch.manual_seed(99)
    policy.reset(5, context(seed=1))
    policy.reset(6, context(seed=2))
    policy.act([observation()], [6])
    np.testing.assert_array_equal(policy.act([observation()], [5])[0], expected)
    policy.reset(0, context(seed=2))
    assert np.abs(policy.act([observation()], [0])[0] - expected).max() > 0.01
    before = torch.random.get_rng_state()
    policy.act([observation()], [0])
    assert torch.equal(before, torch.random.get_rng_state())


def test_largest_seed(policy: Pi0Policy) -> None:
    policy.reset(0, context(seed=2**63 - 1))
    assert np.isfinite(policy.act([observation()], [0])[0]).all()


SPOILED: dict[str, tuple[Callable[[Observation], Observation], str]] = {
    "no camera": (
        lambda seen: replace(seen, images={"agentview": seen.images["agentview"]}),
        "lacks camera 'robot0_eye_in_hand'",
    ),
    "float image": (
        lambda seen: replace(
            seen, images={name: image / 255 for name, image in seen.images.items()}
        ),
        "got float64",
    ),
    "grey image": (
        lambda seen: replace(
            seen, images={name: image[..., 0] for name, image in seen.images.items()}
        ),
        r"allowed uint8 \[H, W, 3\]",
    ),
    "short state": (lambda seen: replace(seen, state=seen.state[:7]), "needs 8 finite numbers"),
    "NaN state": (lambda seen: replace(seen, state=seen.state * np.nan), "finite False"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_malformed_observations(name: str, policy: Pi0Policy) -> None:
    spoil, message = SPOILED[name]
    policy.reset(0, context(1))
    with pytest.raises(PolicyError, match=message):
        policy.act([spoil(observation())], [0])


def test_an_image_of_another_size_without_resizing(
    published_folder: Path, libero_env: EnvSpec
) -> None:
    policy = policy_of(bundle_of(published_folder, libero_env, resize="none"), libero_env)
    policy.reset(0, context(1))
    with pytest.raises(PolicyError, match="resize=none"):
        policy.act([observation()], [0])


def test_a_slot_that_was_never_reset(policy: Pi0Policy) -> None:
    policy.reset(0, context(1))
    with pytest.raises(PolicyError, match=r"slots \[3\]"):
        policy.act([observation(), observation()], [0, 3])
    policy.close()
    policy.close()
    with pytest.raises(PolicyError, match=r"slots \[0\]"):
        policy.act([observation()], [0])


def test_actions_that_are_not_finite(published_folder: Path, libero_env: EnvSpec) -> None:
    bundle = bundle_of(published_folder, libero_env)
    with torch.no_grad():
        bundle.model.core.action_out_proj.bias[3] = float("nan")
    policy = policy_of(bundle, libero_env)
    policy.reset(0, context(1))
    with pytest.raises(PolicyError, match="not finite"):
        policy.act([observation()], [0])


@pytest.mark.parametrize("make", [make_pi0_mini, make_pi0_micro])
def test_small_models_fit_the_bimanual_suite(make: Callable[..., Pi0Policy]) -> None:
    suite = SuiteRecipe("robotwin_clean", suites()["robotwin_clean"].config_class()()).build()
    env = suite.env_spec
    policy = make(SmallConfig(random_weights_seed=3, device="cpu"), PolicyContext(env_spec=env))
    check_compatible(env, policy.spec)
    assert len(policy.spec.cameras) == 3
    assert env.action.size == 16
    random = np.random.default_rng(0)
    images = {
        need.name: random.integers(0, 256, (128, 128, 3), np.uint8) for need in policy.spec.cameras
    }
    seen = Observation(images=images, state=random.uniform(env.state.low, env.state.high))
    policy.reset(0, context(1))
    (chunk,) = policy.act([seen], [0])
    assert chunk.shape == (policy.spec.chunk_steps, 16)
    assert policy.spec.open_loop_steps == 8
    assert "random" in str(policy.spec.card["weights"])


def test_equal_seeds_give_equal_weights(libero_env: EnvSpec) -> None:
    def weights(seed: int) -> torch.Tensor:
        given = SmallConfig(random_weights_seed=seed, device="cpu")
        policy = make_pi0_micro(given, PolicyContext(env_spec=libero_env))
        return torch.cat([value.flatten() for value in policy._model.state_dict().values()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_views_of_a_suite_with_a_camera_for_videos(libero_env: EnvSpec) -> None:
    """LIBERO's video camera is one of two views; the bimanual suite's is none of three."""
    given = SmallConfig(random_weights_seed=0, device="cpu")
    policy = make_pi0_micro(given, PolicyContext(env_spec=libero_env))
    assert [need.name for need in policy.spec.cameras] == ["agentview", "robot0_eye_in_hand"]
    extra = replace(
        libero_env,
        cameras=(*libero_env.cameras, CameraSpec(name="film", height=9, width=9)),
        video_camera="film",
    )
    policy = make_pi0_micro(given, PolicyContext(env_spec=extra))
    assert [need.name for need in policy.spec.cameras] == ["agentview", "robot0_eye_in_hand"]
