"""Comparing an Env with the recorded plain loop, bit for bit."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sfbench_suites.libero import assets, catalog, reference
from sfbench_suites.libero.config import LiberoConfig
from sfbench_suites.libero.env import LiberoEnv
from sfbench_suites.libero.reference import PlainEpisode, PlainRecord
from sfbench_suites.libero.suite import LiberoSuite

from sfbench.contracts import Split

SETTLE = [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]] * 10


def moves(count: int, seed: int) -> list[list[float]]:
    """Settle steps, then smooth random motion: at times beyond the bounds or without rotation."""
    stream = np.random.default_rng(seed)
    actions = np.zeros((count, 7))
    velocity = np.zeros(6)
    for step in range(count):
        velocity = 0.8 * velocity + 0.35 * stream.normal(size=6)
        actions[step, :6] = velocity
        actions[step, 6] = -1.0 if step < count // 2 else 1.0
        if step % 7 == 3:
            actions[step, 3:6] = 0.0
    return SETTLE + actions.tolist()


@cache
def suite(name: str, **settings: Any) -> LiberoSuite:
    return LiberoSuite(name, LiberoConfig(settle_steps=0, **settings))


def make_env(task: catalog.LiberoTask, **settings: Any) -> LiberoEnv:
    env = suite(task.suite, **settings).make_env(task.name, Split.EVAL)
    assert isinstance(env, LiberoEnv)
    return env


def record(
    task: catalog.LiberoTask,
    episodes: Sequence[PlainEpisode],
    folder: Path,
    *,
    first_seed: int | None = None,
    probes: Sequence[Sequence[float]] = (),
    render_px: int = 256,
) -> tuple[list[PlainRecord], np.ndarray]:
    request = reference.PlainRequest(
        assets=str(assets.find().root),
        bddl=str(task.bddl_path),
        init_states=str(task.init_states_path),
        render_px=render_px,
        first_seed=first_seed,
        episodes=episodes,
        probes=probes,
    )
    return reference.record(request, folder)


def assert_same_episode(
    env: LiberoEnv, episode: PlainEpisode, plain: PlainRecord, seed: int = 0
) -> int:
    """Play the episode; every number must equal the record's. Returns how many images did."""
    env.reset(episode.init_state, seed if episode.seed is None else episode.seed)
    np.testing.assert_array_equal(env.model.body_pos, plain.fixtures[:, :3])
    np.testing.assert_array_equal(env.model.body_quat, plain.fixtures[:, 3:])
    steps = episode.image_steps
    drawn = 0
    for count in range(len(episode.actions) + 1):
        if count > 0:
            env.step(np.array(episode.actions[count - 1]))
            assert env.success() == plain.success[count - 1], f"success after {count} actions"
        where = f"after {count} actions"
        np.testing.assert_array_equal(env.data.qpos, plain.qpos[count], where)
        np.testing.assert_array_equal(env.data.qvel, plain.qvel[count], where)
        wanted = steps is None or count in steps
        seen = env.observe(reference.CAMERAS if wanted else ())
        np.testing.assert_array_equal(seen.state, plain.observed[count], where)
        for camera, image in seen.images.items():
            expected = plain.images[camera][drawn][::-1, ::-1]
            np.testing.assert_array_equal(image, expected, f"{camera} {where}")
        drawn += wanted
    return drawn * len(reference.CAMERAS)
