"""The same sweep on two nodes and on this machine."""

import json

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.conftest import GRID, Sweeps

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


def test_rows_equal_those_of_one_machine(
    cluster: Cluster, sweeps: Sweeps, local_rows: dict[str, list[str]]
) -> None:
    """Also: submit returns with ids, everything later works on files, nothing is left to submit."""
    printed = sweeps(
        "submit", sweeps.write("grid.yaml", GRID), "out=sweep", "launcher=slurm",
        "profile=profile.yaml",
    )  # fmt: skip
    assert "eval: job" in printed
    assert "16 tasks" in printed
    sweeps("wait", "sweep", "every_s=0.5", "timeout_s=200")
    assert sweeps.rows("sweep") == local_rows
    files = (sweeps.folder / "sweep" / "tasks").glob("*-*.json")
    said = [json.loads(path.read_text()) for path in files]
    assert len(said) == 16
    assert all(task["state"] == "done" for task in said)
    # Without accounting Slurm forgets; the journals do not.
    assert "48 / 48" in sweeps("status", "sweep")
    assert (sweeps.folder / "sweep" / "report" / "leaderboard.md").exists()
    assert "nothing to submit" in sweeps("resubmit", "sweep")
