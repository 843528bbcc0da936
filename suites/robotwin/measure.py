"""What the suite costs here: `python -m sfbench_suites.robotwin.measure`.

Prints, for every task, processor time (so that a busy machine matters little) of a reset, a control
step and an image of each camera, as medians in ms. Run it with `OMP_NUM_THREADS=1`.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from sfbench.contracts import Split
from sfbench.sim import gl

from .config import ActionSpace, RobotwinConfig
from .env import RobotwinEnv
from .robot.panda import Side
from .scene.room import CONTROL_HZ, cameras
from .suite import make_clean
from .tasks import all_tasks

_EPISODES = 3


def cpu_ms(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    call()
    return (time.process_time() - start) * 1e3


def held_targets(env: RobotwinEnv) -> np.ndarray:
    """The `qpos` action that leaves every servo target where it is."""
    scene = env.scene
    return np.concatenate([[*scene.arm_target(side), scene.grip_target(side)] for side in Side])


def step_costs_ms(env: RobotwinEnv, budget_steps: int) -> tuple[list[float], list[float]]:
    """Control steps of expert episodes: physics, and the expert's own thinking."""
    physics, thinking = [], []
    for episode in range(_EPISODES):
        env.reset(episode, 0)
        expert = env.expert()
        for _ in range(budget_steps):
            start = time.process_time()
            action = expert.act()
            thinking.append((time.process_time() - start) * 1e3)
            start = time.process_time()
            env.step(action)
            physics.append((time.process_time() - start) * 1e3)
            if env.success():
                break
    return physics, thinking


def physics_line(task: str) -> str:
    """One row of the table of control steps."""
    found = all_tasks()[task]
    env = make_clean(RobotwinConfig()).make_env(task, Split.TRAIN)
    assert isinstance(env, RobotwinEnv)
    resets = [cpu_ms(partial(env.reset, index, 0)) for index in range(20)]
    action = held_targets(env)
    still = [cpu_ms(partial(env.step, action)) for _ in range(100)]
    busy, thinking = step_costs_ms(env, found.budget_steps)
    config = RobotwinConfig(action_space=ActionSpace.EE)
    ee = make_clean(config).make_env(task, Split.TRAIN)
    assert isinstance(ee, RobotwinEnv)
    busy_ee, _ = step_costs_ms(ee, found.budget_steps)
    factor = 1e3 / CONTROL_HZ / float(np.mean(busy))
    return (
        f"| `{task}` | {np.median(resets):.1f} | {np.median(still):.2f} | {np.mean(busy):.2f} | "
        f"{np.quantile(busy, 0.99):.2f} | {np.mean(busy_ee):.2f} | {np.mean(thinking):.2f} | "
        f"{factor:.0f} x |"
    )


def render_line(task: str, size: tuple[int, int]) -> str:
    """One row of the table of images."""
    width, height = size
    config = RobotwinConfig(
        camera_width=width, camera_height=height, video_width=width, video_height=height
    )
    env = make_clean(config).make_env(task, Split.TRAIN)
    env.reset(0, 0)
    cells = []
    for camera in cameras():
        env.observe([camera.name])
        cells.append(np.median([cpu_ms(partial(env.observe, [camera.name])) for _ in range(15)]))
    env.close()
    return (
        f"| `{task}` | {width} x {height} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gl", choices=list(gl.GlBackend), default=gl.GlBackend.EGL)
    gl.configure(gl.GlBackend(parser.parse_args().gl))
    print("| task | reset | step, still | step, expert | 99 % | step, `ee` | expert | real time |")
    print("|---|---|---|---|---|---|---|---|")
    for task in all_tasks():
        print(physics_line(task))
    print(f"\n{gl.renderer_name()}\n")
    print("| task | size | " + " | ".join(camera.name for camera in cameras()) + " |")
    print("|---|---|---|---|---|---|")
    for task in all_tasks():
        print(render_line(task, (128, 128)))
    for size in ((224, 224), (320, 240)):
        print(render_line("lift_pot", size))


if __name__ == "__main__":
    main()
