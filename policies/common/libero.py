"""What the published LIBERO data sets hold: action, state and orientation.

Source: `examples/libero/main.py` in Physical-Intelligence/openpi at 15a9616, and
`experiments/robot/libero/run_libero_eval.py` in moojink/openvla-oft.
"""

from collections.abc import Sequence

from sfbench.contracts import (
    ActionSpec,
    Frame,
    Gripper,
    Orientation,
    Quantity,
    Reference,
    Rotation,
    RotationSign,
    VectorPart,
    VectorSpec,
)

from .interface import Interface

SCENE_CAMERA, WRIST_CAMERA = "agentview", "robot0_eye_in_hand"
ORIENTATION = Orientation.MIRRORED

# OSC_POSE: changes of the gripper's pose along the world's axes, in units of the controller's
# output range; 20 of them a second.
ACTION = ActionSpec(
    name="action",
    hz=20.0,
    parts=(
        VectorPart(
            name="eef_pos",
            quantity=Quantity.POSITION,
            low=(-1.0,) * 3,
            high=(1.0,) * 3,
            frame=Frame.WORLD,
            reference=Reference.DELTA,
        ),
        VectorPart(
            name="eef_rot",
            quantity=Quantity.ROTATION,
            low=(-1.0,) * 3,
            high=(1.0,) * 3,
            frame=Frame.WORLD,
            reference=Reference.DELTA,
            rotation=Rotation.AXIS_ANGLE,
        ),
        VectorPart(
            name="gripper",
            quantity=Quantity.GRIPPER,
            low=(-1.0,),
            high=(1.0,),
            gripper=Gripper.CLOSE_POSITIVE,
        ),
    ),
)
_TURN_RAD = 6.2831855
STATE = VectorSpec(
    name="state",
    parts=(
        VectorPart(
            name="eef_pos",
            quantity=Quantity.POSITION,
            low=(-2.0,) * 3,
            high=(2.0,) * 3,
            frame=Frame.WORLD,
        ),
        VectorPart(
            name="eef_rot",
            quantity=Quantity.ROTATION,
            low=(-_TURN_RAD,) * 3,
            high=(_TURN_RAD,) * 3,
            frame=Frame.WORLD,
            rotation=Rotation.AXIS_ANGLE,
            rotation_sign=RotationSign.AS_SIMULATED,
        ),
        VectorPart(
            name="gripper_qpos",
            quantity=Quantity.GRIPPER,
            low=(-0.1,) * 2,
            high=(0.1,) * 2,
            gripper=Gripper.FINGER_POSITIONS,
        ),
    ),
)


def libero_interface(cameras: Sequence[str], state: VectorSpec | None) -> Interface:
    """What a published LIBERO checkpoint reads and writes; `state` is STATE, or None."""
    return Interface(cameras=tuple(cameras), orientation=ORIENTATION, action=ACTION, state=state)
