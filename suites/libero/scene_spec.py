"""What a scene needs besides its compiled model: where things are, what may be drawn, what is won.

Written once by the builder, which has LIBERO's own objects at hand, and read by workers, which do
not. Ids are MuJoCo's: of bodies, sites, geoms, and addresses into qpos and qvel.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotSpec:
    """The arm and gripper.

    Attributes:
        arm_qpos: addresses of the arm's joint angles.
        arm_qvel: addresses of its joint velocities.
        arm_actuators: ids of its torque actuators.
        gripper_qpos: addresses of the fingers' positions.
        gripper_actuators: ids of the fingers' actuators.
        arm_start: joint angles at a reset, rad.
        gripper_start: finger positions at a reset, m.
        grip_site: the site that the controller moves.
        hand_body: the body whose orientation is observed.
    """

    arm_qpos: tuple[int, ...]
    arm_qvel: tuple[int, ...]
    arm_actuators: tuple[int, ...]
    gripper_qpos: tuple[int, ...]
    gripper_actuators: tuple[int, ...]
    arm_start: tuple[float, ...]
    gripper_start: tuple[float, ...]
    grip_site: int
    hand_body: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How one object or fixture is placed at a reset.

    Attributes:
        name: of the object.
        body: its root body.
        qpos: address of its free joint, or None for a fixture, which is part of the model.
        relative_to: an object placed before, or None for `origin`.
        site: whose position is added, or None.
        inside: whether it is put into the site, not on top of `relative_to`.
        origin: m.
        z_offset: m.
        x_ranges: intervals to draw from, m; which of them is drawn first.
        y_ranges: likewise.
        keep_inside: whether the object's radius is taken off the intervals.
        keep_apart: whether a place that touches an earlier object is drawn again.
        turns: axis and interval (rad) of each rotation drawn.
        composed: whether the turns are multiplied, in single precision; else there is one.
        scalar_first: whether the quaternion is built as wxyz. LIBERO's samplers for objects build
            it as xyzw and then use it as wxyz; what they do is kept.
        radius: m.
        bottom_z: lowest point, m.
        top_z: highest point, m.
    """

    name: str
    body: int
    qpos: int | None
    relative_to: str | None
    site: int | None
    inside: bool
    origin: tuple[float, ...]
    z_offset: float
    x_ranges: tuple[tuple[float, float], ...]
    y_ranges: tuple[tuple[float, float], ...]
    keep_inside: bool
    keep_apart: bool
    turns: tuple[tuple[str, float, float], ...]
    composed: bool
    scalar_first: bool
    radius: float
    bottom_z: float
    top_z: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JointDraw:
    """A drawer, door or knob that starts at a drawn position.

    Attributes:
        qpos: addresses that all get the drawn number.
        low: rad or m.
        high: rad or m.
    """

    qpos: tuple[int, ...]
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTest:
    """Comparisons of joint positions with a threshold.

    Attributes:
        qpos: addresses, in order.
        comparison: `<`, `<=`, `>` or `>=`.
        threshold: rad or m.
        every: whether all of them must hold, or one.
    """

    qpos: tuple[int, ...]
    comparison: Literal["<", "<=", ">", ">="]
    threshold: float
    every: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedTest:
    """One object rests on another: not lower, within 3 cm sideways, and touching.

    Attributes:
        upper: body.
        lower: body.
        upper_geoms: that may touch.
        lower_geoms: that may be touched.
    """

    upper: int
    lower: int
    upper_geoms: tuple[int, ...]
    lower_geoms: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionTest:
    """An object's origin lies inside a site's box, or on top of it.

    Attributes:
        body: the object.
        site: the region.
        half_size: m.
        inside: or else on top.
        body_geoms: that must touch `owner_geoms`, where the region belongs to an object.
        owner_geoms: empty where no contact is asked for.
    """

    body: int
    site: int
    half_size: tuple[float, ...]
    inside: bool
    body_geoms: tuple[int, ...]
    owner_geoms: tuple[int, ...]


GoalTest = JointTest | StackedTest | RegionTest


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """A site that shows while a knob is turned on: the stove's burner."""

    site: int
    lit: JointTest


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSpec:
    """All of it.

    Attributes:
        robot: the arm and gripper.
        joint_draws: in upstream's order.
        placements: in upstream's order.
        goal: all must hold.
        lights: shown or hidden after every control step.
    """

    robot: RobotSpec
    joint_draws: tuple[JointDraw, ...]
    placements: tuple[Placement, ...]
    goal: tuple[GoalTest, ...]
    lights: tuple[Light, ...]

    def to_json(self) -> dict[str, Any]:
        """A plain dict; goals carry the name of their type."""
        data = asdict(self)
        data["goal"] = [
            {"test": type(test).__name__, **plain}
            for test, plain in zip(self.goal, data["goal"], strict=True)
        ]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SceneSpec":
        """Inverse of `to_json`."""
        return cls(
            robot=_build(RobotSpec, data["robot"]),
            joint_draws=tuple(_build(JointDraw, item) for item in data["joint_draws"]),
            placements=tuple(_build(Placement, item) for item in data["placements"]),
            goal=tuple(_goal_test(item) for item in data["goal"]),
            lights=tuple(
                Light(site=item["site"], lit=_build(JointTest, item["lit"]))
                for item in data["lights"]
            ),
        )


def _goal_test(item: Mapping[str, Any]) -> GoalTest:
    kinds = {kind.__name__: kind for kind in (JointTest, StackedTest, RegionTest)}
    rest = {key: value for key, value in item.items() if key != "test"}
    test: GoalTest = _build(kinds[item["test"]], rest)
    return test


def _build(kind: type[Any], item: Mapping[str, Any]) -> Any:  # noqa: ANN401 (one of the above)
    return kind(**{part.name: _tuples(item[part.name]) for part in fields(kind)})


def _tuples(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
