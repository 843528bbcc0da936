"""The layout of states and actions, and the cameras, for both action spaces."""

from sfbench.contracts import (
    ActionSpec,
    CameraSpec,
    EnvSpec,
    Frame,
    Gripper,
    Quantity,
    Rotation,
    RotationSign,
    VectorPart,
    VectorSpec,
)

from .config import ActionSpace, RobotwinConfig
from .robot.panda import Side, limits
from .scene.room import CONTROL_HZ, cameras

VIDEO_CAMERA = "front_camera"

# Where a tool may be asked to go, in the table frame: the table, a margin, and 60 cm above it.
EE_LOW_M, EE_HIGH_M = (-0.65, -0.45, -0.02), (0.65, 0.40, 0.60)


def env_spec(config: RobotwinConfig) -> EnvSpec:
    """What the suite takes and gives, for these settings."""
    arms = _ee_parts if config.action_space is ActionSpace.EE else _qpos_parts
    sizes = {VIDEO_CAMERA: (config.video_height, config.video_width)}
    default = (config.camera_height, config.camera_width)
    return EnvSpec(
        action=ActionSpec(
            name=f"robotwin_{config.action_space}",
            parts=tuple(part for side in Side for part in arms(side)),
            hz=CONTROL_HZ,
        ),
        state=VectorSpec(
            name="robotwin_state", parts=tuple(part for side in Side for part in _qpos_parts(side))
        ),
        cameras=tuple(
            CameraSpec(
                name=camera.name,
                height=sizes.get(camera.name, default)[0],
                width=sizes.get(camera.name, default)[1],
            )
            for camera in cameras()
        ),
        video_camera=VIDEO_CAMERA,
    )


def _qpos_parts(side: Side) -> tuple[VectorPart, ...]:
    low, high = limits()
    arm = VectorPart(name=f"{side}_arm", quantity=Quantity.JOINT_POSITION, low=low, high=high)
    return arm, _gripper(side)


def _ee_parts(side: Side) -> tuple[VectorPart, ...]:
    return (
        VectorPart(
            name=f"{side}_pos",
            quantity=Quantity.POSITION,
            low=EE_LOW_M,
            high=EE_HIGH_M,
            frame=Frame.TABLE,
        ),
        VectorPart(
            name=f"{side}_rot",
            quantity=Quantity.ROTATION,
            low=(-1.0,) * 4,
            high=(1.0,) * 4,
            frame=Frame.TABLE,
            rotation=Rotation.QUAT_WXYZ,
            # The controller takes both forms; demonstrations have this one.
            rotation_sign=RotationSign.NEAR_HOME,
        ),
        _gripper(side),
    )


def _gripper(side: Side) -> VectorPart:
    return VectorPart(
        name=f"{side}_gripper",
        quantity=Quantity.GRIPPER,
        low=(0.0,),
        high=(1.0,),
        gripper=Gripper.OPENING_0_1,
    )
