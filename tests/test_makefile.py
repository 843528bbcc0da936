"""`make setup` on machines that lack something, played by stand-ins for Python, pip and Debian."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("sh", "make", "mkdir", "cp", "touch", "rm")

# Copies itself to .venv/bin as `-m venv` does. Files say what the machine has: `ensurepip` Debian's
# venv package, `cpu_build` an index with torch's CPU build, `torch` the version that is installed.
INTERPRETER = f"""#!{sys.executable} -IS
import shutil, sys
from pathlib import Path
args, pip, torch = sys.argv[1:], Path(".venv/has_pip"), Path("torch")
with open("calls", "a") as calls:
    calls.write(" ".join(args) + "\\n")
if args[:2] == ["-m", "venv"]:
    shutil.rmtree(".venv/bin", ignore_errors=True)
    Path(".venv/bin").mkdir(parents=True)
    shutil.copy(sys.argv[0], ".venv/bin/python")
    shutil.copy(sys.argv[0], ".venv/bin/pip")
    pip.touch() if Path("ensurepip").exists() else sys.exit("ensurepip is not available")
elif args[:2] == ["-m", "ensurepip"]:
    pip.touch() if Path("ensurepip").exists() else sys.exit("No module named ensurepip")
elif args[:2] == ["-m", "pip"] or Path(sys.argv[0]).name == "pip":
    if not pip.exists():
        sys.exit("No module named pip")
    wanted = next((a for a in args if a.startswith("torch==")), None)
    if wanted and wanted.endswith("+cpu") and not Path("cpu_build").exists():
        sys.exit("no matching distribution")
    wanted and torch.write_text(wanted.removeprefix("torch=="))
elif args[0] == "-c" and "import sys, torch" in args[1]:
    sys.exit(not torch.exists() or args[2].partition("==")[2] not in torch.read_text())
elif args[0] == "-c" and "import torch" in args[1]:
    sys.exit(not torch.exists())
elif args[0] == "-c":
    exec(args[1])
"""
DEBIAN = {
    "dpkg": 'case " $HAS " in *" $2 "*) exit 0;; esac; exit 1',
    "id": 'echo "$WHO"',
    "apt-get": 'echo "$@" >>calls; exit "$APT"',
}
PACKAGES = "libegl1 libgl1 libgl1-mesa-dri libosmesa6 libglib2.0-0"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout on a machine with nothing but these tools."""
    if shutil.which("make") is None:
        pytest.skip("no make")
    for name in ("Makefile", "pyproject.toml", "setup.py", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "tests/plugin").mkdir(parents=True)
    (tmp_path / "tests/plugin/pyproject.toml").touch()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name) or "/bin/false")
    scripts = {f"tools/{name}": f"#!/bin/sh\n{text}\n" for name, text in DEBIAN.items()}
    for name, text in {**scripts, "python": INTERPRETER}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "ensurepip").touch()
    (tmp_path / "cpu_build").touch()
    return tmp_path


def make(folder: Path, *arguments: str, **debian: str) -> "subprocess.CompletedProcess[str]":
    """`make` by a user who lacks no package; `debian` says what is otherwise."""
    state = {"HAS": PACKAGES, "WHO": "1000", "APT": "0", **debian}
    return subprocess.run(
        ["make", "PYTHON=./python", *arguments],
        cwd=folder,
        env={"PATH": str(folder / "tools"), "HOME": os.devnull, **state},
        capture_output=True,
        text=True,
        check=False,
    )


def calls(folder: Path) -> list[str]:
    """What the stand-ins were asked for."""
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_setup(machine: Path) -> None:
    done = make(machine, "setup")
    assert done.returncode == 0, done.stderr
    assert (machine / "torch").read_text() == "2.13.0+cpu"
    assert any(call.endswith("-c constraints.txt -e .[dev]") for call in calls(machine))
    assert "PIP_EXTRA_INDEX_URL" not in done.stdout


def test_without_debians_venv_package_setup_says_so_and_goes_on_later(machine: Path) -> None:
    (machine / "ensurepip").unlink()
    for _ in range(2):
        done = make(machine, "setup")
        assert done.returncode != 0
        wanted = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        assert f"apt-get install -y {wanted}" in done.stdout
    (machine / "ensurepip").touch()
    done = make(machine, "setup")
    assert done.returncode == 0, done.stderr


def test_an_environment_without_pip_is_kept(machine: Path) -> None:
    """As uv makes it."""
    (machine / ".venv/bin").mkdir(parents=True)
    shutil.copy(machine / "python", machine / ".venv/bin/python")
    (machine / ".venv/mine").touch()
    done = make(machine, "setup")
    assert done.returncode == 0, done.stderr
    assert not any("venv" in call.split() for call in calls(machine))


def test_the_torch_that_is_typed_stays(machine: Path) -> None:
    assert make(machine, "setup").returncode == 0
    assert make(machine, "setup", "TORCH=torch==2.9.0").returncode == 0
    assert (machine / "torch").read_text() == "2.9.0+cpu"
    assert make(machine, "setup", "TORCH=skip").returncode == 0
    assert (machine / "torch").read_text() == "2.9.0+cpu"
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert not [pin for pin in pins if pin.startswith("torch==")], "it would undo TORCH="


def test_an_index_without_the_cpu_build(machine: Path) -> None:
    (machine / "cpu_build").unlink()
    done = make(machine, "setup")
    assert done.returncode == 0, done.stderr
    assert (machine / "torch").read_text() == "2.13.0"
    assert "no CPU build" in done.stdout
    assert "PIP_EXTRA_INDEX_URL" in done.stdout


def test_without_root_setup_goes_on_and_says_what_may_be_needed(machine: Path) -> None:
    done = make(machine, "setup", HAS="libegl1 libgl1")
    assert done.returncode == 0, done.stderr
    assert "sudo apt-get install -y libgl1-mesa-dri libosmesa6 libglib2.0-0" in done.stdout
    assert "sfbench doctor" in done.stdout
    assert not any("install -y" in call for call in calls(machine))


def test_as_root_what_is_missing_is_installed(machine: Path) -> None:
    done = make(machine, "gl", HAS="libegl1", WHO="0")
    assert done.returncode == 0
    assert done.stdout == ""
    assert calls(machine)[-1].endswith("libgl1 libgl1-mesa-dri libosmesa6 libglib2.0-0")
    done = make(machine, "gl", HAS="libegl1", WHO="0", APT="100")
    assert done.returncode == 0
    assert "sudo apt-get install -y libgl1 " in done.stdout


def test_packages_under_their_newer_name(machine: Path) -> None:
    done = make(machine, "gl", HAS=f"{PACKAGES}t64")
    assert (done.returncode, done.stdout) == (0, "")
