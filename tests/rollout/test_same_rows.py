"""The same plan gives the same rows: with any number of workers, killed, shuffled and resumed."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sfbench.rollout.journal import read_journal, read_rows
from tests.conftest import eval_toy, stable_rows, start_cli

EPISODES = ("episodes=8", "repeats=2", "policy.noise=3.0")
PATIENCE_S = 240
"""For runs of seconds: other work may keep the machine busy."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Rows of an undisturbed run with one worker."""
    out = tmp_path_factory.mktemp("reference")
    process = start_cli(*eval_toy(out, *EPISODES, "workers=1"))
    assert process.wait(timeout=PATIENCE_S) == 0
    rows = stable_rows(out)
    assert len(rows) == 32
    return rows


@pytest.mark.parametrize("workers", [0, 2, 5])
def test_any_number_of_workers(reference: list[str], tmp_path: Path, workers: int) -> None:
    process = start_cli(*eval_toy(tmp_path, *EPISODES, f"workers={workers}"))
    assert process.wait(timeout=PATIENCE_S) == 0
    assert stable_rows(tmp_path) == reference


def test_shards_in_any_order(reference: list[str], tmp_path: Path) -> None:
    for shard in ("2/3", "0/3", "1/3"):
        process = start_cli(*eval_toy(tmp_path, *EPISODES, f"shard={shard}"))
        assert process.wait(timeout=PATIENCE_S) == 0
    assert stable_rows(tmp_path) == reference
    assert len(list((tmp_path / "episodes").glob("*.jsonl"))) == 3


def test_noise_differs_between_repeats(reference: list[str]) -> None:
    """Guards the tests above: rows would be equal trivially if the policy had no noise."""
    assert len({row.split('"steps": ')[1].split(",")[0] for row in reference}) > 5


def workers_of(pid: int) -> list[int]:
    """Process ids of the worker processes below a main process."""
    listing = subprocess.run(
        ["ps", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True, check=False
    ).stdout
    return [int(line.split()[0]) for line in listing.splitlines() if "rollout.worker" in line]


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Until it holds; the process must not end before."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, "the run is done before it could be disturbed"
        assert time.monotonic() < end_s
        time.sleep(0.02)


def lines_in(out: Path) -> int:
    """Finished episodes so far."""
    return sum(path.read_bytes().count(b"\n") for path in out.glob("episodes/*.jsonl"))


def disturb(process: "subprocess.Popen[str]", out: Path, chance: random.Random) -> list[int]:
    """kill -9 of a worker and then of the main process, at random moments; the workers left."""
    for victim in ("worker", "main"):
        before = lines_in(out)
        wait_for(lambda before=before: lines_in(out) > before, process)
        wait_for(lambda: bool(workers_of(process.pid)), process)
        time.sleep(chance.uniform(0, 0.5))
        if victim == "worker":
            os.kill(chance.choice(workers_of(process.pid)), signal.SIGKILL)
    orphans = workers_of(process.pid)
    assert process.poll() is None
    process.kill()
    process.communicate()
    return orphans


def test_kill_main_and_workers_then_resume(reference: list[str], tmp_path: Path) -> None:
    """Three times, then the rest."""
    chance = random.Random(0)
    arguments = eval_toy(tmp_path, *EPISODES, "workers=2", "max_attempts=20")
    orphans: list[int] = []
    for _ in range(3):
        # So slow that no machine is done before the kills.
        process = start_cli(*arguments, "suite.step_s=0.05")
        orphans += disturb(process, tmp_path, chance)
    assert orphans
    assert 6 <= lines_in(tmp_path) < len(reference)
    # `step_s` is no part of the protocol, so the rest may be played quickly.
    assert start_cli(*arguments).wait(timeout=PATIENCE_S) == 0
    assert stable_rows(tmp_path) == reference
    end_s = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in orphans):
        assert time.monotonic() < end_s, "workers outlive the main process"
        time.sleep(0.1)


def test_a_torn_last_row_is_rerun(reference: list[str], tmp_path: Path) -> None:
    process = start_cli(*eval_toy(tmp_path, *EPISODES))
    assert process.wait(timeout=PATIENCE_S) == 0
    journal = next((tmp_path / "episodes").glob("*.jsonl"))
    whole = journal.read_bytes()
    journal.write_bytes(whole[: len(whole) - 100])
    assert read_journal(journal).torn_at == 32
    process = start_cli(*eval_toy(tmp_path, *EPISODES))
    assert process.wait(timeout=PATIENCE_S) == 0
    assert stable_rows(tmp_path) == reference


def test_resume_runs_only_what_is_missing(tmp_path: Path) -> None:
    assert start_cli(*eval_toy(tmp_path, "episodes=2")).wait(timeout=PATIENCE_S) == 0
    journal = next((tmp_path / "episodes").glob("*.jsonl"))
    before = journal.read_bytes()
    assert start_cli(*eval_toy(tmp_path, "episodes=3")).wait(timeout=PATIENCE_S) == 0
    assert journal.read_bytes().startswith(before)
    assert [row.init_state for row in read_rows(tmp_path)].count(2) == 2
    assert len(read_rows(tmp_path)) == 6


def test_ctrl_c_loses_no_finished_episode(reference: list[str], tmp_path: Path) -> None:
    arguments = eval_toy(tmp_path, *EPISODES, "workers=2")
    process = start_cli(*arguments, "suite.step_s=0.05", start_new_session=True)
    wait_for(lambda: lines_in(tmp_path) >= 2, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3
    assert "resume" in err
    finished = len(read_rows(tmp_path))
    assert 0 < finished < len(reference)
    assert start_cli(*arguments).wait(timeout=PATIENCE_S) == 0
    assert stable_rows(tmp_path) == reference
