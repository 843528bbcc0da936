"""Made-up states in which a goal nearly holds, or just does, to ask both sides about."""

from collections.abc import Sequence

import mujoco
import numpy as np
from sfbench_suites.libero.scene_spec import GoalTest, JointTest, RegionTest, StackedTest
from sfbench_suites.libero.simulation import Simulation

_DROP_M = 0.15
_LOWERED_BY_M = 0.0005
_PAST_THRESHOLD = {"<": -0.02, "<=": -0.02, ">": 0.02, ">=": 0.02}


def probe_states(simulation: Simulation, count: int, seed: int = 0) -> np.ndarray:
    """States [count, 1 + nq + nv] around the present one, moved towards every part of the goal."""
    stream = np.random.default_rng(seed)
    states = []
    for _ in range(count):
        qpos = simulation.data.qpos.copy()
        for test in _from_below(simulation.spec.goal):
            _disturb(simulation, test, qpos, stream)
        states.append(_state(simulation.model, qpos))
    return np.array(states)


def solving_state(simulation: Simulation) -> np.ndarray:
    """A state [1 + nq + nv] with every object where the goal wants it, in contact where it must be.

    Joints are past their thresholds; what belongs into a region has its origin in the middle of it;
    what belongs onto something is lowered over its middle until the two touch.
    """
    model = simulation.model
    data = mujoco.MjData(model)
    data.qpos[:] = simulation.data.qpos
    for test in sorted(_from_below(simulation.spec.goal), key=_joints_first):
        mujoco.mj_forward(model, data)
        if isinstance(test, JointTest):
            data.qpos[list(test.qpos)] = test.threshold + _PAST_THRESHOLD[test.comparison]
        elif isinstance(test, StackedTest):
            start = data.xpos[test.lower] + [0, 0, _DROP_M]
            _lower(model, data, test.upper, start, (test.upper_geoms, test.lower_geoms))
        else:
            _put(model, data, test)
    return _state(model, data.qpos)


def _put(model: mujoco.MjModel, data: mujoco.MjData, test: RegionTest) -> None:
    centre = data.site_xpos[test.site].copy()
    if test.inside:
        _move(model, data.qpos, test.body, centre)
        return
    up = data.site_xmat[test.site].reshape(3, 3).T @ [0, 0, test.half_size[2]]
    if test.owner_geoms:
        start = centre + up + [0, 0, _DROP_M]
        _lower(model, data, test.body, start, (test.body_geoms, test.owner_geoms))
    else:
        _move(model, data.qpos, test.body, centre + up + [0, 0, 0.05])


def _lower(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    body: int,
    start: np.ndarray,
    touching: tuple[Sequence[int], Sequence[int]],
) -> None:
    """Lower a body from `start` until the two sets of geoms touch."""
    for pos in start - np.outer(np.arange(0, 2 * _DROP_M, _LOWERED_BY_M), [0, 0, 1]):
        _move(model, data.qpos, body, pos)
        mujoco.mj_forward(model, data)
        pairs = zip(data.contact.geom1, data.contact.geom2, strict=True)
        if any(
            (one in touching[0] and other in touching[1])
            or (one in touching[1] and other in touching[0])
            for one, other in pairs
        ):
            return
    raise AssertionError(f"body {body} met nothing on its way down")


def _from_below(goal: Sequence[GoalTest]) -> list[GoalTest]:
    """The goal's parts; what stands on an object that is moved itself comes after it."""
    moved = {test.body for test in goal if isinstance(test, RegionTest)}
    return sorted(goal, key=lambda test: isinstance(test, StackedTest) and test.lower in moved)


def _joints_first(test: GoalTest) -> bool:
    return not isinstance(test, JointTest)


def _disturb(
    simulation: Simulation, test: GoalTest, qpos: np.ndarray, stream: np.random.Generator
) -> None:
    model, data = simulation.model, simulation.data
    if isinstance(test, JointTest):
        for place in test.qpos:
            qpos[place] = test.threshold + stream.choice([-0.02, -1e-9, 0.0, 1e-9, 0.02])
    elif isinstance(test, RegionTest):
        matrix = data.site_xmat[test.site].reshape(3, 3)
        offset = stream.uniform(-1.1, 1.1, 3) * np.array(test.half_size)
        if not test.inside:
            offset[2] = test.half_size[2] + stream.uniform(-0.01, 0.11)
        _move(model, qpos, test.body, data.site_xpos[test.site] + matrix.T @ offset)
    else:
        offset = np.add(stream.uniform(-0.03, 0.03, 3), [0, 0, 0.02])
        _move(model, qpos, test.upper, _origin(simulation, test.lower, qpos) + offset)


def _origin(simulation: Simulation, body: int, qpos: np.ndarray) -> np.ndarray:
    """Where a body stands once the joint positions are `qpos`."""
    place = _free_joint(simulation.model, body)
    return simulation.data.xpos[body] if place is None else qpos[place : place + 3]


def _move(model: mujoco.MjModel, qpos: np.ndarray, body: int, pos: np.ndarray) -> None:
    place = _free_joint(model, body)
    assert place is not None
    qpos[place : place + 3] = pos


def _free_joint(model: mujoco.MjModel, body: int) -> int | None:
    """Address of a body's free joint in qpos; None where it has none."""
    joint = model.body_jntadr[body]
    if joint < 0 or model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_FREE:
        return None
    return int(model.jnt_qposadr[joint])


def _state(model: mujoco.MjModel, qpos: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], qpos, np.zeros(model.nv)])
