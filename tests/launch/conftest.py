"""Sweeps in an empty folder, with the command line called in this process."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sfbench.cli import main
from sfbench.launch.folder import SweepFolder
from sfbench.launch.on_this_machine import runner_process
from tests.launch.fake_slurm import FakeSlurm

GRID = """
eval: {suite: toy, episodes: 2, workers: 1}
grid:
  arm:
    chase: {policy: toy_chase}
    noisy: {policy: toy_faulty, policy.noise: 4.0}
  tasks: [reach, reach_far]
"""
"""4 cells, 8 episodes."""


class Sweep:
    """`sfbench sweep` in the test's own folder; the last output is kept."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """Run a command, check its exit status, return what it printed."""
        self._capsys.readouterr()
        got = main.run(["sweep", *arguments])
        printed = "".join(self._capsys.readouterr())
        assert got == status, printed
        return printed

    def refused(self, *arguments: str) -> str:
        """The message of a command that must be refused: one, and no traceback."""
        printed = self(*arguments, status=2)
        assert printed.count("sfbench: ") == 1
        assert "Traceback" not in printed
        return printed

    def write(self, text: str, name: str = "grid.yaml") -> str:
        (self.folder / name).write_text(text)
        return name


@pytest.fixture
def sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Sweep]:
    """No background process of it outlives the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield Sweep(tmp_path, capsys)
    for path in tmp_path.glob("*/runner"):
        process = runner_process(SweepFolder(path.parent))
        if process:
            os.kill(process, signal.SIGTERM)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    fake = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", fake.path)
    return fake


RunTask = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run_task(sweep: Sweep, slurm: FakeSlurm) -> RunTask:
    """Starts a task of a submitted array as srun would."""

    def start(task: str, sweep_folder: str = "sweep") -> "subprocess.Popen[str]":
        slurm.set_states("RUNNING", task)
        job, _, index = task.partition("_")
        variables = {"SLURM_JOB_ID": job, "SUBMITIT_EXECUTOR": "slurm", "SLURM_PROCID": "0"}
        if index:
            variables |= {"SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": index}
        return subprocess.Popen(
            [sys.executable, "-m", "submitit.core._submit", str(Path(sweep_folder, "logs"))],
            env={**os.environ, **variables}, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return start
