"""What a user may set: `suite.<key>=<value>` on the command line."""

from dataclasses import dataclass
from enum import StrEnum


class ActionSpace(StrEnum):
    """What an action means."""

    QPOS = "qpos"
    """Per arm 7 absolute joint angles (rad) and the gripper's opening (0 to 1)."""
    EE = "ee"
    """Per arm the tool's position (m) and quaternion (wxyz) in the table frame, and the gripper."""


@dataclass(kw_only=True)
class RobotwinConfig:
    """Settings of `robotwin_clean`.

    Attributes:
        action_space: how actions are read.
        camera_width: of the head and wrist cameras, px; RoboTwin's own is 320.
        camera_height: likewise; RoboTwin's own is 240.
        video_width: of the front camera, px, which is there for videos.
        video_height: likewise.
    """

    action_space: ActionSpace = ActionSpace.QPOS
    camera_width: int = 128
    camera_height: int = 128
    video_width: int = 320
    video_height: int = 240
