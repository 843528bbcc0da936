"""Shards that share a run folder: each writes the whole plan, and leaves the others' work alone."""

from pathlib import Path

import pytest

from sfbench.report.load import load
from sfbench.rollout.journal import read_rows
from sfbench.rollout.plan import PlanRequest, make_plan
from sfbench.rollout.run_folder import read_plan
from sfbench.rollout.video import partial_path
from tests.conftest import eval_toy, start_cli
from tests.rollout.test_plan_and_journal import SUITE

WHOLE = make_plan(SUITE, PlanRequest(episodes=2))
"""Of two tasks; the share of shard 1/2 is the second episode of each."""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder in which only shard 1/2 has run, while every episode had a video begun."""
    out = tmp_path_factory.mktemp("shards")
    for episode in WHOLE.episodes:
        partial = partial_path(out, episode.key)
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
    process = start_cli(*eval_toy(out, "episodes=2", "shard=1/2"))
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def test_the_plan_is_whole_whichever_shard_wrote_it(out: Path) -> None:
    assert read_plan(out) == WHOLE
    assert len(read_rows(out)) == 2
    (run,) = load([out]).runs
    assert run.planned == {"reach": 2, "reach_far": 2}


def test_videos_that_other_shards_record_are_left_alone(out: Path) -> None:
    theirs = {partial_path(out, episode.key) for episode in WHOLE.shard(0, 2).episodes}
    assert set(out.rglob("*.part.mp4")) == theirs
