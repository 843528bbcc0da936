"""The policy as the engine meets it: conventions, golden values, batches, and bad observations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sfbench_policies.common.libero import SCENE_CAMERA, STATE, WRIST_CAMERA, libero_interface
from sfbench_policies.openvla_oft.adapter import OpenVlaPolicy, describe
from sfbench_policies.openvla_oft.config import OpenVla7bConfig, OpenVlaOft7bConfig, SmallConfig
from sfbench_policies.openvla_oft.factory import (
    make_openvla_oft_7b,
    make_openvla_oft_micro,
    published_bundle,
    random_published_bundle,
)
from sfbench_policies.openvla_oft.presets import OPENVLA_OFT_7B
from sfbench_policies.openvla_oft.processing.gripper import GripperRule
from sfbench_policies.openvla_oft.processing.images import LIBERO_STEPS
from sfbench_policies.openvla_oft.processing.prompt import OPENVLA_PROMPT
from sfbench_policies.openvla_oft.processing.scaling import VectorStatistics
from sfbench_policies.openvla_oft.processor import ProcessingConfig, Processor
from sfbench_policies.openvla_oft.tokenizer import LlamaTokenizer
from sfbench_suites.libero.spec import env_spec

from sfbench.contracts import (
    EnvSpec,
    Gripper,
    Observation,
    Orientation,
    PolicyContext,
    RotationSign,
    RunsIn,
    VectorPart,
    check_compatible,
)
from sfbench.errors import PolicyError, SpecMismatchError, UnknownNameError, UsageError
from sfbench.registry import PolicyRecipe
from tests.policies.openvla_oft import tiny
from tests.policies.openvla_oft.published import (
    MICRO_BASE,
    MICRO_OFT,
    TINY_OFT,
    fixture,
    write_published,
    write_tokenizer,
)
from tests.policies.openvla_oft.suite_specs import (
    bimanual_env,
    episode,
    fake_observation,
    libero_env,
)

CAMERAS = (SCENE_CAMERA, WRIST_CAMERA)
TEXTS = ("Pick up the bowl", "place it", "pick up the bowl and place it")
STATISTICS = tiny.STATISTICS["tiny_no_noops"]


def published_policy(folder: Path, env: EnvSpec, **settings: Any) -> OpenVlaPolicy:
    """A tiny published checkpoint behind the interface."""
    write_published(folder, MICRO_OFT)
    config = OpenVlaOft7bConfig(checkpoint=str(folder), dtype="float32", device="cpu", **settings)
    bundle, _ = published_bundle(config, MICRO_OFT)
    return OpenVlaPolicy(bundle, PolicyContext(env), describe("tiny", str(folder), {}))


def started(policy: OpenVlaPolicy) -> OpenVlaPolicy:
    for slot, text in enumerate(TEXTS):
        policy.reset(slot, episode(text))
    return policy


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> OpenVlaPolicy:
    return started(published_policy(tmp_path_factory.mktemp("tiny"), libero_env()))


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Processor:
    """The processing of `openvla_oft_7b`, at its full image size."""
    file = tmp_path_factory.mktemp("tokens") / "tokenizer.json"
    write_tokenizer(file, 32000)
    return Processor(
        ProcessingConfig(
            image_steps=LIBERO_STEPS, prompt=OPENVLA_PROMPT, gripper=GripperRule.OPEN_ONE
        ),
        OPENVLA_OFT_7B,
        libero_interface(CAMERAS, STATE),
        LlamaTokenizer(file, 32000, 256),
        VectorStatistics.from_json(STATISTICS["action"], "action"),
        VectorStatistics.from_json(STATISTICS["proprio"], "proprio"),
    )


# Golden values: what the reference makes of an observation, and of the network's output


def test_an_observation_becomes_the_reference_s_tensors(processor: Processor) -> None:
    raw, want = tiny.observation(), fixture("reference_processing.npz")
    seen = Observation({name: raw[name] for name in CAMERAS}, want["state"])
    given = (Orientation.BOTTOM_UP,) * 2
    inputs = processor.inputs([seen], ["Pick up the bowl"], given)
    assert inputs.pixels_BVTCHW.shape == (1, 2, 2, 3, 224, 224)
    assert inputs.pixels_BVTCHW.dtype == torch.float32
    for tower, settings in enumerate(tiny.PREPROCESSOR["tvf_normalize_params"]):
        mean, std = np.array(settings["mean"]), np.array(settings["std"])
        pixels = np.moveaxis((want["views"] / 255 - mean) / std, -1, 1)
        difference = np.abs(inputs.pixels_BVTCHW[0, :, tower].numpy() - pixels)
        # One grey level, seldom: see test_processing.
        assert difference.max() <= 1.01 / 255 / std.min()
        assert (difference > 1e-5).mean() <= 1e-3
    assert inputs.state_BS is not None
    np.testing.assert_allclose(inputs.state_BS[0], want["normalised_state"], atol=1e-6)
    words = "in : what action should the robot take to pick up the bowl"
    assert inputs.prompts[0][0] == 1
    assert inputs.prompts[0][-1] == 3
    assert len(inputs.prompts[0]) >= len(words.split())


def test_network_outputs_become_the_reference_s_commands(processor: Processor) -> None:
    normalised = torch.from_numpy(fixture("reference_oft_tiny.npz")["trained_chunk"])[:1]
    got = processor.commands(normalised)
    want = fixture("reference_processing.npz")["chunk_commands"]
    np.testing.assert_allclose(got[0], want, atol=1e-5)
    assert set(np.unique(want[:, 6])) <= {-1.0, 0.0, 1.0}


def test_commands_become_targets_again(processor: Processor) -> None:
    normalised = torch.empty(2, 8, 7).uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    normalised[..., 6] = (normalised[..., 6] > 0).float()
    again = processor.targets(processor.commands(normalised))
    torch.testing.assert_close(again, normalised, rtol=0, atol=1e-6)


# The interface


def test_spec(policy: OpenVlaPolicy) -> None:
    env = libero_env()
    check_compatible(env, policy.spec)
    assert policy.spec.runs_in is RunsIn.MAIN
    assert (policy.spec.chunk_steps, policy.spec.open_loop_steps) == (8, 8)
    assert [need.name for need in policy.spec.cameras] == list(CAMERAS)
    assert policy.spec.card["image_steps"] == ["jpeg_95", "lanczos3", "centre_crop_90"]
    assert policy.spec.card["dtype"] == "float32"


def test_the_libero_suites_are_what_it_was_trained_on(tmp_path: Path) -> None:
    suite = env_spec(256, Orientation.MIRRORED, RotationSign.AS_SIMULATED)
    check_compatible(suite, published_policy(tmp_path, suite).spec)
    folded = env_spec(256, Orientation.MIRRORED, RotationSign.CANONICAL)
    with pytest.raises(SpecMismatchError, match="rotation_sign"):
        check_compatible(folded, published_policy(tmp_path, folded).spec)


def test_an_untrained_network_of_a_published_size_runs() -> None:
    """For measuring speed; here with the tiny sizes."""
    config = OpenVlaOft7bConfig(device="cpu", random_weights_seed=4)
    bundle = random_published_bundle(config, TINY_OFT, 4)
    policy = started(OpenVlaPolicy(bundle, PolicyContext(libero_env()), describe("x", "", {})))
    assert policy.spec.card["dtype"] == "bfloat16"
    assert bundle.model.language.llama.model.rotary_emb.inv_freq.dtype == torch.float32
    chunk = policy.act([fake_observation(libero_env(), 0)], [0])[0]
    assert chunk.shape == (8, 7)
    assert np.isfinite(chunk).all()


def test_a_batch_equals_single_calls_and_slots_keep_their_own(policy: OpenVlaPolicy) -> None:
    seen = [fake_observation(libero_env(), seed) for seed in range(3)]
    together = policy.act(seen, [0, 1, 2])
    for slot in (2, 0, 1):
        alone = policy.act([seen[slot]], [slot])[0]
        assert alone.shape == (8, 7)
        assert alone.dtype == np.float64
        np.testing.assert_allclose(alone, together[slot], rtol=0, atol=1e-5)
    swapped = policy.act([seen[1], seen[0]], [1, 0])
    np.testing.assert_allclose(swapped[0], together[1], rtol=0, atol=1e-5)
    other_text = policy.act([seen[0]], [1])[0]
    assert np.abs(other_text - together[0]).max() > 1e-4


def test_a_new_episode_forgets_the_last(policy: OpenVlaPolicy) -> None:
    seen = fake_observation(libero_env(), 0)
    before = policy.act([seen], [0])[0]
    policy.reset(0, episode(TEXTS[1]))
    assert not np.array_equal(policy.act([seen], [0])[0], before)
    policy.reset(0, episode(TEXTS[0].upper()))
    np.testing.assert_array_equal(policy.act([seen], [0])[0], before)


def test_any_orientation_of_a_camera_gives_the_same_actions(tmp_path: Path) -> None:
    """A suite may hand out raw images (bottom row first) or turned ones."""
    seen = fake_observation(libero_env(), 5)
    chunks = []
    for how, flip in (
        (Orientation.MIRRORED, np.s_[:, :]),
        (Orientation.BOTTOM_UP, np.s_[::-1, ::-1]),
        (Orientation.UPRIGHT, np.s_[:, ::-1]),
    ):
        env = libero_env(how)
        policy = started(published_policy(tmp_path, env))
        check_compatible(env, policy.spec)
        images = {name: image[flip] for name, image in seen.images.items()}
        chunks.append(policy.act([Observation(images, seen.state)], [0])[0])
    np.testing.assert_array_equal(chunks[0], chunks[1])
    np.testing.assert_array_equal(chunks[0], chunks[2])
    wrong = started(published_policy(tmp_path, libero_env(Orientation.BOTTOM_UP)))
    assert not np.array_equal(wrong.act([seen], [0])[0], chunks[0])


def test_both_views_and_the_state_matter(policy: OpenVlaPolicy) -> None:
    seen, other = fake_observation(libero_env(), 0), fake_observation(libero_env(), 1)
    before = policy.act([seen], [0])[0]
    for name in CAMERAS:
        images = {**seen.images, name: other.images[name]}
        assert not np.array_equal(policy.act([Observation(images, seen.state)], [0])[0], before)
    assert not np.array_equal(policy.act([Observation(seen.images, other.state)], [0])[0], before)


def change_state(**values: Any) -> EnvSpec:
    """LIBERO with one convention of its rotation changed."""
    env = libero_env()
    parts: list[VectorPart] = list(env.state.parts)
    parts[1] = replace(parts[1], **values)
    return replace(env, state=replace(env.state, parts=tuple(parts)))


def change_gripper() -> EnvSpec:
    env = libero_env()
    parts = list(env.action.parts)
    parts[2] = replace(parts[2], gripper=Gripper.OPENING_0_1)
    return replace(env, action=replace(env.action, parts=tuple(parts)))


@pytest.mark.parametrize(
    ("env", "text"),
    [
        (change_state(rotation_sign=RotationSign.CANONICAL), "rotation_sign"),
        (change_gripper(), "gripper: suite has opening_0_1, policy wants close_positive"),
        (replace(libero_env(), action=replace(libero_env().action, hz=10.0)), "action.hz"),
        (replace(libero_env(), cameras=libero_env().cameras[:1]), "robot0_eye_in_hand"),
        (bimanual_env(), "action parts"),
    ],
)
def test_a_convention_that_differs_is_refused(tmp_path: Path, env: EnvSpec, text: str) -> None:
    policy = published_policy(tmp_path, env)
    with pytest.raises(SpecMismatchError, match=text):
        check_compatible(env, policy.spec)


def test_base_openvla_reads_one_view_and_no_state(tmp_path: Path) -> None:
    write_published(tmp_path, MICRO_BASE)
    config = OpenVla7bConfig(checkpoint=str(tmp_path), dtype="float32", device="cpu")
    bundle, _ = published_bundle(config, MICRO_BASE)
    policy = started(OpenVlaPolicy(bundle, PolicyContext(libero_env()), describe("base", "x", {})))
    check_compatible(libero_env(), policy.spec)
    assert policy.spec.state is None
    assert (policy.spec.chunk_steps, policy.spec.open_loop_steps) == (1, 1)
    seen = [fake_observation(libero_env(), seed) for seed in range(3)]
    together = policy.act(seen, [0, 1, 2])
    for slot in range(3):
        np.testing.assert_array_equal(policy.act([seen[slot]], [slot])[0], together[slot])


# Bad input


def spoilt(**changes: Any) -> Observation:
    seen = fake_observation(libero_env(), 0)
    images = {**seen.images, **changes.get("images", {})}
    return Observation(
        {name: image for name, image in images.items() if image is not None},
        changes.get("state", seen.state),
    )


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (spoilt(images={"robot0_eye_in_hand": None}), "lacks camera 'robot0_eye_in_hand'"),
        (spoilt(images={"agentview": np.zeros((8, 8, 3))}), "float64"),
        (spoilt(images={"agentview": np.zeros((8, 8), np.uint8)}), r"\(8, 8\)"),
        (spoilt(state=np.zeros(7)), "needs 8 finite"),
        (spoilt(state=np.full(8, np.nan)), "finite False"),
    ],
)
def test_a_bad_observation_is_the_policy_s_error(
    policy: OpenVlaPolicy, seen: Observation, text: str
) -> None:
    with pytest.raises(PolicyError, match=text):
        policy.act([seen], [0])


def test_a_slot_that_was_never_reset_has_no_instruction(policy: OpenVlaPolicy) -> None:
    with pytest.raises(PolicyError, match=r"\[9\]"):
        policy.act([fake_observation(libero_env(), 0)], [9])


def test_nan_in_the_network_is_told(tmp_path: Path) -> None:
    policy = started(published_policy(tmp_path, libero_env()))
    with torch.no_grad():
        policy._model.action_head.fc_out.bias[3] = float("nan")
    with pytest.raises(PolicyError, match="not finite"):
        policy.act([fake_observation(libero_env(), 0)], [0])


@pytest.mark.parametrize("name", ["openvla_7b", "openvla_oft_7b", "openvla_oft_7b_sf"])
def test_weights_have_to_be_asked_for(name: str) -> None:
    config = OpenVla7bConfig() if name == "openvla_7b" else OpenVlaOft7bConfig()
    with pytest.raises(UsageError, match=r"checkpoint=FOLDER.*random_weights_seed"):
        PolicyRecipe(name, config).build(PolicyContext(libero_env()))


def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    context = PolicyContext(libero_env())
    with pytest.raises(UsageError, match="not both"):
        make_openvla_oft_micro(SmallConfig(checkpoint="x", random_weights_seed=0), context)
    with pytest.raises(UnknownNameError, match="float32"):
        make_openvla_oft_micro(SmallConfig(random_weights_seed=0, dtype="float31"), context)
    write_published(tmp_path, MICRO_OFT)
    with pytest.raises(UnknownNameError, match="Did you mean 'lanczos3'"):
        published_bundle(
            OpenVlaOft7bConfig(checkpoint=str(tmp_path), image_steps=["lanczos"]), MICRO_OFT
        )
    with pytest.raises(UsageError, match="views: got 1, the model has 2"):
        published_bundle(
            OpenVlaOft7bConfig(checkpoint=str(tmp_path), cameras=["agentview"]), MICRO_OFT
        )
    with pytest.raises(UsageError, match="hidden_size"):
        make_openvla_oft_7b(OpenVlaOft7bConfig(checkpoint=str(tmp_path)), context)
