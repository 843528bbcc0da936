"""The batch script, run by bash as Slurm would run it: with Slurm's variables set."""

import os
import subprocess
from pathlib import Path

from sfbench.rollout.journal import read_rows
from tests.conftest import stable_rows, start_cli

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "slurm" / "eval.sbatch"


def submit(task: int, count: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "SLURM_ARRAY_TASK_ID": str(task),
        "SLURM_ARRAY_TASK_COUNT": str(count),
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_SUBMIT_DIR": str(ROOT),
    }
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments],
        env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_array_tasks_share_a_plan(tmp_path: Path) -> None:
    arguments = ("suite=toy", "policy=toy_chase", "episodes=3", f"out={tmp_path / 'array'}")
    for task in (1, 0):
        done = submit(task, 2, *arguments)
        assert done.returncode == 0, done.stderr
    whole = start_cli("eval", *arguments[:3], f"out={tmp_path / 'whole'}")
    assert whole.wait(timeout=120) == 0
    assert len(read_rows(tmp_path / "array")) == 6
    assert stable_rows(tmp_path / "array") == stable_rows(tmp_path / "whole")


def test_a_run_folder_must_be_named() -> None:
    done = submit(0, 1, "suite=toy", "policy=noop")
    assert done.returncode == 2
    assert "out=DIR" in done.stderr
