"""Made-up states in which a goal nearly holds, or just does, to ask both sides about."""

import mujoco
import numpy as np
from sfbench_suites.libero.scene_spec import GoalTest, JointTest, RegionTest
from sfbench_suites.libero.simulation import Simulation


def probe_states(simulation: Simulation, count: int, seed: int = 0) -> np.ndarray:
    """States [count, 1 + nq + nv] around the present one, moved towards every part of the goal."""
    stream = np.random.default_rng(seed)
    model, data = simulation.model, simulation.data
    states = []
    for _ in range(count):
        qpos = data.qpos.copy()
        for test in simulation.spec.goal:
            _disturb(simulation, test, qpos, stream)
        states.append(np.concatenate([[0.0], qpos, np.zeros(model.nv)]))
    return np.array(states)


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
        _move(model, qpos, test.upper, data.xpos[test.lower] + offset)


def _move(model: mujoco.MjModel, qpos: np.ndarray, body: int, pos: np.ndarray) -> None:
    joint = model.body_jntadr[body]
    assert model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE
    place = model.jnt_qposadr[joint]
    qpos[place : place + 3] = pos
