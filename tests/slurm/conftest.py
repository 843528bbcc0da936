"""One real cluster for all tests of this folder, and sweeps on it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import stable_rows
from tests.slurm.cluster import Cluster, missing

PROFILE = """
cpus_per_task: 1
time_min: 1
signal_delay_s: 5
max_timeouts: 50
"""

GRID = """
eval:
  suite: toy
  episodes: 6
  workers: 1
  max_attempts: 20
grid:
  arm:
    chase: {policy: toy_chase, policy.noise: 2.0}
    noisy: {policy: toy_faulty, policy.noise: 4.0}
  tasks: [reach, reach_far]
  seed: [0, 1]
shards: 2
"""
"""2 policies x 2 tasks x 2 seeds: 8 cells, 16 tasks, 48 episodes."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    problem = missing()
    if problem is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no Slurm: {problem}")
        pytest.skip(problem)
    running = Cluster(tmp_path_factory.mktemp("slurm"))
    yield running
    running.stop()


class Sweeps:
    """`sfbench sweep` in a folder, with or without a cluster."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._environment = {**environment, "OMP_NUM_THREADS": "1"}
        (folder / "profile.yaml").write_text(PROFILE)

    def __call__(self, *arguments: str, allow: tuple[int, ...] = (0,)) -> str:
        """Run a command; returns stdout. Fails for another exit status than allowed."""
        done = subprocess.run(
            [sys.executable, "-m", "sfbench", "sweep", *arguments],
            cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=280,
        )  # fmt: skip
        assert done.returncode in allow, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    def rows(self, sweep: str) -> dict[str, list[str]]:
        """Rows by cell, without the fields that may differ."""
        cells = sorted((self.folder / sweep / "cells").iterdir())
        return {cell.name: stable_rows(cell) for cell in cells if (cell / "episodes").is_dir()}


@pytest.fixture
def sweeps(cluster: Cluster, tmp_path: Path) -> Sweeps:
    return Sweeps(tmp_path, cluster.environment)


@pytest.fixture(scope="session")
def local_rows(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Rows of the grid with launcher=local."""
    run = Sweeps(tmp_path_factory.mktemp("local"), cluster.environment)
    run("submit", run.write("grid.yaml", GRID), "out=sweep", "launcher=local", "shards=1")
    run("wait", "sweep", "every_s=0.5", "timeout_s=200")
    rows = run.rows("sweep")
    assert sum(map(len, rows.values())) == 48
    return rows
