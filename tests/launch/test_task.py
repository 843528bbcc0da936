"""A task as Slurm treats it: signals, requeues, stale processes, lagging file systems."""

import fcntl
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from sfbench.launch.folder import is_held
from sfbench.rollout.journal import read_journal, read_rows
from tests.conftest import stable_rows
from tests.launch.conftest import RunTask, Sweep
from tests.launch.fake_slurm import FakeSlurm

ONE = """
eval: {suite: toy, policy: toy_chase, episodes: 4, workers: 1, tasks: reach, policy.noise: 3.0}
"""
SLOW = "eval.suite.step_s=0.1"
JOURNAL = Path("sweep/cells/all/episodes/0-of-1.jsonl")


def wait_for_rows(count: int, process: "subprocess.Popen[str]", timeout_s: float = 200.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not JOURNAL.exists() or len(read_journal(JOURNAL).rows) < count:
        if process.poll() is not None or time.monotonic() > end_s:
            pytest.fail(f"no {count} rows: {process.communicate()[0]}")
        time.sleep(0.02)


def workers_of(pid: int) -> list[int]:
    listing = subprocess.run(
        ["ps", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True, check=False
    ).stdout
    return [int(line.split()[0]) for line in listing.splitlines() if "rollout.worker" in line]


def finish(process: "subprocess.Popen[str]") -> str:
    return process.communicate(timeout=240)[0]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    from sfbench.cli import main

    out = tmp_path_factory.mktemp("reference")
    assert main.run(["eval", "suite=toy", "policy=toy_chase", "episodes=4", "tasks=reach",
                     "policy.noise=3.0", f"out={out}", "workers=0"]) == 0  # fmt: skip
    return stable_rows(out)


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_a_signal_stops_it_and_queues_it_again(
    sweep: Sweep, slurm: FakeSlurm, run_task: RunTask, reference: list[str], number: signal.Signals
) -> None:
    """As a preemption does. To every process, as Slurm sends it; then the rest is played."""
    sweep("submit", sweep.write(ONE), "launcher=slurm", "out=sweep", SLOW)
    process = run_task("100")
    wait_for_rows(1, process)
    workers = workers_of(process.pid)
    assert workers
    for pid in (process.pid, *workers):
        os.kill(pid, number)
    finish(process)
    assert slurm.calls("scontrol") == [["scontrol", "requeue", "100"]]
    assert slurm.jobs()["100"]["tasks"]["100"] == "PENDING"
    assert '"queued again"' in Path("sweep/tasks/all.0.json").read_text()
    assert 0 < len(read_rows(Path("sweep/cells/all"))) < 4
    end_s = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < end_s, "workers outlive the task"
        time.sleep(0.05)
    if number is signal.SIGUSR2:  # Once is enough.
        output = finish(run_task("100"))
        assert stable_rows(Path("sweep/cells/all")) == reference, output


def test_a_cancelled_task_is_not_brought_back(
    sweep: Sweep, slurm: FakeSlurm, run_task: RunTask
) -> None:
    """scancel sends SIGTERM like a preemption; only the job's state tells them apart."""
    sweep("submit", sweep.write(ONE), "launcher=slurm", "out=sweep", SLOW)
    process = run_task("100")
    wait_for_rows(1, process)
    slurm.set_states("COMPLETING", "100")
    process.send_signal(signal.SIGTERM)
    finish(process)
    assert process.returncode != 0
    assert not slurm.calls("scontrol")
    assert '"stopped"' in Path("sweep/tasks/all.0.json").read_text()


def test_a_signal_before_anything_began(sweep: Sweep, slurm: FakeSlurm, run_task: RunTask) -> None:
    sweep("submit", sweep.write(ONE), "launcher=slurm", "out=sweep", SLOW)
    process = run_task("100")
    end_s = time.monotonic() + 200
    while not Path("sweep/tasks/all.0.json").exists() and time.monotonic() < end_s:
        time.sleep(0.005)
    process.send_signal(signal.SIGUSR2)
    finish(process)
    assert slurm.calls("scontrol") == [["scontrol", "requeue", "100"]]


def test_a_task_waits_for_the_process_that_it_replaces(
    sweep: Sweep, slurm: FakeSlurm, run_task: RunTask, reference: list[str]
) -> None:
    """A node that Slurm believes dead may go on writing."""
    sweep("submit", sweep.write(ONE), "launcher=slurm", "out=sweep", SLOW)
    first = run_task("100")
    wait_for_rows(1, first)
    # It stands still, and keeps its lock, until the second has found it.
    first.send_signal(signal.SIGSTOP)
    second = run_task("100")
    try:
        assert second.stdout is not None
        assert any("waiting for the earlier process" in line for line in second.stdout)
    finally:
        first.send_signal(signal.SIGCONT)
    finish(first)
    finish(second)
    assert stable_rows(Path("sweep/cells/all")) == reference


def test_a_task_that_cannot_work_fails_with_a_reason(
    sweep: Sweep, slurm: FakeSlurm, run_task: RunTask
) -> None:
    sweep("submit", sweep.write(ONE), "launcher=slurm", "out=sweep")
    Path("sweep/cells/all/card.json").write_text('{"env": {}, "policy": {}}')
    process = run_task("100")
    finish(process)
    assert process.returncode != 0
    slurm.set_states("FAILED", "100")
    out = sweep("status", "sweep", status=3)
    assert "failed: all/0: failed: " in out
    assert "another protocol card" in out


def test_wait_sees_rows_that_a_shared_file_system_shows_late(
    sweep: Sweep, slurm: FakeSlurm, run_task: RunTask
) -> None:
    sweep("submit", sweep.write(ONE), "launcher=slurm", "out=sweep")
    finish(run_task("100"))
    slurm.set_states("COMPLETED")
    hidden = JOURNAL.with_suffix(".hidden")
    JOURNAL.rename(hidden)

    def show() -> None:
        time.sleep(0.6)
        hidden.rename(JOURNAL)

    late = threading.Thread(target=show)
    late.start()
    assert "4 / 4" in sweep("wait", "sweep", "every_s=0.1", "lag_s=20")
    late.join()


def test_wait_says_when_nothing_comes_any_more(sweep: Sweep, slurm: FakeSlurm) -> None:
    sweep("submit", sweep.write(ONE), "launcher=slurm", "out=sweep")
    slurm.set_states("NODE_FAIL")
    out = sweep("wait", "sweep", "every_s=0.05", "lag_s=0.2", status=3)
    assert "Nothing is on its way any more" in out
    assert "file system lags" in out


def test_the_lock_of_a_journal_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.touch()
    assert not is_held(path)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_held(path)
    assert not is_held(path)
