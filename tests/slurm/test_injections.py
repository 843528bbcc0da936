"""Everything that can happen to a job on a cluster, at seeded random moments."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sfbench.errors import SfbenchError
from sfbench.launch.completion import Completion
from sfbench.launch.folder import SweepFolder
from tests.slurm.cluster import NODES, Cluster, wait_for
from tests.slurm.conftest import GRID, Sweeps

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

INJECTIONS = 24
SLOW = "eval.suite.step_s=0.15"
"""Makes an episode last seconds; no part of the protocol, so rows stay the same."""


class Injector:
    """Does one thing after the other to a sweep's jobs."""

    def __init__(self, cluster: Cluster, chance: random.Random, root: Path) -> None:
        self.done: Counter[str] = Counter()
        self._cluster = cluster
        self._chance = chance
        self._root = str(root).encode()
        self._background: list[subprocess.Popen[bytes]] = []
        self._later: list[tuple[float, Callable[[], None]]] = []
        self.kinds: dict[str, Callable[[], bool]] = {
            "USR2": lambda: self._signal("USR2"),
            "requeue": lambda: self._to_job("scontrol", "requeue"),
            "kill a simulator": lambda: self._kill("sfbench.rollout.worker"),
            "cancel": lambda: self._to_job("scancel"),
            "kill slurmd": self._kill_node,
            "drain": self._drain,
            "kill a task": lambda: self._kill("submitit.core._submit"),
            "USR1": lambda: self._signal("USR1"),
            "TERM": lambda: self._signal("TERM"),
        }

    def inject(self, kind: str) -> None:
        if self.kinds[kind]():
            self.done[kind] += 1

    def freeze_a_task(self) -> None:
        """A task that cannot react any more: only its time limit ends it."""
        assert self._kill("submitit.core._submit", signal.SIGSTOP)
        self.done["time limit"] += 1

    def running(self) -> list[str]:
        lines = self._cluster.run("squeue", "-h", "-r", "-t", "R", "-o", "%i %j").splitlines()
        return [line.split()[0] for line in lines if line.endswith("-eval")]

    def end(self) -> None:
        """Undo what still lasts, and end commands that still try."""
        self.repair(everything=True)
        for command in self._background:
            command.kill()
            command.wait()

    def repair(self, *, everything: bool = False) -> None:
        """Undo what is only to last a while."""
        now_s = time.monotonic()
        for due_s, undo in [*self._later]:
            if everything or now_s >= due_s:
                self._later = [item for item in self._later if item[1] is not undo]
                undo()

    def processes(self, name: str) -> list[int]:
        """Processes of this sweep, by a part of their command."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if (
                    entry.name.isdecimal()
                    and name.encode() in (entry / "cmdline").read_bytes()
                    and b"SLURM_JOB_ID" in (entry / "environ").read_bytes()
                    and self._root in (entry / "environ").read_bytes()
                ):
                    found.append(int(entry.name))
        return sorted(found)

    def _to_job(self, *command: str) -> bool:
        jobs = self.running()
        if jobs:
            # Not waited for: scancel tries for a minute where a job is just changing its state.
            self._background.append(
                subprocess.Popen(
                    [*command, self._chance.choice(jobs)], env=self._cluster.environment,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
        return bool(jobs)

    def _signal(self, name: str) -> bool:
        return self._to_job("scancel", f"--signal={name}")

    def _kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> bool:
        victims = self.processes(name)
        if victims:
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(victims), number)
        return bool(victims)

    def _kill_node(self) -> bool:
        node = self._chance.choice(NODES)
        self._cluster.kill_node(node)
        self._undo_later(lambda: self._cluster.start_node(node), 2.0)
        return True

    def _drain(self) -> bool:
        node = self._chance.choice(NODES)
        self._cluster.run(
            "scontrol", "update", f"nodename={node}", "state=drain", "reason=test", check=False
        )

        def resume() -> None:
            self._cluster.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)

        self._undo_later(resume, 3.0)
        return True

    def _undo_later(self, undo: Callable[[], None], after_s: float) -> None:
        self._later.append((time.monotonic() + after_s, undo))


def test_nothing_is_lost_or_repeated(
    cluster: Cluster, sweeps: Sweeps, local_rows: dict[str, list[str]]
) -> None:
    chance = random.Random(7)
    sweeps(
        "submit", sweeps.write("grid.yaml", GRID), "out=sweep", "launcher=slurm",
        "profile=profile.yaml", SLOW,
    )  # fmt: skip
    injector = Injector(cluster, chance, sweeps.folder)
    wait_for(injector.running, 120, lambda: "no task runs")
    folder = SweepFolder(sweeps.folder / "sweep")
    wait_for(
        lambda: list(folder.path.glob("cells/*/episodes/*.jsonl")), 120, lambda: "no rows appear"
    )
    injector.freeze_a_task()
    kinds = list(injector.kinds)
    plan = kinds + chance.choices(kinds, k=INJECTIONS)
    for kind in plan:
        time.sleep(chance.uniform(0.3, 2.0))
        injector.repair()
        if not injector.running() and not cluster.jobs():
            if "nothing to submit" in sweeps("resubmit", "sweep"):
                break
            wait_for(injector.running, 120, lambda: "resubmitted tasks do not start")
        injector.inject(kind)
    injector.end()
    print(f"injected: {dict(injector.done)}")
    assert injector.done.total() >= 20
    assert len(injector.done) == len(kinds) + 1

    _finish(sweeps)
    assert sweeps.rows("sweep") == local_rows
    left = Completion(folder, folder.graph()).incomplete()
    assert not [task for task in left if task.cell != "report"]
    wait_for(
        lambda: not injector.processes("sfbench.rollout.worker"), 60,
        lambda: f"orphans: {injector.processes('sfbench.rollout.worker')}",
    )  # fmt: skip


def _finish(sweeps: Sweeps) -> None:
    """Resubmit until all is there."""
    for _ in range(6):
        sweeps("wait", "sweep", "every_s=0.5", "timeout_s=200", "lag_s=1", allow=(0, 3))
        if "nothing to submit" in sweeps("resubmit", "sweep"):
            return
    raise SfbenchError("not complete after six times")
