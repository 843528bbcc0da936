"""The fast path against the plain LIBERO and robosuite loop: every number and every pixel."""

from pathlib import Path

import numpy as np
import pytest
from sfbench_suites.libero import catalog
from sfbench_suites.libero.reference import PlainEpisode

from .plain import assert_same_episode, make_env, moves, record

pytestmark = pytest.mark.usefixtures("needs_assets")

IMAGE_STEPS = (0, 1, 10, 18, 26, 34)

KINDS = {
    "pick and place, with a reflecting stove": (
        "pick_up_the_black_bowl_on_the_stove_and_place_it_on_the_plate"
    ),
    "a basket on the floor": "pick_up_the_alphabet_soup_and_place_it_in_the_basket",
    "a drawer": "open_the_middle_drawer_of_the_cabinet",
    "a knob that starts turned, and a light": ("KITCHEN_SCENE8_put_both_moka_pots_on_the_stove"),
    "a door that starts open": (
        "KITCHEN_SCENE6_put_the_yellow_and_white_mug_in_the_microwave_and_close_it"
    ),
}


@pytest.mark.parametrize("name", KINDS.values(), ids=KINDS)
def test_one_task_of_each_kind(name: str, tmp_path: Path) -> None:
    """Two episodes; then in the other order in one process, which must change nothing."""
    task = catalog.find_task(name)
    episodes = [
        PlainEpisode(
            init_state=index, seed=1000 + index, actions=moves(25, index), image_steps=IMAGE_STEPS
        )
        for index in (0, 7)
    ]
    records, _ = record(task, episodes, tmp_path)
    env = make_env(task)
    for index in (0, 1, 1, 0):
        drawn = assert_same_episode(env, episodes[index], records[index])
        assert drawn == 2 * len(IMAGE_STEPS)
    env.close()


def test_the_plain_loop_with_all_its_images(tmp_path: Path) -> None:
    """As above, but with nothing left out on the other side: an image of each camera every step."""
    task = catalog.find_task("turn_on_the_stove")
    episode = PlainEpisode(init_state=3, seed=42, actions=moves(4, 5), image_steps=None)
    records, _ = record(task, [episode], tmp_path)
    env = make_env(task)
    assert assert_same_episode(env, episode, records[0]) == 2 * 15
    env.close()


def test_upstreams_own_order_of_fixture_poses(tmp_path: Path) -> None:
    """Episode 2 of a task run in order upstream equals episode 2 alone here."""
    task = catalog.find_task("KITCHEN_SCENE8_put_both_moka_pots_on_the_stove")
    episodes = [
        PlainEpisode(init_state=index, seed=None, actions=moves(3, index)) for index in range(3)
    ]
    records, _ = record(task, episodes, tmp_path, first_seed=0)
    env = make_env(task, fixture_poses="upstream")
    for index in (2, 0, 1):
        assert_same_episode(env, episodes[index], records[index], seed=99)
    env.close()


def test_what_the_comparison_would_catch(tmp_path: Path) -> None:
    """Another seed moves the fixtures, and half a millimetre of action moves the arm."""
    task = catalog.find_task("open_the_middle_drawer_of_the_cabinet")
    episode = PlainEpisode(init_state=0, seed=5, actions=moves(3, 0))
    records, _ = record(task, [episode], tmp_path)
    env = make_env(task)
    env.reset(0, 6)
    assert np.abs(env.model.body_pos - records[0].fixtures[:, :3]).max() > 1e-4
    env.reset(0, 5)
    for count, action in enumerate(episode.actions):
        env.step(np.add(action, [0.01, 0, 0, 0, 0, 0, 0]))
        assert not np.array_equal(env.data.qpos, records[0].qpos[count + 1])
    env.close()
