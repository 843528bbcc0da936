"""Two processes with halves of a batch do what one process does with the whole."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sfbench.training.run import train
from tests.training.runs import MUON, losses, request

ROOT = Path(__file__).parents[2]

# Sums in another order differ in the last bits of float32; six steps of AdamW enlarge that.
LOSS_TOLERANCE = 1e-4
WEIGHT_TOLERANCE = 2e-3
"""Of a step of 5e-4 in each of six steps: where a gradient is almost 0, its sign may differ."""


@pytest.fixture(scope="module")
def runs(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("processes")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "tests.training.on_two_processes"),
            *(str(dataset), str(out)),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    train(request(dataset, out / "one", ema_decay=0.5))
    train(request(dataset, out / "muon_one", optimiser=MUON))
    train(request(dataset, out / "pi0_one", "pi0_micro"))
    return out


@pytest.mark.parametrize(
    ("two", "one"),
    [("ddp", "one"), ("fsdp", "one"), ("muon", "muon_one"), ("pi0", "pi0_one")],
)
def test_same_losses(runs: Path, two: str, one: str) -> None:
    """Also with noise and augmentation, which are drawn for each sample."""
    np.testing.assert_allclose(losses(runs / two), losses(runs / one), rtol=LOSS_TOLERANCE)


@pytest.mark.parametrize("two", ["ddp", "fsdp"])
def test_same_weights(runs: Path, two: str) -> None:
    """In the checkpoint's own format, and resumed half-way."""
    mine, theirs = (
        load_file(runs / name / "checkpoints" / "6" / "model.safetensors") for name in (two, "one")
    )
    assert mine.keys() == theirs.keys()
    for name, tensor in theirs.items():
        np.testing.assert_allclose(mine[name], tensor, atol=WEIGHT_TOLERANCE, err_msg=name)
    # The tolerance is far smaller than what training changed.
    assert np.mean([np.abs(mine[name] - theirs[name]).mean() for name in mine]) < 1e-5
