"""Shared fixtures: running the command line, and comparing rows."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sfbench.contracts import VOLATILE_FIELDS
from sfbench.rollout.journal import read_rows

ASSETS = "SFBENCH_LIBERO_ASSETS"
_STAND_IN = Path(__file__).parents[2] / "shared" / "libero" / "libero_assets_lite.tar.xz"
if ASSETS not in os.environ and _STAND_IN.exists():
    os.environ[ASSETS] = str(_STAND_IN)

# Tests run side by side: threads that wait for one another would cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell lets what it starts in the background ignore Ctrl-C, and programs under test inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)

Cli = Callable[..., subprocess.CompletedProcess[str]]


def start_cli(*arguments: str, **popen: Any) -> "subprocess.Popen[str]":
    """The real command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "sfbench", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    )


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs `sfbench ...` in an empty folder and returns the finished process."""

    def run(*arguments: str, **extra: Any) -> subprocess.CompletedProcess[str]:
        folder = extra.pop("cwd", tmp_path)
        env = {**os.environ, **extra.pop("env", {})}
        process = start_cli(*arguments, cwd=folder, env=env, **extra)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run


def stable_rows(run_folder: Path) -> list[str]:
    """All rows without the fields that may differ, sorted: equal for equal runs."""
    rows = []
    for row in read_rows(run_folder):
        data = row.to_json()
        rows.append(json.dumps({k: v for k, v in data.items() if k not in VOLATILE_FIELDS}))
    return sorted(rows)


def eval_toy(out: Path, *extra: str, policy: str = "toy_chase") -> Sequence[str]:
    """Arguments of a short evaluation."""
    return ["eval", "suite=toy", f"policy={policy}", f"out={out}", *extra]
