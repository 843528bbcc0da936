"""An environment with the real peers, openpi-client and vla-eval, made once and kept in the cache.

They need another numpy than sfbench does, so they never share a process with it.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sfbench.sim.cache import cache_folder

REQUIREMENTS = ("openpi-client==0.1.2", "vla-eval==0.8.0")
SCRIPTS = Path(__file__).parent / "scripts"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def peers_python() -> Path:
    """The interpreter; without the packages a skip that says so, or a failure where CI=true."""
    identity = "\n".join([sys.version, *REQUIREMENTS])
    folder = cache_folder("peers") / hashlib.sha256(identity.encode()).hexdigest()[:12]
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=False, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q"]
        done = subprocess.run([*pip, *REQUIREMENTS], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            text = f"the peers cannot be installed: {done.stderr[-500:]}"
            if os.environ.get("CI") == "true":
                pytest.fail(text)
            pytest.skip(text)
        (folder / "complete").touch()
    return python


@pytest.fixture
def peer(peers_python: Path) -> Iterator[Start]:
    """Starts a script of `scripts/`, or with `-c` any code, in that environment."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> "subprocess.Popen[str]":
        first, *rest = map(str, arguments)
        command = [first] if first.startswith("-") else [str(SCRIPTS / first)]
        process = subprocess.Popen(
            [str(peers_python), *command, *rest],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> str:
    """What it wrote to stdout; it must have ended well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err[-3000:]
    return out


@contextlib.contextmanager
def port_of(process: "subprocess.Popen[str]") -> Iterator[int]:
    """The port that a server script prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.strip().isdecimal():
        raise AssertionError(process.communicate(timeout=30)[1][-3000:])
    yield int(line)
