"""The plain scripts of `slurm/`, submitted as their first lines say."""

import time
from pathlib import Path

import pytest

from sfbench.training.metrics import read_metrics
from tests.slurm.cluster import Cluster, wait_for
from tests.slurm.conftest import Sweeps
from tests.training.demos import make_dataset

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


def sbatch(cluster: Cluster, log: Path, *arguments: str) -> str:
    """Submit from the checkout; returns the job's id."""
    options = ("--parsable", f"--chdir={ROOT}", f"--output={log}", "--cpus-per-task=1", "--time=30")
    return cluster.run("sbatch", *options, *arguments).strip()


def wait_for_end(cluster: Cluster, job: str, log: Path) -> None:
    wait_for(lambda: job not in cluster.jobs(), 280, lambda: log.read_text())


def test_a_sweep_submitted_by_a_job(cluster: Cluster, sweeps: Sweeps) -> None:
    sweeps.write("g.yaml", "eval: {suite: toy, policy: toy_chase, episodes: 1, workers: 1}\n")
    log, out = sweeps.folder / "log", sweeps.folder / "sweep"
    arguments = ("slurm/sweep.sbatch", str(sweeps.folder / "g.yaml"), f"out={out}",
                 f"profile={sweeps.folder / 'profile.yaml'}")  # fmt: skip
    wait_for_end(cluster, sbatch(cluster, log, *arguments), log)
    assert "eval: job" in log.read_text()
    sweeps("wait", "sweep", "every_s=0.5", "timeout_s=200")
    # The same line again submits what is missing: nothing.
    wait_for_end(cluster, sbatch(cluster, log, *arguments), log)
    assert "nothing to submit" in log.read_text()


def test_a_training_on_two_nodes_queues_itself_again(cluster: Cluster, tmp_path: Path) -> None:
    dataset, out, log = make_dataset(tmp_path / "demos", 4), tmp_path / "run", tmp_path / "log"
    job = sbatch(
        cluster, log, "--nodes=2", "slurm/train.sbatch",
        "policy=openvla_oft_micro", f"dataset={dataset}", "steps=30", "batch_size=4",
        "device=cpu", f"out={out}",
    )  # fmt: skip
    metrics = out / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.read_bytes().count(b"\n") >= 3, 200,
             lambda: log.read_text() if log.exists() else "no log")  # fmt: skip
    cluster.run("scancel", "--signal=USR1", job)
    time.sleep(2)
    wait_for_end(cluster, job, log)
    assert [line["step"] for line in read_metrics(out)] == list(range(1, 31))
    assert (out / "checkpoints" / "30").is_dir()
    assert "stopped" in log.read_text()
