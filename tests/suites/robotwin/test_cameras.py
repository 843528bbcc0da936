"""What the cameras see."""

import numpy as np
import pytest
from sfbench_suites.robotwin.config import RobotwinConfig
from sfbench_suites.robotwin.env import RobotwinEnv
from sfbench_suites.robotwin.pose import Pose
from sfbench_suites.robotwin.suite import make_clean
from sfbench_suites.robotwin.tasks import all_tasks

from sfbench.contracts import Split
from sfbench.errors import UnknownNameError

from .conftest import SAMPLED, MakeEnv

CAMERAS = ["head_camera", "left_camera", "right_camera", "front_camera"]


def visible(env: RobotwinEnv, camera: str, body: str) -> np.ndarray:
    """Pixels [N, 2] (row, column) where a body, or what hangs on it, is seen."""
    env.observe([camera])
    spec = env.spec.camera(camera)
    renderer, model = env._renderer, env.model
    ids = renderer.segmentation(env.data, model.camera(camera).id, spec.height, spec.width)
    members = np.array(sorted(env.scene._subtree(body)))
    geoms = np.flatnonzero(np.isin(model.geom_bodyid, members))
    return np.argwhere(np.isin(ids, geoms))


@pytest.mark.parametrize("task", SAMPLED)
def test_head_camera_sees_every_object(make_env: MakeEnv, task: str) -> None:
    env = make_env(task)
    for init_state in range(5):
        env.reset(init_state, seed=0)
        for body in all_tasks()[task].sample(np.random.default_rng(0)):
            assert len(visible(env, "head_camera", body)) >= 8


def test_images_are_upright(make_env: MakeEnv) -> None:
    """Left is the robot's left, and what is farther away is higher up."""
    env = make_env("stack_blocks_two")
    layout = {"red_block": Pose.of((-0.2, -0.1, 0.025)), "green_block": Pose.of((0.2, 0.1, 0.025))}
    env.scene.reset(layout)
    image = env.observe(["head_camera"]).images["head_camera"].astype(int)
    red = np.argwhere(image[:, :, 0] - image[:, :, 1:].max(axis=2) > 80).mean(axis=0)
    green = np.argwhere(image[:, :, 1] - image[:, :, [0, 2]].max(axis=2) > 50).mean(axis=0)
    assert red[1] < 50 < 78 < green[1]
    assert red[0] > green[0] + 5
    np.testing.assert_allclose(red, visible(env, "head_camera", "red_block").mean(axis=0), atol=1.5)


def test_wrist_camera_sees_fingers_and_what_they_hold(make_env: MakeEnv) -> None:
    env = make_env("stack_blocks_two")
    env.reset(0, seed=0)
    expert = env.expert()
    while not (held := [s for s in ("left", "right") if env.scene.touches(s, "red_block")]):
        env.step(expert.act())
    camera = f"{held[0]}_camera"
    assert len(visible(env, camera, "red_block")) > 300
    for finger in (1, 2):
        assert len(visible(env, camera, f"{held[0]}_finger{finger}")) > 30


def test_images_vary_and_repeat(make_env: MakeEnv) -> None:
    env = make_env("place_empty_cup")
    env.reset(0, seed=0)
    first = env.observe(CAMERAS).images
    again = env.observe(CAMERAS).images
    for name in CAMERAS:
        assert first[name].std() > 10
        np.testing.assert_array_equal(first[name], again[name])


def test_sizes_follow_the_settings() -> None:
    config = RobotwinConfig(camera_width=96, camera_height=64, video_width=40, video_height=48)
    env = make_clean(config).make_env("click_bell", Split.EVAL)
    env.reset(0, seed=0)
    shapes = {name: image.shape for name, image in env.observe(CAMERAS).images.items()}
    assert shapes.pop("front_camera") == (48, 40, 3)
    assert set(shapes.values()) == {(64, 96, 3)}
    with pytest.raises(UnknownNameError, match="head_camera"):
        env.observe(["hand_camera"])
    env.close()
    env.close()


def test_envs_of_one_process_draw_their_own_pictures(make_env: MakeEnv) -> None:
    """Each has a renderer of its own; they share a GL context."""
    envs = [make_env("click_bell"), make_env("stack_blocks_two"), make_env("click_bell")]
    first = []
    for env in envs:
        env.reset(0, seed=0)
        first.append(env.observe(CAMERAS).images)
    for env, expected in zip(envs, first, strict=True):
        for name, image in env.observe(CAMERAS).images.items():
            np.testing.assert_array_equal(image, expected[name])
