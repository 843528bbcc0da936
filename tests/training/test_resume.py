"""Killed and resumed is the same as never interrupted, to the last bit."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from sfbench.errors import RunFolderError, StoppedError
from sfbench.training.run import train
from sfbench.training.settings import AugmentConfig
from tests.conftest import Cli, start_cli
from tests.training.runs import MUON, losses, numbers, request


def test_kill_9_at_a_random_step(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    """The real command, with loader processes, augmentation, accumulation and an average."""
    arguments = [
        "train",
        "policy=openvla_oft_micro",
        f"dataset={dataset}",
        "batch_size=4",
        "micro_batch=2",
        "resume_every=5",
        "loader_workers=1",
        "ema_decay=0.9",
        "augment.crop_area=0.9",
        "augment.hue=0.05",
        "device=cpu",
    ]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    at = random.randrange(6, 32)
    # Far more steps than it may do: however late the kill comes, it comes in the middle.
    process = start_cli(*arguments, "steps=100000", f"out={killed}", start_new_session=True)
    metrics = killed / "metrics.jsonl"
    deadline_s = time.monotonic() + 200
    while not metrics.exists() or len(metrics.read_text().splitlines()) < at:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.communicate()
    did = metrics.read_bytes().count(b"\n")
    steps = did + 8
    again = cli(*arguments, f"steps={steps}", f"out={killed}")
    assert again.returncode == 0, again.stderr
    done_before = int(again.stderr.split(" of them done")[0].split()[-1])
    assert 0 < done_before <= did + 5, "it went on from a checkpoint"
    train(
        request(
            dataset,
            whole,
            steps=steps,
            micro_batch=2,
            ema_decay=0.9,
            augment=AugmentConfig(crop_area=0.9, hue=0.05),
        )
    )
    assert numbers(killed) == numbers(whole)
    one, two = (folder / "checkpoints" / str(steps) for folder in (killed, whole))
    for file in ("model.safetensors", "training_state/weights.safetensors"):
        assert (one / file).read_bytes() == (two / file).read_bytes()


def test_two_optimisers_resume(dataset: Path, tmp_path: Path) -> None:
    """Muon beside AdamW: what each knows of its parameters comes back."""
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    for steps in (3, 7):
        train(request(dataset, parts, steps=steps, optimiser=MUON))
    train(request(dataset, whole, steps=7, optimiser=MUON))
    assert numbers(parts) == numbers(whole)
    one, two = (folder / "checkpoints" / "7" for folder in (parts, whole))
    for file in ("model.safetensors", "training_state/moments.safetensors"):
        assert (one / file).read_bytes() == (two / file).read_bytes()


def test_a_changed_config_is_refused(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(request(dataset, out, steps=2))
    changed = request(dataset, out, steps=4, seed=3, batch_size=2)
    with pytest.raises(RunFolderError) as found:
        train(changed)
    assert "settings.seed: 0 -> 3" in str(found.value)
    assert "settings.batch_size: 4 -> 2" in str(found.value)
    # What losses do not depend on may change: more steps, other checkpoints.
    train(request(dataset, out, steps=3, resume_every=1, keep=[3]))
    assert len(losses(out)) == 3


def test_a_signal_stops_after_a_checkpoint(dataset: Path, tmp_path: Path) -> None:
    class Impatient:
        def on_start(self, step: int, steps: int) -> None: ...
        def on_event(self, text: str) -> None: ...
        def on_end(self) -> None: ...

        def on_step(self, step: int, loss: float) -> None:
            if step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    out = tmp_path / "run"
    with pytest.raises(StoppedError, match="again to resume"):
        train(request(dataset, out), reporter=Impatient())
    assert (out / "checkpoints" / "3" / "training_state").is_dir()
    train(request(dataset, out))
    train(request(dataset, tmp_path / "whole"))
    assert losses(out) == losses(tmp_path / "whole")


def test_only_what_was_asked_for_is_kept(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(request(dataset, out, resume_every=1, keep=[2, 4]))
    kept = sorted(int(folder.name) for folder in (out / "checkpoints").iterdir())
    assert kept == [2, 4, 6]
    assert not (out / "checkpoints" / "2" / "training_state").exists()
