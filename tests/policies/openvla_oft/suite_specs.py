"""Env specs as suites give them, without a suite."""

from dataclasses import replace

import numpy as np
from sfbench_policies.common.libero import ACTION, SCENE_CAMERA, STATE, WRIST_CAMERA

from sfbench.contracts import (
    ActionSpec,
    CameraSpec,
    EnvSpec,
    EpisodeContext,
    EpisodeSpec,
    Frame,
    Gripper,
    Observation,
    Orientation,
    Quantity,
    Rotation,
    RotationSign,
    Split,
    VectorPart,
    VectorSpec,
)


def libero_env(orientation: Orientation = Orientation.MIRRORED, camera_px: int = 256) -> EnvSpec:
    """LIBERO's conventions, with names of its own for the parts."""
    action = tuple(replace(part, name=f"action_{part.name}") for part in ACTION.parts)
    return EnvSpec(
        action=replace(ACTION, parts=action),
        state=STATE,
        cameras=tuple(
            CameraSpec(name=name, height=camera_px, width=camera_px, orientation=orientation)
            for name in (SCENE_CAMERA, WRIST_CAMERA)
        ),
        video_camera="agentview",
    )


def _arm(side: str) -> tuple[VectorPart, ...]:
    return (
        VectorPart(
            name=f"{side}_pos",
            quantity=Quantity.POSITION,
            low=(-0.6,) * 3,
            high=(0.6,) * 3,
            frame=Frame.TABLE,
        ),
        VectorPart(
            name=f"{side}_rot",
            quantity=Quantity.ROTATION,
            low=(-1.0,) * 4,
            high=(1.0,) * 4,
            frame=Frame.TABLE,
            rotation=Rotation.QUAT_WXYZ,
            rotation_sign=RotationSign.CANONICAL,
        ),
        VectorPart(
            name=f"{side}_gripper",
            quantity=Quantity.GRIPPER,
            low=(0.0,),
            high=(1.0,),
            gripper=Gripper.OPENING_0_1,
        ),
    )


def bimanual_env() -> EnvSpec:
    """Two arms, 16 action and state numbers, three cameras of 128 px and one for videos."""
    parts = (*_arm("left"), *_arm("right"))
    return EnvSpec(
        action=ActionSpec(name="action", parts=parts, hz=10.0),
        state=VectorSpec(name="state", parts=parts),
        cameras=tuple(
            CameraSpec(name=name, height=128, width=128)
            for name in ("head_camera", "left_camera", "right_camera", "front_camera")
        ),
        video_camera="front_camera",
    )


def fake_observation(env: EnvSpec, seed: int) -> Observation:
    """Random images, and a state inside its bounds."""
    random = np.random.default_rng(seed)
    images = {
        camera.name: random.integers(0, 256, (camera.height, camera.width, 3), np.uint8)
        for camera in env.cameras
    }
    return Observation(images, random.uniform(env.state.low, env.state.high))


def episode(instruction: str) -> EpisodeContext:
    """The start of an episode with that instruction."""
    spec = EpisodeSpec(
        suite="s",
        task="t",
        instruction=instruction,
        instruction_split="seen",
        init_state=0,
        split=Split.EVAL,
        seed=0,
        repeat=0,
        budget_steps=10,
    )
    return EpisodeContext(spec, seed=1)
