"""The layout of actions and states, and the cameras."""

from sfbench.contracts import (
    ActionSpec,
    CameraSpec,
    EnvSpec,
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

CONTROL_HZ = 20.0
AGENT_CAMERA = "agentview"
WRIST_CAMERA = "robot0_eye_in_hand"

_FULL_TURN_RAD = 6.2831855


def env_spec(render_px: int, orientation: Orientation, sign: RotationSign) -> EnvSpec:
    """What every LIBERO suite takes and gives, for these settings."""
    return EnvSpec(
        action=_action(),
        state=_state(sign),
        cameras=tuple(
            CameraSpec(name=name, height=render_px, width=render_px, orientation=orientation)
            for name in (AGENT_CAMERA, WRIST_CAMERA)
        ),
        video_camera=AGENT_CAMERA,
    )


def _action() -> ActionSpec:
    """Changes of the grip's pose; 1 is 5 cm or 0.5 rad."""
    low, high = (-1.0,) * 3, (1.0,) * 3
    return ActionSpec(
        name="libero_osc_pose",
        hz=CONTROL_HZ,
        parts=(
            VectorPart(
                name="eef_pos",
                quantity=Quantity.POSITION,
                frame=Frame.WORLD,
                reference=Reference.DELTA,
                low=low,
                high=high,
            ),
            VectorPart(
                name="eef_rot",
                quantity=Quantity.ROTATION,
                frame=Frame.WORLD,
                reference=Reference.DELTA,
                rotation=Rotation.AXIS_ANGLE,
                low=low,
                high=high,
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


def _state(sign: RotationSign) -> VectorSpec:
    return VectorSpec(
        name="libero_state",
        parts=(
            VectorPart(
                name="eef_pos",
                quantity=Quantity.POSITION,
                frame=Frame.WORLD,
                low=(-2.0,) * 3,
                high=(2.0,) * 3,
            ),
            VectorPart(
                name="eef_rot",
                quantity=Quantity.ROTATION,
                frame=Frame.WORLD,
                low=(-_FULL_TURN_RAD,) * 3,
                high=(_FULL_TURN_RAD,) * 3,
                rotation=Rotation.AXIS_ANGLE,
                rotation_sign=sign,
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
