"""Sweeps in this process and on this machine."""

import json
import re
import time
from pathlib import Path

from tests.conftest import stable_rows
from tests.launch.conftest import Sweep

SMALL = """
eval: {suite: toy, episodes: 2, workers: 0, tasks: reach}
grid:
  arm:
    chase: {policy: toy_chase, policy.noise: 3.0}
    noisy: {policy: toy_faulty, policy.noise: 4.0}
"""


def rows(sweep_folder: str) -> dict[str, list[str]]:
    cells = sorted(Path(sweep_folder, "cells").glob("*/episodes"))
    return {cell.parent.name: stable_rows(cell.parent) for cell in cells}


def test_debug_and_local_give_the_same_rows(sweep: Sweep) -> None:
    sweep("submit", sweep.write(SMALL), "launcher=debug", "out=debug")
    assert not (sweep.folder / "debug" / "runner").exists()
    sweep("submit", "grid.yaml", "out=local", "shards=2", "parallel=2")
    assert "4 / 4" in sweep("wait", "local", "every_s=0.2", "timeout_s=240")
    assert rows("local") == rows("debug")
    assert sum(map(len, rows("local").values())) == 4
    assert Path("local/report/leaderboard.md").exists()
    assert "nothing to submit" in sweep("resubmit", "local")


def test_cancel_and_resubmit(sweep: Sweep) -> None:
    sweep("submit", sweep.write(SMALL), "out=sweep", "parallel=1", "eval.suite.step_s=0.1",
          "eval.episodes=6")  # fmt: skip
    journals = Path("sweep/cells/chase/episodes")
    end_s = time.monotonic() + 200
    while not (journals.exists() and any(path.stat().st_size for path in journals.iterdir())):
        assert time.monotonic() < end_s
        time.sleep(0.05)
    out = sweep("status", "sweep", status=3)
    assert "0/1/0" in out
    running = next(line for line in out.splitlines() if "0/1/0" in line)
    assert re.search(r"\d\.\d +0/1/0 +\d+ min", running), "episodes a minute, and time left"
    assert "3 tasks cancelled" in sweep("cancel", "sweep")
    assert json.loads(Path("sweep/tasks/chase.0.json").read_text())["state"] == "stopped"
    assert "0/0/1" in sweep("status", "sweep", status=3)
    assert "0 tasks cancelled" in sweep("cancel", "sweep")
    sweep("resubmit", "sweep", "parallel=2")
    sweep("wait", "sweep", "every_s=0.2", "timeout_s=240")
    assert all(len(found) == 6 for found in rows("sweep").values())


def test_training_then_evaluation(sweep: Sweep) -> None:
    """Each kept checkpoint of each training; the evaluation of one that failed says so."""
    text = SMALL + "train_entry: sfbench_toy.training:command\ncheckpoints: [2]\n"
    sweep("submit", sweep.write(text), "out=sweep", "train.fail=false", "eval.episodes=1",
          "parallel=2")  # fmt: skip
    sweep("wait", "sweep", "every_s=0.2", "timeout_s=240")
    found = [json.loads(row) for cell in rows("sweep").values() for row in cell]
    assert len(found) == 2
    assert all(row["checkpoint"].endswith("checkpoints/2") for row in found)

    sweep("submit", "grid.yaml", "out=failed", "train.fail=true")
    out = sweep("wait", "failed", "every_s=0.2", "lag_s=0.5", "timeout_s=240", status=3)
    assert "the toy training fails" in out
    assert "0 / 4" in out
    assert not Path("failed/tasks/chase-2.0.json").exists()  # afterok
