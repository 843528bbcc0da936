"""The contracts between engine, suites and policies: one import for all of them."""

from sfbench.contracts.card import ProtocolCard, differences, stable_hash
from sfbench.contracts.conventions import (
    Frame,
    Gripper,
    Orientation,
    Quantity,
    Reference,
    Rotation,
    RotationSign,
    RunsIn,
    Split,
)
from sfbench.contracts.env import Env, Expert, Observation, Suite, Task
from sfbench.contracts.episode import (
    ROW_SCHEMA,
    VOLATILE_FIELDS,
    Cause,
    EpisodeKey,
    EpisodeRow,
    EpisodeSpec,
    Status,
)
from sfbench.contracts.images import upright
from sfbench.contracts.policy import EpisodeContext, Policy, PolicyContext
from sfbench.contracts.specs import (
    ActionSpec,
    CameraNeed,
    CameraSpec,
    EnvSpec,
    Json,
    PolicySpec,
    VectorPart,
    VectorSpec,
    check_compatible,
)

__all__ = [
    "ROW_SCHEMA",
    "VOLATILE_FIELDS",
    "ActionSpec",
    "CameraNeed",
    "CameraSpec",
    "Cause",
    "Env",
    "EnvSpec",
    "EpisodeContext",
    "EpisodeKey",
    "EpisodeRow",
    "EpisodeSpec",
    "Expert",
    "Frame",
    "Gripper",
    "Json",
    "Observation",
    "Orientation",
    "Policy",
    "PolicyContext",
    "PolicySpec",
    "ProtocolCard",
    "Quantity",
    "Reference",
    "Rotation",
    "RotationSign",
    "RunsIn",
    "Split",
    "Status",
    "Suite",
    "Task",
    "VectorPart",
    "VectorSpec",
    "check_compatible",
    "differences",
    "stable_hash",
    "upright",
]
