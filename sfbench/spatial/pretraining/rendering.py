"""Scenes from a suite's tasks: moments of their experts' episodes, seen by random cameras."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sfbench.contracts import CameraMatrices, Env, PosableEnv, Split, Suite
from sfbench.errors import SystemFaultError, UsageError
from sfbench.rollout.seeds import derive_seed
from sfbench.spatial.pretraining.cameras import (
    Array,
    draw_focal,
    draw_pose,
    intrinsics,
    visible_points,
)
from sfbench.spatial.pretraining.scenes import OneScene

_MOMENTS = 8
"""Scenes of one episode, at random control steps."""
_EPISODE_STEPS = 48
_TRIES = 30
_NEAREST_M, _SEEN_SHARE = 0.12, 0.9
"""A view with anything nearer, or with more sky, is drawn again: it stands in something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """Which scenes.

    Attributes:
        suite: its Envs let cameras be placed.
        tasks: their names.
        split: of the initial states.
        count: scenes of each task.
        views: of each scene.
        image_px: side of a view.
        seed: of episodes, moments and cameras.
    """

    suite: Suite
    tasks: Sequence[str]
    split: Split
    count: int
    views: int
    image_px: int
    seed: int


def check_suite(suite: Suite, task: str) -> None:
    """Refuse a suite whose cameras cannot be placed. Raises UsageError."""
    env = suite.make_env(task, Split.TRAIN)
    try:
        _posable(env, suite.name)
    finally:
        env.close()


def render(request: RenderRequest, progress: Callable[[str], None]) -> list[OneScene]:
    """Render them, task by task; `progress` is told of each.

    Raises:
        UsageError: the suite does not let cameras be placed.
    """
    found: list[OneScene] = []
    for task in request.tasks:
        env = request.suite.make_env(task, request.split)
        try:
            found += _of_task(request, task, _posable(env, request.suite.name))
        finally:
            env.close()
        progress(f"{task} ({request.split}): {request.count} scenes")
    return found


def _posable(env: Env, suite: str) -> PosableEnv:
    if not isinstance(env, PosableEnv):
        raise UsageError(
            f"suite '{suite}' does not let cameras be placed with true depth (PosableEnv in "
            "sfbench.contracts), so no teacher can be trained on it"
        )
    return env


def _of_task(request: RenderRequest, task: str, env: PosableEnv) -> list[OneScene]:
    states = request.suite.tasks[task].init_states[request.split]
    found: list[OneScene] = []
    for episode in itertools.count():
        seed = derive_seed("teacher", request.seed, str(request.split), task, episode)
        random = np.random.default_rng(seed)
        env.reset(int(random.integers(states)), seed)
        expert = env.expert()
        moments = sorted({int(one) for one in random.integers(0, _EPISODE_STEPS, _MOMENTS)})
        step = 0
        try:
            for moment in moments:
                while step < moment:
                    env.step(expert.act())
                    step += 1
                scene = _scene(request, f"{task}-{episode}-{step}", env, random)
                if scene is not None:
                    found.append(scene)
                if len(found) == request.count:
                    return found
        except SystemFaultError:
            continue  # A training state that nobody verified, flung apart by its expert.
    raise AssertionError("the loop ends by returning")


def _scene(
    request: RenderRequest, name: str, env: PosableEnv, random: np.random.Generator
) -> OneScene | None:
    """Views of the present moment; None where no good ones are found."""
    cameras = [camera.name for camera in request.suite.env_spec.cameras]
    points = visible_points(env, [cameras[int(random.integers(len(cameras)))]])
    if not len(points):
        return None
    anchor: Array = points[int(random.integers(len(points)))]
    px = request.image_px
    focal_px = draw_focal(random, px)
    images, depths, poses = [], [], []
    for _ in range(_TRIES):
        pose = draw_pose(random, anchor)
        image, depth = env.look_from(CameraMatrices(intrinsics(focal_px, px), pose), px, px)
        if depth.min() < _NEAREST_M or np.isfinite(depth).mean() < _SEEN_SHARE:
            continue
        images.append(image)
        depths.append(depth)
        poses.append(pose)
        if len(images) == request.views:
            return OneScene(np.stack(images), np.stack(depths), np.stack(poses), focal_px, name)
    return None
