"""A shared policy server, a slow controller, and refusals, on the real cluster."""

import json
import os
import signal
import stat
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, wait_for
from tests.slurm.conftest import Sweeps

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

ON_SLURM = ("launcher=slurm", "profile=profile.yaml", "out=sweep")

SERVED = """
eval:
  suite: toy
  episodes: 5
  workers: 1
  max_attempts: 20
  policy: remote_openpi
  policy.mapping: native
  policy.open_loop_steps: 4
  policy.reconnect_s: 1
server: {suite: toy, policy: toy_chase, policy.noise: 3.0, protocol: openpi}
grid:
  tasks: [reach, reach_far]
"""


def test_simulators_share_a_policy_server(cluster: Cluster, sweeps: Sweeps) -> None:
    """It is killed once on the way, and comes back; the rows are those of one machine."""
    sweeps("submit", sweeps.write("s.yaml", SERVED), "out=local", "launcher=local")
    sweeps("wait", "local", "every_s=0.5", "timeout_s=200")
    sweeps("submit", "s.yaml", *ON_SLURM, "eval.suite.step_s=0.1")
    where = sweeps.folder / "sweep" / "servers" / "serve-all.json"
    wait_for(
        lambda: list(sweeps.folder.glob("sweep/cells/*/episodes/*.jsonl")), 60,
        lambda: sweeps("status", "sweep", allow=(3,)),
    )  # fmt: skip
    first = json.loads(where.read_text())
    token = sweeps.folder / "sweep" / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text().strip()) >= 32
    server = next(pid for pid in _pids(b"\0serve\0") if _is_of(pid, sweeps.folder))
    assert token.read_text().strip().encode() not in Path(f"/proc/{server}/cmdline").read_bytes()
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: where.exists() and json.loads(where.read_text()) != first, 60,
             lambda: "the server does not come back")  # fmt: skip
    sweeps("wait", "sweep", "every_s=0.5", "timeout_s=200")
    assert sweeps.rows("sweep") == sweeps.rows("local")
    assert not cluster.jobs()
    assert not where.exists()


def _pids(part: bytes) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and part in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def _is_of(pid: int, folder: Path) -> bool:
    with suppress(OSError):
        return str(folder).encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


SLOW_SBATCH = """\
#!/bin/bash
# Stops the controller for ten seconds while sbatch asks it, and writes down how long that took.
start=$(date +%s.%N)
kill -STOP {controller}
(sleep 10; kill -CONT {controller}) >/dev/null 2>&1 &
{sbatch} "$@"
status=$?
echo "$start $(date +%s.%N)" >> {log}
exit $status
"""


def _slow_sweeps(cluster: Cluster, folder: Path) -> Sweeps:
    """Every sbatch is written to `folder/calls`."""
    tools = folder / "bin"
    tools.mkdir()
    sbatch = cluster.run("bash", "-c", "command -v sbatch").strip()
    wrapper = tools / "sbatch"
    wrapper.write_text(
        SLOW_SBATCH.format(controller=cluster.controller_pid, sbatch=sbatch, log=folder / "calls")
    )
    wrapper.chmod(0o755)
    path = f"{tools}{os.pathsep}{cluster.environment['PATH']}"
    return Sweeps(folder, {**cluster.environment, "PATH": path})


def test_a_thousand_cells_with_a_slow_controller(cluster: Cluster, tmp_path: Path) -> None:
    """One sbatch per stage, and at most 5 s of our own."""
    sweeps, log = _slow_sweeps(cluster, tmp_path), tmp_path / "calls"
    grid = textwrap.dedent(f"""
        eval: {{suite: toy, policy: toy_chase, tasks: reach, episodes: 2}}
        grid: {{seed: {list(range(1000))}}}
    """)
    start_s, start_cpu_s = time.monotonic(), sum(os.times()[2:4])
    printed = sweeps("submit", sweeps.write("g.yaml", grid), *ON_SLURM)
    spent_s, cpu_s = time.monotonic() - start_s, sum(os.times()[2:4]) - start_cpu_s
    calls = [[float(text) for text in line.split()] for line in log.read_text().splitlines()]
    sbatch_s = sum(end - start for start, end in calls)
    sweeps("cancel", "sweep")
    own_s = spent_s - sbatch_s
    print(
        f"{spent_s:.1f} s, of which sbatch {sbatch_s:.1f} s; own {own_s:.1f} s, CPU {cpu_s:.1f} s"
    )
    assert "1000 tasks" in printed
    assert len(calls) == 2
    assert sbatch_s > 2 * 9
    # On a machine that does other things too, the clock says little about us.
    busy = os.getloadavg()[0] > len(os.sched_getaffinity(0))
    assert own_s <= 5 or (busy and cpu_s <= 5)


def test_a_job_that_the_controller_takes_after_sbatch_gave_up(tmp_path: Path) -> None:
    """It waits at most 5 s for an answer that comes after 10: the job is in the queue by then."""
    cluster = Cluster(tmp_path, message_timeout_s=5)
    try:
        sweeps = _slow_sweeps(cluster, tmp_path)
        sweeps.write("g.yaml", "eval: {suite: toy, policy: toy_chase, episodes: 1}\n")
        out = sweeps("submit", "g.yaml", *ON_SLURM, allow=(2,))
        assert "The controller is slow: try again later" in out
        wait_for(lambda: not cluster.jobs(), 30, lambda: f"left: {cluster.jobs()}")
        cluster.run("scontrol", "show", "job", "1")
    finally:
        cluster.stop()


def test_a_partition_that_the_controller_does_not_know(sweeps: Sweeps) -> None:
    sweeps.write("p.yaml", "partition: mian\n")
    sweeps.write("g.yaml", "eval: {suite: toy, policy: toy_chase, episodes: 1}\n")
    out = sweeps("submit", "g.yaml", "launcher=slurm", "profile=p.yaml", "out=sweep", allow=(2,))
    assert "unknown partition 'mian'. Did you mean 'main'?" in out


def test_a_job_that_the_controller_rejects(cluster: Cluster, sweeps: Sweeps) -> None:
    """The report asks for more time than the partition gives; the evaluations were submitted."""
    sweeps.write("p.yaml", "cpus_per_task: 1\ntime_min: 100000\n")
    sweeps.write("g.yaml", "eval: {suite: toy, policy: toy_chase, episodes: 1}\n")
    out = sweeps("submit", "g.yaml", *ON_SLURM, "stage_profiles.report=p.yaml", allow=(3,))
    assert "Slurm refused the jobs of stage report" in out
    assert "time limit" in out
    assert "Submitted before that: jobs" in out
    assert "cancelled" in sweeps("cancel", "sweep")
    wait_for(lambda: not cluster.jobs(), 30, lambda: f"left: {cluster.jobs()}")
