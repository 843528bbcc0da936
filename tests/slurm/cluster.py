"""A real Slurm on this machine: munged, slurmctld and two slurmd in a temporary folder.

Everything is started here, lives below one folder, and is ended by `Cluster.stop`. Needs Debian's
`slurm-wlm` and `munge`, and root (slurmd starts job steps for users).
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

NODES = ("n1", "n2")
CPUS = 2
"""Per node; claimed, not real, so that tasks of both nodes run at the same time."""

_SBIN = ("/usr/sbin", "/usr/local/sbin")

_CONFIG = """
ClusterName=sfbench
SlurmctldHost=localhost
SlurmctldPort={ctld}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket,cred_expire=3
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/ctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/ctld.log
SlurmdLogFile={root}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU,CR_LLN
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,bf_interval=2,nohold_on_prolog_fail
SchedulerType=sched/backfill
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
EnforcePartLimits=ALL
SlurmdTimeout=15
SlurmctldTimeout=10
InactiveLimit=0
KillWait=3
MinJobAge=60
Waittime=0
SlurmdParameters=config_overrides
MaxArraySize={max_array}
MessageTimeout={message_timeout_s}
GresTypes=gpu
NodeName=DEFAULT RealMemory=64000 Gres=gpu:1
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={n1} CPUs={cpus} State=UNKNOWN
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={n2} CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=60 State=UP
PartitionName=small Nodes=n1 MaxTime=60 State=UP
"""


def missing() -> str | None:
    """What to do before a cluster can be started here; None if nothing."""
    lacking = [name for name in ("slurmctld", "slurmd", "munged") if _find(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not found: apt-get install -y slurm-wlm munge"
    if os.geteuid() != 0:
        return "starting slurmd needs root"
    return None


class Cluster:
    """A running cluster.

    Attributes:
        root: its folder.
        environment: with it, `sbatch` and the others talk to this cluster.
    """

    def __init__(self, root: Path, max_array: int = 1001, message_timeout_s: int = 60) -> None:
        """Start it, and wait until both nodes are idle.

        Args:
            root: its folder.
            max_array: one above the largest index of an array.
            message_timeout_s: how long a command waits for the controller; Slurm's default is 10.
        """
        self.root = root
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        # munged refuses a socket below a folder that others may write to.
        root.chmod(0o755)
        for name in ("state", "spool-n1", "spool-n2"):
            (root / name).mkdir()
        ports = _free_ports(3)
        config = _CONFIG.format(
            root=root, ctld=ports[0], n1=ports[1], n2=ports[2], cpus=CPUS, max_array=max_array,
            message_timeout_s=message_timeout_s,
        )  # fmt: skip
        (root / "slurm.conf").write_text(config)
        # A GPU to count with; there is no device behind it.
        (root / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        self.environment = {**os.environ, "SLURM_CONF": str(root / "slurm.conf")}
        try:
            self._start_munge()
            self.start_controller()
            for node in NODES:
                self.start_node(node)
            self.wait_until_idle()
        except BaseException:
            self.stop()
            raise

    def run(self, *command: str, check: bool = True) -> str:
        """Run a Slurm command; returns what it printed."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def start_controller(self) -> None:
        """Start slurmctld."""
        self._start("slurmctld", "slurmctld", "-D", "-i")

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        self._start(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """kill -9 the slurmd of a node; its job steps live on, as on a real node."""
        self._processes[node].kill()
        self._processes[node].wait()

    @property
    def controller_pid(self) -> int:
        """Process id of slurmctld."""
        return self._processes["slurmctld"].pid

    def jobs(self) -> list[str]:
        """Ids of all jobs, one per array task."""
        return self.run("squeue", "-h", "-r", "-o", "%i").split()

    def wait_until_idle(self, timeout_s: float = 60.0) -> None:
        """Wait until every node is up and without jobs."""

        def states() -> set[str]:
            return set(self.run("sinfo", "-h", "-N", "-o", "%T", check=False).split())

        wait_for(lambda: states() == {"idle"}, timeout_s, lambda: f"nodes are {states()}")

    def stop(self) -> None:
        """End jobs and daemons."""
        with suppress(RuntimeError, subprocess.TimeoutExpired, OSError):
            if self._alive("slurmctld"):
                self._processes["slurmctld"].send_signal(signal.SIGCONT)
                self.run("scancel", "--user", "root", check=False)
                wait_for(lambda: not self.jobs(), 15, lambda: "jobs remain")
        for process in reversed(self._processes.values()):
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._end_steps()

    def _end_steps(self) -> None:
        """End step daemons that outlived their slurmd; they are known by their spool folder."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    if (
                        b"slurmstepd" in (entry / "cmdline").read_bytes()
                        and str(self.root).encode() in (entry / "environ").read_bytes()
                    ):
                        os.kill(int(entry.name), signal.SIGKILL)

    def _alive(self, name: str) -> bool:
        return name in self._processes and self._processes[name].poll() is None

    def _start_munge(self) -> None:
        key = self.root / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid",
                 "log-file": "munged.log", "seed-file": "munged.seed"}  # fmt: skip
        options = [f"--{option}={self.root / name}" for option, name in files.items()]
        # --force: the folder may lie below /tmp, which others can write to.
        self._start("munged", "munged", "--foreground", "--force", *options)
        wait_for((self.root / "munge.socket").exists, 10, lambda: self._log("munged"))

    def _start(self, name: str, program: str, *arguments: str) -> None:
        path = _find(program)
        assert path is not None
        with (self.root / f"{name}.out").open("ab") as out:
            self._processes[name] = subprocess.Popen(
                [path, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        time.sleep(0.2)
        if not self._alive(name):
            raise RuntimeError(f"{program} ended at once: {self._log(name)}")

    def _log(self, name: str) -> str:
        return (self.root / f"{name}.out").read_text(errors="replace")[-2000:]


def wait_for(
    happened: Callable[[], object], timeout_s: float, what: Callable[[], str], poll_s: float = 0.2
) -> None:
    """Wait until something is true. Raises TimeoutError."""
    end_s = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() > end_s:
            raise TimeoutError(f"after {timeout_s:g} s: {what()}")
        time.sleep(poll_s)


def _find(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join((os.environ["PATH"], *_SBIN)))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()
