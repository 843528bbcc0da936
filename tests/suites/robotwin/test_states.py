"""Initial states: stored lists, splits, and the purity of sampling."""

import json

import numpy as np
import pytest
from sfbench_suites.robotwin import states
from sfbench_suites.robotwin.config import RobotwinConfig
from sfbench_suites.robotwin.pose import angle_between
from sfbench_suites.robotwin.suite import make_clean
from sfbench_suites.robotwin.tasks import all_tasks
from sfbench_suites.robotwin.verify import attempt

from sfbench.contracts import Split
from sfbench.errors import MissingError, UnknownNameError, UsageError

from .conftest import TASKS, MakeEnv


@pytest.mark.parametrize("task", TASKS)
def test_eval_holds_the_first_hundred_solved(task: str) -> None:
    stored = states.verified(all_tasks()[task])
    rejected = [int(seed) for seed in stored.rejected]
    assert len(stored.accepted) == 100
    assert stored.tried == len(stored.accepted) + len(rejected)
    first = states.FIRST_CANDIDATE[Split.EVAL]
    assert sorted([*stored.accepted, *rejected]) == list(range(first, first + stored.tried))
    assert len(rejected) <= 0.05 * stored.tried
    assert stored.layouts_hash == states.layouts_hash(all_tasks()[task], stored.accepted)


@pytest.mark.parametrize("task", TASKS)
def test_the_stored_verdict_holds(task: str) -> None:
    stored = states.verified(all_tasks()[task])
    assert attempt(task, stored.accepted[-1]).steps is not None


@pytest.mark.parametrize("task", TASKS)
def test_sampling_is_a_function_of_the_candidate(task: str) -> None:
    found = all_tasks()[task]
    one, two, other = (found.sample(states.state_rng(task, seed)) for seed in (7, 7, 8))
    for body, pose in one.items():
        np.testing.assert_array_equal(pose.pos, two[body].pos)
        np.testing.assert_array_equal(pose.quat, two[body].quat)
    assert any((pose.pos != other[body].pos).any() for body, pose in one.items())


def test_splits_are_disjoint() -> None:
    task = all_tasks()["click_bell"]
    lists = [set(states.state_list(task, split).candidates) for split in Split]
    assert sum(map(len, lists)) == len(set.union(*lists))


@pytest.mark.parametrize("task", TASKS)
def test_objects_start_on_the_table_within_reach(task: str) -> None:
    found = all_tasks()[task]
    for seed in range(200):
        for pose in found.sample(states.state_rng(task, seed)).values():
            assert abs(pose.pos[0]) < 0.35
            assert -0.25 < pose.pos[1] < 0.25


@pytest.mark.parametrize("task", TASKS)
def test_reset_places_what_was_sampled(make_env: MakeEnv, task: str) -> None:
    env = make_env(task)
    env.reset(4, seed=0)
    candidate = states.FIRST_CANDIDATE[Split.TRAIN] + 4
    for body, pose in all_tasks()[task].sample(states.state_rng(task, candidate)).items():
        np.testing.assert_allclose(env.scene.pose(body).pos, pose.pos, atol=1e-12)
        assert angle_between(env.scene.pose(body).quat, pose.quat) < 1e-6


def test_state_ids_name_task_version_and_candidate() -> None:
    suite = make_clean(RobotwinConfig())
    version = suite.tasks["click_bell"].version
    first = states.verified(all_tasks()["click_bell"]).accepted[0]
    found = suite.state_id("click_bell", Split.EVAL, 0)
    assert found == f"robotwin/click_bell/{version}/{first}"


def test_unknown_names_and_states() -> None:
    suite = make_clean(RobotwinConfig())
    with pytest.raises(UnknownNameError, match="click_bell"):
        suite.make_env("click_bel", Split.EVAL)
    with pytest.raises(UsageError, match="0 to 49"):
        suite.state_id("click_bell", Split.SELECT, 50)
    with pytest.raises(UsageError, match="camera_width"):
        make_clean(RobotwinConfig(camera_width=4))


def test_a_list_of_another_task_version_is_refused(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = all_tasks()["click_bell"]
    data = json.loads((states.FOLDER / "click_bell.json").read_text())
    (tmp_path / "click_bell.json").write_text(json.dumps(data | {"task_version": "0"}))
    monkeypatch.setattr(states, "FOLDER", tmp_path)
    states.verified.cache_clear()
    try:
        with pytest.raises(MissingError, match="version 0"):
            states.verified(task)
    finally:
        states.verified.cache_clear()


@pytest.mark.parametrize("task", TASKS)
def test_wordings(task: str) -> None:
    found = all_tasks()[task]
    assert len(set(found.instructions)) >= 20
    assert len(set(found.unseen_instructions)) >= 5
    assert not set(found.instructions) & set(found.unseen_instructions)
    assert all(text == text.strip() for text in found.instructions + found.unseen_instructions)
