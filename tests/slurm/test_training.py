"""`sfbench train` in a sweep on the real cluster: interrupted, queued again, and on two nodes."""

import time
from pathlib import Path

import pytest

from sfbench.training.metrics import read_metrics
from tests.slurm.cluster import Cluster, wait_for
from tests.slurm.conftest import Sweeps
from tests.training.demos import make_dataset

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

STEPS = 30
TRAIN = f"""
train: {{policy: openvla_oft_micro, dataset: demos, steps: {STEPS}, batch_size: 4, device: cpu}}
checkpoints: [{STEPS}]
eval: {{suite: toy, policy: openvla_oft_micro, tasks: reach, episodes: 1, workers: 1}}
"""
RUN = Path("cells") / "train-all"


def weights(sweeps: Sweeps, sweep: str) -> bytes:
    return (
        sweeps.folder / sweep / RUN / "checkpoints" / str(STEPS) / "model.safetensors"
    ).read_bytes()


def test_an_interrupted_training_goes_on_exactly(cluster: Cluster, sweeps: Sweeps) -> None:
    make_dataset(sweeps.folder / "demos", 4)
    sweeps.write("long.yaml", "cpus_per_task: 1\ntime_min: 30\n")
    options = (sweeps.write("t.yaml", TRAIN), "launcher=slurm", "profile=long.yaml")
    sweeps("submit", *options, "out=whole", "launcher=local")
    sweeps("submit", *options, "out=cut")
    metrics = sweeps.folder / "cut" / RUN / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.read_bytes().count(b"\n") >= 3, 200,
             lambda: "the training does not start", poll_s=0.02)  # fmt: skip
    job = cluster.run("squeue", "-h", "-t", "R", "-o", "%i %j").split()[0]
    cluster.run("scancel", "--signal=USR2", job)
    said = sweeps.folder / "cut" / "tasks" / "train-all.0.json"
    wait_for(lambda: "queued again" in said.read_text(), 60, said.read_text, poll_s=0.02)
    kept = [int(path.name) for path in (metrics.parent / "checkpoints").glob("[0-9]*")]
    assert 0 < max(kept) < STEPS, "saved when it was asked to stop"
    time.sleep(1)
    for sweep in ("whole", "cut"):
        sweeps("wait", sweep, "every_s=0.5", "timeout_s=270")
    assert weights(sweeps, "cut") == weights(sweeps, "whole")
    steps = [line["step"] for line in read_metrics(sweeps.folder / "cut" / RUN)]
    assert steps == list(range(1, STEPS + 1))


def test_a_training_on_two_nodes(sweeps: Sweeps) -> None:
    make_dataset(sweeps.folder / "demos", 4)
    sweeps.write("two.yaml", "nodes: 2\ncpus_per_task: 1\ntime_min: 30\n")
    sweeps("submit", sweeps.write("t.yaml", TRAIN), "launcher=slurm", "profile=profile.yaml",
           "stage_profiles.train=two.yaml", "out=sweep")  # fmt: skip
    sweeps("wait", "sweep", "every_s=0.5", "timeout_s=270")
    logs = "".join(path.read_text() for path in (sweeps.folder / "sweep/logs").glob("*_log.err"))
    assert "rank 0 of 2" in logs
    assert "rank 1 of 2" in logs
    assert weights(sweeps, "sweep")
