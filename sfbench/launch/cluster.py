"""Questions to Slurm, and scancel. Submitting is Submitit's."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from sfbench.errors import MissingError, StoppedError

_TIMEOUT_S = 120.0
DEFAULT_ARRAY_SIZE = 1000
"""What every cluster takes unless it was set lower (Slurm's default MaxArraySize is 1001)."""


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """A job, or a task of an array, that has not ended.

    Attributes:
        job: `12` or `12_3`.
        state: PENDING, RUNNING, COMPLETING, ...
        reason: why it waits.
    """

    job: str
    state: str
    reason: str


def require_sbatch() -> None:
    """Raises MissingError where jobs cannot be submitted."""
    for program in ("sbatch", "srun"):
        if shutil.which(program) is None:
            raise MissingError(
                f"no {program} on the PATH, so there is no Slurm here: run this on a login node of "
                "the cluster (perhaps after `module load slurm`), or use launcher=local"
            )


def queue(job_names: Sequence[str]) -> list[QueuedTask]:
    """Every task of jobs with these names that has not ended.

    Raises:
        StoppedError: Slurm does not answer.
    """
    out = _ask("squeue", "-h", "-r", f"--name={','.join(job_names)}", "-o", "%i|%T|%r")
    found = []
    for line in out.splitlines():
        job, state, reason = line.strip().split("|", 2)
        found.append(QueuedTask(job, state, reason))
    return found


def ended(job_names: Sequence[str]) -> dict[str, str]:
    """State by job id, of jobs that accounting remembers; empty without accounting."""
    try:
        out = _ask("sacct", "-n", "-X", "-P", "--array", f"--name={','.join(job_names)}",
                   "-o", "JobID,State")  # fmt: skip
    except StoppedError:
        return {}
    pairs = (line.split("|", 1) for line in out.splitlines() if "|" in line)
    return {job: state.split()[0] for job, state in pairs if state}


def cancel(jobs: Sequence[str]) -> None:
    """End jobs, waiting or running. Raises StoppedError."""
    _ask("scancel", *jobs)


def max_array_size() -> int | None:
    """How many tasks an array may have, or None where Slurm does not say."""
    try:
        out = _ask("scontrol", "show", "config")
    except StoppedError:
        return None
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", out)
    # The number is one above the largest index, and ours start from 0.
    return int(found.group(1)) if found else None


def partitions() -> list[str]:
    """Names of partitions, for messages."""
    try:
        return sorted(set(_ask("sinfo", "-h", "-o", "%R").split()))
    except StoppedError:
        return []


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except FileNotFoundError as error:
        raise StoppedError(f"no {command[0]} on the PATH: ask on a login node") from error
    except subprocess.TimeoutExpired as error:
        raise StoppedError(f"{command[0]} did not answer in {_TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise StoppedError(f"{command[0]} failed: {lines[-1]}")
    return done.stdout
