"""The same plan gives the same rows: with any number of workers, killed, shuffled and resumed."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sfbench.rollout.journal import read_journal, read_rows
from tests.conftest import eval_toy, stable_rows, start_cli

EPISODES = ("episodes=8", "repeats=2", "policy.noise=3.0")
SLOW = "suite.step_s=0.01"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Rows of an undisturbed run with one worker."""
    out = tmp_path_factory.mktemp("reference")
    process = start_cli(*eval_toy(out, *EPISODES, "workers=1"))
    assert process.wait(timeout=120) == 0
    rows = stable_rows(out)
    assert len(rows) == 32
    return rows


@pytest.mark.parametrize("workers", [0, 2, 5])
def test_any_number_of_workers(reference: list[str], tmp_path: Path, workers: int) -> None:
    process = start_cli(*eval_toy(tmp_path, *EPISODES, f"workers={workers}"))
    assert process.wait(timeout=120) == 0
    assert stable_rows(tmp_path) == reference


def test_shards_in_any_order(reference: list[str], tmp_path: Path) -> None:
    for shard in ("2/3", "0/3", "1/3"):
        process = start_cli(*eval_toy(tmp_path, *EPISODES, f"shard={shard}"))
        assert process.wait(timeout=120) == 0
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


def test_kill_main_and_workers_then_resume(reference: list[str], tmp_path: Path) -> None:
    """kill -9 at random moments, of workers and of the main process, until the run is done."""
    chance = random.Random(0)
    kills = {"worker": 0, "main": 0}
    arguments = eval_toy(tmp_path, *EPISODES, SLOW, "workers=2", "max_attempts=20")
    orphans: list[int] = []
    for _ in range(12):
        process = start_cli(*arguments)
        deadline_s = time.monotonic() + chance.uniform(3.0, 6.0)
        while process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(chance.uniform(0.3, 1.0))
            victims = workers_of(process.pid)
            if victims and chance.random() < 0.5:
                os.kill(chance.choice(victims), signal.SIGKILL)
                kills["worker"] += 1
        if process.poll() is None and kills["main"] < 4:
            orphans += workers_of(process.pid)
            process.kill()
            kills["main"] += 1
        process.wait(timeout=120)
        if process.returncode == 0:
            break
    assert process.returncode == 0
    assert kills["main"] >= 2
    assert kills["worker"] >= 2
    # `step_s` is no part of the protocol, so the rows equal the undisturbed run's.
    assert stable_rows(tmp_path) == reference
    time.sleep(1.0)
    assert not [pid for pid in orphans if Path(f"/proc/{pid}/cmdline").exists()]


def test_a_torn_last_row_is_rerun(reference: list[str], tmp_path: Path) -> None:
    process = start_cli(*eval_toy(tmp_path, *EPISODES))
    assert process.wait(timeout=120) == 0
    journal = next((tmp_path / "episodes").glob("*.jsonl"))
    whole = journal.read_bytes()
    journal.write_bytes(whole[: len(whole) - 100])
    assert read_journal(journal).torn_at == 32
    process = start_cli(*eval_toy(tmp_path, *EPISODES))
    assert process.wait(timeout=120) == 0
    assert stable_rows(tmp_path) == reference


def test_resume_runs_only_what_is_missing(tmp_path: Path) -> None:
    assert start_cli(*eval_toy(tmp_path, "episodes=2")).wait(timeout=120) == 0
    journal = next((tmp_path / "episodes").glob("*.jsonl"))
    before = journal.read_bytes()
    assert start_cli(*eval_toy(tmp_path, "episodes=3")).wait(timeout=120) == 0
    assert journal.read_bytes().startswith(before)
    assert [row.init_state for row in read_rows(tmp_path)].count(2) == 2
    assert len(read_rows(tmp_path)) == 6


def test_ctrl_c_loses_no_finished_episode(reference: list[str], tmp_path: Path) -> None:
    arguments = eval_toy(tmp_path, *EPISODES, SLOW, "workers=2")
    process = start_cli(*arguments, start_new_session=True)
    journal = tmp_path / "episodes" / "0-of-1.jsonl"
    while not (journal.exists() and journal.stat().st_size > 2000):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "resume" in err
    finished = len(read_rows(tmp_path))
    assert 0 < finished < 32
    assert start_cli(*arguments).wait(timeout=120) == 0
    assert stable_rows(tmp_path) == reference
