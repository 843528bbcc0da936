"""Conventions as types: what the numbers in a state or an action mean.

Every misread convention in the field (a flipped gripper, xyzw read as wxyz, a mirrored image) looks
like a bad policy. Here each is an enum, compared before episode 0.
"""

from enum import StrEnum


class Quantity(StrEnum):
    """What a part of a state or action vector measures."""

    JOINT_POSITION = "joint_position"
    """Joint angles in rad."""
    POSITION = "position"
    """Cartesian position, or displacement, in m."""
    ROTATION = "rotation"
    """Orientation, or change of it, in the part's `rotation` form."""
    GRIPPER = "gripper"
    """Gripper command or opening, in the part's `gripper` convention."""


class Reference(StrEnum):
    """Whether an action is a target or a change."""

    ABSOLUTE = "absolute"
    DELTA = "delta"
    """Added to the current pose, in units of the controller's output range."""


class Frame(StrEnum):
    """The frame that positions and rotations are expressed in."""

    JOINT = "joint"
    """Not Cartesian."""
    WORLD = "world"
    TABLE = "table"
    """Origin at the centre of the table top, z up."""
    BASE = "base"
    """The robot's own base."""
    TOOL = "tool"


class Rotation(StrEnum):
    """How a rotation is written."""

    AXIS_ANGLE = "axis_angle"
    """Unit axis times angle in rad, 3 numbers."""
    QUAT_WXYZ = "quat_wxyz"
    QUAT_XYZW = "quat_xyzw"


class RotationSign(StrEnum):
    """Which of the two equal forms (q and -q) of a rotation is given."""

    CANONICAL = "canonical"
    """w >= 0, angle in 0 to pi."""
    NEAR_HOME = "near_home"
    """Nearer to the robot's orientation at home: grippers that point down have w about 0, where
    the canonical form jumps."""
    AS_SIMULATED = "as_simulated"
    """Whatever the simulator holds; angle in 0 to 2 pi. robosuite, OpenVLA-OFT and openpi do so."""


class Gripper(StrEnum):
    """What a gripper number means."""

    OPENING_0_1 = "opening_0_1"
    """0 closed, 1 open."""
    CLOSE_POSITIVE = "close_positive"
    """-1 opens, +1 closes; robosuite's command."""
    FINGER_POSITIONS = "finger_positions"
    """The finger joints' positions in m, one number a finger."""


class Orientation(StrEnum):
    """How an image's rows and columns lie, against what someone standing at the camera sees."""

    UPRIGHT = "upright"
    """Row 0 is the top, column 0 the left."""
    BOTTOM_UP = "bottom_up"
    """Row 0 is the bottom: OpenGL's order, robosuite's default."""
    MIRRORED = "mirrored"
    """Row 0 is the top, column 0 the right: a bottom-up image turned by 180 degrees."""


class RunsIn(StrEnum):
    """Where a policy's code runs."""

    MAIN = "main"
    """In the main process, batched over slots: networks and remote policies."""
    WORKER = "worker"
    """In the worker, beside the Env: policies that read the simulator's true state."""


class Split(StrEnum):
    """The disjoint sets of initial states."""

    TRAIN = "train"
    """Drawn by the task's own sampler; demonstrations come from here."""
    SELECT = "select"
    """For choosing hyper-parameters and checkpoints."""
    EVAL = "eval"
    """The published list; reported numbers come from here."""
