"""Every transform against the reference's own code (see make_image_fixtures.py), or its inverse."""

import numpy as np
import pytest
import torch
from sfbench_policies.common.orientation import turn
from sfbench_policies.openvla_oft.action_tokens import ActionTokens
from sfbench_policies.openvla_oft.processing.crop import centre_crop
from sfbench_policies.openvla_oft.processing.gripper import GripperRule, to_command, to_model
from sfbench_policies.openvla_oft.processing.images import (
    LIBERO_STEPS,
    apply_steps,
    to_image,
    to_pixels,
)
from sfbench_policies.openvla_oft.processing.jpeg import jpeg_round_trip
from sfbench_policies.openvla_oft.processing.prompt import OPENVLA_PROMPT, check_template, fill
from sfbench_policies.openvla_oft.processing.resize import lanczos3
from sfbench_policies.openvla_oft.processing.scaling import VectorStatistics

from sfbench.contracts import Orientation
from sfbench.errors import UsageError
from tests.policies.openvla_oft import tiny
from tests.policies.openvla_oft.published import fixture

IMAGES = tiny.images()
ACTION = VectorStatistics.from_json(tiny.STATISTICS["tiny_no_noops"]["action"], "action")
STATE = VectorStatistics.from_json(tiny.STATISTICS["tiny_no_noops"]["proprio"], "state")
GRIPPER = (slice(6, 7),)


@pytest.fixture(scope="module")
def wanted() -> dict[str, np.ndarray]:
    return fixture("reference_processing.npz")


