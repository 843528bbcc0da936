"""Conventions are compared field by field, and every difference is named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sfbench.contracts import (
    ActionSpec,
    CameraNeed,
    CameraSpec,
    EnvSpec,
    Frame,
    Gripper,
    Orientation,
    PolicySpec,
    Quantity,
    Reference,
    Rotation,
    RotationSign,
    RunsIn,
    VectorPart,
    VectorSpec,
    check_compatible,
    upright,
)
from sfbench.errors import SpecMismatchError

POSITION = VectorPart(
    name="pos", quantity=Quantity.POSITION, low=(-1.0,) * 3, high=(1.0,) * 3, frame=Frame.WORLD
)
ROTATION = VectorPart(
    name="rot",
    quantity=Quantity.ROTATION,
    low=(-1.0,) * 4,
    high=(1.0,) * 4,
    frame=Frame.WORLD,
    rotation=Rotation.QUAT_WXYZ,
    rotation_sign=RotationSign.CANONICAL,
)
GRIPPER = VectorPart(
    name="grip", quantity=Quantity.GRIPPER, low=(0.0,), high=(1.0,), gripper=Gripper.OPENING_0_1
)
ACTION = ActionSpec(name="ee", parts=(POSITION, ROTATION, GRIPPER), hz=20.0)
ENV = EnvSpec(
    action=ACTION,
    state=VectorSpec(name="pose", parts=(POSITION, ROTATION)),
    cameras=(CameraSpec(name="head", height=128, width=128),),
    video_camera="head",
)


def policy(action: ActionSpec = ACTION, **changes: Any) -> PolicySpec:
    return PolicySpec(name="p", runs_in=RunsIn.MAIN, action=action, **changes)


def with_part(index: int, **changes: Any) -> ActionSpec:
    parts = list(ACTION.parts)
    parts[index] = replace(parts[index], **changes)
    return replace(ACTION, parts=tuple(parts))


def test_equal_conventions_pass() -> None:
    check_compatible(ENV, policy(cameras=(CameraNeed(name="head"),), state=ENV.state))


def test_narrower_bounds_pass() -> None:
    check_compatible(ENV, policy(with_part(0, low=(-0.5,) * 3)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (policy(with_part(0, frame=Frame.BASE)), "action.pos frame: suite has world"),
        (policy(with_part(0, reference=Reference.DELTA)), "policy wants delta"),
        (policy(with_part(1, rotation=Rotation.QUAT_XYZW)), "policy wants quat_xyzw"),
        (
            policy(with_part(1, rotation_sign=RotationSign.AS_SIMULATED)),
            "action.rot rotation_sign: suite has canonical, policy wants as_simulated",
        ),
        (policy(with_part(2, gripper=Gripper.CLOSE_POSITIVE)), "policy wants close_positive"),
        (policy(replace(ACTION, hz=10.0)), "action.hz: suite has 20, policy wants 10"),
        (policy(replace(ACTION, parts=ACTION.parts[:2])), "action parts: suite has"),
        (policy(with_part(0, low=(0.0,), high=(1.0,))), "size: suite has 3, policy wants 1"),
        (policy(state=replace(ENV.state, parts=(POSITION,))), "state parts: suite has"),
        (policy(cameras=(CameraNeed(name="wrist"),)), "it has head"),
        (policy(cameras=(CameraNeed(name="head", height=224),)), "policy wants 224"),
        (
            policy(cameras=(CameraNeed(name="head", orientation=Orientation.MIRRORED),)),
            "orientation: suite gives upright, policy wants mirrored",
        ),
        (policy(chunk_steps=8, open_loop_steps=9), "got 9, allowed 1 to 8"),
    ],
)
def test_a_mismatch_is_named(spec: PolicySpec, message: str) -> None:
    with pytest.raises(SpecMismatchError) as error:
        check_compatible(ENV, spec)
    assert message in str(error.value)


def test_all_mismatches_are_listed() -> None:
    spec = policy(replace(with_part(0, frame=Frame.BASE), hz=5.0))
    with pytest.raises(SpecMismatchError) as error:
        check_compatible(ENV, spec)
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(
    "changes",
    [{"low": (0.0,)}, {"rotation": Rotation.QUAT_WXYZ}, {"gripper": Gripper.OPENING_0_1}],
)
def test_an_unsound_part_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="part 'pos'"):
        replace(POSITION, **changes)


def test_slices_follow_the_parts() -> None:
    assert ACTION.size == 8
    assert ACTION.slice_of("rot") == slice(3, 7)
    with pytest.raises(KeyError):
        ACTION.slice_of("tail")


@pytest.mark.parametrize(
    ("orientation", "top_left"),
    [(Orientation.UPRIGHT, 0), (Orientation.BOTTOM_UP, 2), (Orientation.MIRRORED, 1)],
)
def test_upright(orientation: Orientation, top_left: int) -> None:
    image = np.array([[0, 1], [2, 3]], np.uint8)
    assert upright(image, orientation)[0, 0] == top_left
