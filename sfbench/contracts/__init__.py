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
from sfbench.contracts.env import (
    CameraMatrices,
    Env,
    Expert,
    Observation,
    PrivilegedEnv,
    Suite,
    Task,
)
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
from sfbench.contracts.recorded import RecordedEnv, RecordedStart, RecordedSuite
from sfbench.contracts.spec_json import action_from_json, vector_from_json
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
    "CameraMatrices",
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
    "PrivilegedEnv",
    "ProtocolCard",
    "Quantity",
    "RecordedEnv",
    "RecordedStart",
    "RecordedSuite",
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
    "action_from_json",
    "check_compatible",
    "differences",
    "stable_hash",
    "upright",
    "vector_from_json",
]