def levels(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Differences in grey levels."""
    assert got.shape == want.shape
    assert got.dtype == want.dtype == np.uint8
    return np.abs(got.astype(int) - want.astype(int))


@pytest.mark.parametrize("name", IMAGES)
def test_jpeg_is_tensorflow_s_to_the_bit(wanted: dict[str, np.ndarray], name: str) -> None:
    assert levels(jpeg_round_trip(IMAGES[name]), wanted[f"jpeg_{name}"]).max() == 0
    assert levels(IMAGES[name], wanted[f"jpeg_{name}"]).max() > 0


@pytest.mark.parametrize("name", IMAGES)
def test_lanczos3_is_tensorflow_s_within_a_level(wanted: dict[str, np.ndarray], name: str) -> None:
    difference = levels(lanczos3(IMAGES[name], (64, 64)), wanted[f"lanczos_{name}"])
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


def test_lanczos3_of_the_same_size_changes_nothing() -> None:
    np.testing.assert_array_equal(lanczos3(IMAGES["odd"], (51, 70)), IMAGES["odd"])


def test_centre_crop_is_tensorflow_s_within_a_level(wanted: dict[str, np.ndarray]) -> None:
    difference = levels(centre_crop(wanted["resized"], 0.9), wanted["views"][0])
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


def test_centre_crop_of_everything_changes_nothing() -> None:
    np.testing.assert_array_equal(centre_crop(IMAGES["scene"], 1.0), IMAGES["scene"])


@pytest.mark.parametrize("view", [0, 1])
def test_a_simulator_s_image_becomes_the_reference_s(
    wanted: dict[str, np.ndarray], view: int
) -> None:
    """Turn, JPEG, resize and crop in a row."""
    raw = tiny.observation()[("agentview", "robot0_eye_in_hand")[view]]
    turned = turn(raw, Orientation.BOTTOM_UP, Orientation.MIRRORED)
    difference = levels(apply_steps(turned, LIBERO_STEPS, 224), wanted["views"][view])
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


def test_bottom_up_to_mirrored_is_a_turn_by_180_degrees() -> None:
    image = IMAGES["odd"]
    turned = turn(image, Orientation.BOTTOM_UP, Orientation.MIRRORED)
    np.testing.assert_array_equal(turned, np.rot90(image, 2))


@pytest.mark.parametrize("have", Orientation)
@pytest.mark.parametrize("want", Orientation)
def test_turning_there_and_back(have: Orientation, want: Orientation) -> None:
    image = IMAGES["odd"]
    np.testing.assert_array_equal(turn(turn(image, have, want), want, have), image)
    assert np.array_equal(turn(image, have, want), image) == (have is want)


def test_pixels_are_the_reference_s_image_processor_s() -> None:
    want = fixture("reference_oft_tiny.npz")["pixel_values"][0].reshape(2, 3, 28, 28)
    image = IMAGES["noise"][: tiny.IMAGE_PX, : tiny.IMAGE_PX]
    for tower, settings in enumerate(tiny.PREPROCESSOR["tvf_normalize_params"]):
        pixels = to_pixels(image, settings["mean"], settings["std"])
        np.testing.assert_allclose(pixels, want[tower], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(to_image(pixels, settings["mean"], settings["std"]), image)


def test_states_are_scaled_as_the_reference_does(wanted: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(
        STATE.scale_state(wanted["state"]), wanted["normalised_state"], rtol=0, atol=1e-12
    )
    # w < 0 stays as simulated: the axis-angle form is longer than pi, and not folded back.
    assert np.linalg.norm(wanted["state"][3:6]) > np.pi


def test_gripper_commands_are_the_reference_s(wanted: dict[str, np.ndarray]) -> None:
    commands = to_command(tiny.unnormalised_actions(), GripperRule.OPEN_ONE, GRIPPER)
    np.testing.assert_array_equal(commands, wanted["commands"])
    open_and_closed = commands[[1, 0], -1]
    np.testing.assert_array_equal(open_and_closed, [-1, 1])


@pytest.mark.parametrize("rule", GripperRule)
def test_gripper_commands_there_and_back(rule: GripperRule) -> None:
    commands = np.random.default_rng(0).uniform(-1, 1, (4, 7))
    commands[:, 6] = [-1, 1, 1, -1]
    np.testing.assert_array_equal(
        to_command(to_model(commands, rule, GRIPPER), rule, GRIPPER), commands
    )
    assert (to_model(commands, GripperRule.OPEN_ONE, GRIPPER)[:, 6] == [1, 0, 0, 1]).all()


def test_scaling_there_and_back() -> None:
    inside = np.random.default_rng(0).uniform(ACTION.q01, ACTION.q99, (50, 7))
    np.testing.assert_allclose(ACTION.unscale(ACTION.scale_target(inside)), inside, atol=1e-7)


def test_the_mask_leaves_a_number_alone() -> None:
    values = np.full(7, 0.25)
    assert ACTION.unscale(values)[6] == 0.25
    assert ACTION.scale_target(values)[6] == 0.25
    assert ACTION.unscale(values)[0] == pytest.approx(0.5 * 1.25 * (0.93 + 0.74) - 0.74)


def test_targets_are_clipped_and_constant_numbers_are_zero() -> None:
    rows = np.column_stack([np.linspace(-1, 1, 201), np.full(201, 3.0)])
    statistics = VectorStatistics.from_data(rows, [True, True])
    targets = statistics.scale_target(rows)
    assert targets[:, 0].min() == -1
    assert targets[:, 0].max() == 1
    assert statistics.q01[0] == pytest.approx(-0.98)
    assert (targets[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"q99": None}, "lacks q99"),
        ({"q01": [0.0]}, "differ in length"),
        ({"q01": [float("nan")] * 7}, "not finite"),
    ],
)
def test_broken_statistics_are_refused(change: dict[str, object], text: str) -> None:
    entry = {**tiny.STATISTICS["tiny_no_noops"]["action"], **change}
    with pytest.raises(UsageError, match=text):
        VectorStatistics.from_json({k: v for k, v in entry.items() if v is not None}, "x")


def test_action_tokens_there_and_back() -> None:
    tokens = ActionTokens(token_vocab=32000)
    values = torch.linspace(-1, 1, 1001, dtype=torch.float64)
    ids = tokens.encode(values)
    assert int(ids.min()) == 31744
    assert int(ids.max()) == 31999
    assert (tokens.decode(ids) - values).abs().max() <= 1 / 255 + 1e-9
    assert (
        tokens.decode(torch.tensor([5, 32063])) == tokens.decode(torch.tensor([31744, 31999]))
    ).all()


def test_prompt_is_lower_case_and_takes_the_instruction() -> None:
    want = "In: What action should the robot take to put the bowl {1} down?\nOut:"
    assert fill(OPENVLA_PROMPT, "Put the Bowl {1} down") == want
    with pytest.raises(UsageError, match=r"one '\{instruction\}'"):
        check_template("do it")
