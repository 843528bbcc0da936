"""Rendered images of a suite, with what is seen at each pixel."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import PrivilegedEnv, Split, Suite, upright
from sfbench.errors import UnknownNameError, UsageError
from sfbench.rollout.seeds import derive_seed

_EPISODE_PICTURES = 8
"""Pictures of one episode of the task's expert: the arms come into view and move things."""
_EPISODE_STEPS = 160


@dataclass(frozen=True, eq=False)
class Picture:
    """One moment of a task.

    Attributes:
        images: camera to uint8 [H, W, 3], as the suite gives them.
        seen: camera to int32 [H, W], an index into `names`, -1 for none; lies as the image does.
        names: of all that can be seen.
        episode: which it is a moment of: task and initial state, so that episodes from one state
            count as one. Pictures of an episode differ little.
    """

    images: dict[str, NDArray[np.uint8]]
    seen: dict[str, NDArray[np.int32]]
    names: tuple[str, ...]
    episode: str


def render(
    suite: Suite,
    tasks: Sequence[str],
    cameras: Sequence[str],
    count: int,
    progress: Callable[[str], None],
) -> list[Picture]:
    """Pictures of initial states of the `train` split and of what experts do from there.

    Args:
        suite: whose Envs tell what is seen.
        tasks: their names.
        cameras: which.
        count: pictures of each task.
        progress: is told when a task is done.

    Raises:
        UsageError: an unknown task or camera, or a suite that does not tell.
    """
    found: list[Picture] = []
    for camera in cameras:
        if suite.env_spec.camera(camera) is None:
            names = [one.name for one in suite.env_spec.cameras]
            raise UnknownNameError("camera", camera, names)
    for task in tasks:
        if task not in suite.tasks:
            raise UnknownNameError("task", task, suite.tasks)
        found += _of_task(suite, task, cameras, count)
        progress(f"{task}: {count} pictures")
    return found


def _of_task(suite: Suite, task: str, cameras: Sequence[str], count: int) -> list[Picture]:
    env = suite.make_env(task, Split.TRAIN)
    if not isinstance(env, PrivilegedEnv):
        env.close()
        raise UsageError(f"suite '{suite.name}' does not tell what its cameras see (segmentation)")
    states = suite.tasks[task].init_states[Split.TRAIN]
    # Of a few pictures, too, there are two episodes: one to train on, one for the test.
    each = min(_EPISODE_PICTURES, max(count // 2, 1))
    found: list[Picture] = []
    try:
        for episode in itertools.count():
            if len(found) == count:
                break
            state = episode % states
            env.reset(state, derive_seed("picture", task, episode))
            expert = env.expert()
            random = np.random.default_rng(derive_seed("moments", task, episode))
            moments = {0, *random.integers(1, _EPISODE_STEPS, each - 1).tolist()}
            for step in range(max(moments) + 1):
                if step in moments and len(found) < count:
                    found.append(_taken(env, suite, cameras, f"{task}/{state}"))
                env.step(expert.act())
    finally:
        env.close()
    return found


def _taken(env: PrivilegedEnv, suite: Suite, cameras: Sequence[str], episode: str) -> Picture:
    seen = env.segmentation(cameras)
    images = env.observe(cameras).images
    orientations = {name: suite.env_spec.camera(name) for name in cameras}
    turned = {
        name: upright(images[name], camera.orientation).copy()
        for name, camera in orientations.items()
        if camera is not None
    }
    labels = {
        name: upright(seen[name], camera.orientation).copy()
        for name, camera in orientations.items()
        if camera is not None
    }
    return Picture(turned, labels, env.object_names(), episode)
