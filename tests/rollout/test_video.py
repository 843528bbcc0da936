"""Videos show the episode, upright, and cost no episode when they cannot be written."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from sfbench.rollout.journal import read_rows
from tests.conftest import Cli, eval_toy


def test_videos_have_the_length_of_their_episodes(cli: Cli, tmp_path: Path) -> None:
    done = cli(*eval_toy(tmp_path, "episodes=2", "video=all"))
    assert done.returncode == 0, done.stderr
    for row in read_rows(tmp_path):
        assert row.video is not None
        assert row.video == (f"videos/toy/{row.task}/{row.init_state}_0_0_{row.status}.mp4")
        frames = iio.imread(tmp_path / row.video)
        # 20 Hz control, 10 frames a second, and one frame at the start.
        assert len(frames) == row.steps // 2 + 1
        assert frames.shape[1:] == (48, 64, 3)
        assert not np.array_equal(frames[0], frames[-1])
    assert not list(tmp_path.rglob("*.part.mp4"))


@pytest.mark.parametrize("policy", ["toy_chase", "random"])
def test_failures_only(cli: Cli, tmp_path: Path, policy: str) -> None:
    cli(*eval_toy(tmp_path, "episodes=2", "tasks=reach_far", "video=failures", policy=policy))
    rows = read_rows(tmp_path)
    assert [row.video is not None for row in rows] == [row.status == "failure" for row in rows]
    kept = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.mp4"))
    assert kept == sorted(row.video for row in rows if row.video)


def test_a_video_that_cannot_be_written_costs_only_itself(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "run" / "videos").mkdir(parents=True)
    (tmp_path / "run" / "videos" / "toy").write_text("in the way")
    done = cli(*eval_toy(tmp_path / "run", "episodes=1", "video=all"))
    assert done.returncode == 0, done.stderr
    assert "no video" in done.stderr
    assert [row.video for row in read_rows(tmp_path / "run")] == [None, None]
