"""How published evaluations run LIBERO: one `Preset` each, every cell read from their sources.

A cell that a source leaves to the policy is `POLICY`; nothing is guessed. An Env obeys some of the
rows; the others say what the source's policies do, and are shown in the protocol card.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Literal

from sfbench.contracts import Json, Orientation, RotationSign
from sfbench.errors import UnknownNameError

Open = Literal["policy"]
POLICY: Open = "policy"

SETTLE_OPEN = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SETTLE_ZERO = (0.0,) * 7


class GripperRule(StrEnum):
    """What the environment does to the gripper number before robosuite takes its sign."""

    RAW = "raw"
    """Nothing: exactly 0 holds."""
    THRESHOLD = "threshold"
    """Below 0 opens, everything else closes: exactly 0 closes."""


class SeedRule(StrEnum):
    """When a source calls `env.seed`, which decides where its fixtures stand."""

    ONCE_PER_TASK = "once_per_task"
    EVERY_RESET = "every_reset"
    """With the seed plus the episode's index."""
    NEVER = "never"
    """Only the global generator is seeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One published protocol.

    Attributes:
        name: as typed after `preset=`.
        source: repository and commit that was read.
        settle_steps: control steps before the policy's first observation, outside the budget.
        settle_action: what is sent meanwhile.
        budget_steps: control steps allowed, by suite.
        render_px: height and width of both cameras.
        orientation: how the images lie that the policy reads.
        rotation_sign: of the axis-angle in the state vector.
        gripper_rule: see GripperRule.
        env_seed: given to `env.seed`.
        seed_rule: when.
        global_seed: given to numpy's global generator when the program starts.
        init_state_order: which initial state an episode starts from.
        episodes_per_task: how many a published number rests on.
        resize: what happens to an image before the network sees it.
        gripper_action: what happens to the network's gripper output.
        quat_to_axis_angle: the formula.
        chunk_steps: actions a network predicts at once.
        executed_steps: of these, how many are executed.
        on_exception: how the source counts an episode that raises.
        pins: versions that the source fixes.
        notes: where the source lets a model server ask for something else.
    """

    name: str
    source: str
    settle_steps: int
    settle_action: tuple[float, ...]
    budget_steps: Mapping[str, int]
    render_px: int
    orientation: Orientation
    rotation_sign: RotationSign | Open
    gripper_rule: GripperRule
    env_seed: int | Open
    seed_rule: SeedRule
    global_seed: int
    init_state_order: str
    episodes_per_task: int
    resize: str
    gripper_action: str
    quat_to_axis_angle: str
    chunk_steps: int | Open
    executed_steps: int | Open
    on_exception: str
    pins: Mapping[str, str]
    notes: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> dict[str, Json]:
        """Every cell, as JSON."""
        return {**asdict(self), "settle_action": list(self.settle_action)}


_BUDGETS = {
    "libero_spatial": 220,
    "libero_object": 280,
    "libero_goal": 300,
    "libero_10": 520,
    "libero_90": 400,
}
_ROBOSUITE_FORMULA = "robosuite's, angle in 0 to 2 pi"

_OPENVLA_OFT = Preset(
    name="openvla_oft",
    source="moojink/openvla-oft 213c5ff",
    settle_steps=10,
    settle_action=SETTLE_OPEN,
    budget_steps=_BUDGETS,
    render_px=256,
    orientation=Orientation.MIRRORED,
    rotation_sign=RotationSign.AS_SIMULATED,
    gripper_rule=GripperRule.RAW,
    env_seed=0,
    seed_rule=SeedRule.ONCE_PER_TASK,
    global_seed=7,
    init_state_order="index = episode",
    episodes_per_task=50,
    resize="JPEG round trip, lanczos3 to 224, centre crop of 90 % of the area, back to 224",
    gripper_action="2 g - 1, sign, negated",
    quat_to_axis_angle=_ROBOSUITE_FORMULA,
    chunk_steps=8,
    executed_steps=8,
    on_exception="failure",
    pins={"robosuite": "1.4.1", "mujoco": "free"},
)

_SPATIAL_FORCING = replace(
    _OPENVLA_OFT,
    name="spatial_forcing",
    source="OpenHelix-Team/Spatial-Forcing: its evaluator is openvla_oft's file",
    pins={"robosuite": "1.4.1", "mujoco": "2.3.7 (since 2026-05)"},
)

