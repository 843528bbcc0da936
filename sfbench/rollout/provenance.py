"""What made a run: revision, command, host, hardware, packages. Shown, never hashed."""

import os
import platform
import socket
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import sfbench


def collect(command: Sequence[str], gl_renderer: str | None) -> dict[str, Any]:
    """A JSON-able record of this process's circumstances."""
    return {
        "sfbench": sfbench.__version__,
        "revision": revision(),
        "command": list(command),
        "started_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "gpus": gpu_names(),
        "gl_renderer": gl_renderer,
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "packages": dict(sorted((item.name, item.version) for item in distributions())),
    }


def revision() -> dict[str, Any] | None:
    """Git commit of the code and whether files differ from it; None outside a checkout."""
    folder = Path(sfbench.__file__).parent
    try:
        commit = _output(["git", "-C", str(folder), "rev-parse", "HEAD"])
        changed = _output(["git", "-C", str(folder), "status", "--porcelain", "--", "."])
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changed)}


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def gpu_names() -> list[str]:
    """Name and driver of every NVIDIA GPU; empty where there is none."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return _output(query).splitlines()
    except (OSError, subprocess.SubprocessError):
        return []