_OPENPI = Preset(
    name="openpi",
    source="Physical-Intelligence/openpi 15a9616",
    settle_steps=10,
    settle_action=SETTLE_OPEN,
    budget_steps=_BUDGETS,
    render_px=256,
    orientation=Orientation.MIRRORED,
    rotation_sign=RotationSign.AS_SIMULATED,
    gripper_rule=GripperRule.RAW,
    env_seed=7,
    seed_rule=SeedRule.ONCE_PER_TASK,
    global_seed=7,
    init_state_order="index = episode",
    episodes_per_task=50,
    resize="PIL bilinear resize with padding to 224",
    gripper_action="raw",
    quat_to_axis_angle=_ROBOSUITE_FORMULA,
    chunk_steps=10,
    executed_steps=5,
    on_exception="failure",
    pins={"robosuite": "1.4.1", "mujoco": "3.2.3"},
)

_LEROBOT = Preset(
    name="lerobot",
    source="huggingface/lerobot 7427f31",
    settle_steps=10,
    settle_action=SETTLE_OPEN,
    budget_steps={**_BUDGETS, "libero_spatial": 280},
    render_px=360,
    orientation=Orientation.MIRRORED,
    rotation_sign=RotationSign.AS_SIMULATED,
    gripper_rule=GripperRule.RAW,
    env_seed=1000,
    seed_rule=SeedRule.EVERY_RESET,
    global_seed=1000,
    init_state_order="sub-environment + k * number of environments, modulo 50",
    episodes_per_task=10,
    resize=POLICY,
    gripper_action="raw",
    quat_to_axis_angle=_ROBOSUITE_FORMULA,
    chunk_steps=POLICY,
    executed_steps=POLICY,
    on_exception="aborts the run",
    pins={"hf-libero": "any", "mujoco": "<3.9"},
)

_VLA_EVAL = Preset(
    name="vla_eval",
    source="allenai/vla-evaluation-harness e1ee9ad",
    settle_steps=10,
    settle_action=SETTLE_OPEN,
    budget_steps=_BUDGETS,
    render_px=256,
    orientation=Orientation.MIRRORED,
    rotation_sign=RotationSign.CANONICAL,
    gripper_rule=GripperRule.THRESHOLD,
    env_seed=7,
    seed_rule=SeedRule.ONCE_PER_TASK,
    global_seed=7,
    init_state_order="index = episode",
    episodes_per_task=50,
    resize=POLICY,
    gripper_action="the model server's, then below 0 opens, else closes",
    quat_to_axis_angle="w < 0 is flipped first",
    chunk_steps=POLICY,
    executed_steps=POLICY,
    on_exception="failure, and counted apart",
    pins={"robosuite": "1.4.0", "mujoco": "3.2.3"},
    notes={
        "env_seed": "a model server may ask for another: OpenVLA-OFT's asks for 0",
        "rotation_sign": "a model server may opt out of the flip: OpenVLA-OFT's does",
    },
)

_LIBERO_ORIGINAL = Preset(
    name="libero_original",
    source="Lifelong-Robot-Learning/LIBERO 8f1084e",
    settle_steps=5,
    settle_action=SETTLE_ZERO,
    budget_steps=dict.fromkeys(_BUDGETS, 600),
    render_px=128,
    orientation=Orientation.BOTTOM_UP,
    rotation_sign=POLICY,
    gripper_rule=GripperRule.RAW,
    env_seed=POLICY,
    seed_rule=SeedRule.NEVER,
    global_seed=10000,
    init_state_order="index = episode",
    episodes_per_task=20,
    resize=POLICY,
    gripper_action="raw",
    quat_to_axis_angle=POLICY,
    chunk_steps=POLICY,
    executed_steps=POLICY,
    on_exception="aborts the run",
    pins={"robosuite": "1.4.0", "mujoco": "free"},
)

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        _OPENVLA_OFT,
        _OPENPI,
        _LEROBOT,
        _VLA_EVAL,
        _LIBERO_ORIGINAL,
        _SPATIAL_FORCING,
    )
}


def find_preset(name: str) -> Preset:
    """The preset of that name. Raises UnknownNameError."""
    if name not in PRESETS:
        raise UnknownNameError("LIBERO preset", name, PRESETS)
    return PRESETS[name]
