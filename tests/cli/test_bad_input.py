"""Every user mistake we could think of: exit 2, one clear message, nothing run, nothing lost."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sfbench.cli.main import run
from tests.conftest import Cli, eval_toy, start_cli

GOOD = ("eval", "suite=toy", "policy=toy_chase", "episodes=1", "tasks=reach", "out=run")


def replaced(key: str, value: str) -> tuple[str, ...]:
    """The good command with one argument changed."""
    return tuple(f"{key}={value}" if item.startswith(f"{key}=") else item for item in GOOD)


MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "misspelt command": (("evaluate", *GOOD[1:]), "Did you mean 'eval'?"),
    "no suite": (("eval", "policy=noop"), "suite= is missing. Valid:"),
    "no policy": (("eval", "suite=toy"), "policy= is missing. Valid:"),
    "misspelt suite": (replaced("suite", "toi"), "Did you mean 'toy'?"),
    "misspelt policy": (replaced("policy", "toy_chaser"), "Did you mean 'toy_chase'?"),
    "misspelt key": ((*GOOD, "worker=2"), "Did you mean 'workers'?"),
    "misspelt plugin key": ((*GOOD, "suite.dampin=1"), "Did you mean 'suite.damping'?"),
    "misspelt nested key": ((*GOOD, "deadline.steps_s=1"), "Did you mean 'deadline.step_s'?"),
    "added key": ((*GOOD, "+workers=2"), "keys cannot be added"),
    "removed key": ((*GOOD, "~workers"), "keys cannot be added (+) or removed (~)"),
    "dashed option": ((*GOOD, "--workers=2"), "without dashes"),
    "no equals sign": ((*GOOD, "workers"), "got no key=value"),
    "key twice": ((*GOOD, "seed=1", "seed=2"), "'seed' is given twice"),
    "misspelt task": (replaced("tasks", "reech"), "Did you mean 'reach'?"),
    "no task": (replaced("tasks", "[]"), "name at least one task"),
    "task twice": (replaced("tasks", "reach,reach"), "named twice"),
    "misspelt split": ((*GOOD, "split=evil"), "Did you mean 'eval'?"),
    "misspelt video mode": ((*GOOD, "video=failure"), "Did you mean 'failures'?"),
    "misspelt gl": ((*GOOD, "gl=eql"), "Did you mean 'egl'?"),
    "unknown instruction split": ((*GOOD, "instruction_split=new"), "Valid: seen, unseen"),
    "zero episodes": (replaced("episodes", "0"), "allowed 1 to 20"),
    "negative episodes": (replaced("episodes", "-3"), "allowed 1 to 20"),
    "too many episodes": (replaced("episodes", "21"), "allowed 1 to 20"),
    "text for a number": (replaced("episodes", "many"), "could not be converted to Integer"),
    "fraction for a count": (replaced("episodes", "1.5"), "could not be converted to Integer"),
    "all of train": (("eval", "suite=toy", "policy=noop", "split=train"), "say episodes=N"),
    "negative seed": ((*GOOD, "seed=-1"), "allowed 0 or more"),
    "zero repeats": ((*GOOD, "repeats=0"), "allowed 1 or more"),
    "negative workers": ((*GOOD, "workers=-1"), "allowed 0 (all in one process) or more"),
    "zero batch": ((*GOOD, "max_batch=0"), "allowed 1 or more"),
    "zero attempts": ((*GOOD, "max_attempts=0"), "allowed 1 or more"),
    "shard outside": ((*GOOD, "shard=3/3"), "allowed 0 to 2"),
    "shard unreadable": ((*GOOD, "shard=first"), "write INDEX/COUNT"),
    "too many open-loop steps": ((*GOOD, "open_loop_steps=5"), "allowed 1 to 4"),
    "no open-loop steps": ((*GOOD, "open_loop_steps=0"), "allowed 1 to 4"),
    "ensemble and open loop": (
        (*GOOD, "open_loop_steps=2", "temporal_ensemble=0.01"),
        "does not go with temporal_ensemble",
    ),
    "ensemble of single actions": (
        (*GOOD, "policy.chunk_steps=1", "temporal_ensemble=0.01"),
        "nothing to average",
    ),
    "zero timeout": ((*GOOD, "policy_timeout_s=0"), "any number above 0"),
    "camera that the suite lacks": ((*GOOD, "policy.camera=side"), "it has top, wide"),
    "camera of another size": ((*GOOD, "policy.image_px=64"), "suite gives 32, policy wants 64"),
    "another control rate": ((*GOOD, "policy.hz=10"), "suite has 20, policy wants 10"),
    "checkpoint for a policy without": (
        ("eval", "suite=toy", "policy=noop", "checkpoint=x"),
        "takes no checkpoint",
    ),
    "preset for a suite without": ((*GOOD, "preset=openpi"), "has no presets"),
    "replay without a source": (("eval", "suite=toy", "policy=replay"), "policy.source="),
    "replay of nothing": (
        ("eval", "suite=toy", "policy=replay", "policy.source=nowhere"),
        "policy.source=nowhere: there is no such file or folder",
    ),
    "missing asset": ((*GOOD, "suite.missing_asset=meshes"), "meshes"),
    "suite refuses its config": ((*GOOD, "suite.fault=fire"), "suite.fault=fire"),
    "list of nothing": (("list",), "suites, policies, teachers, tasks"),
    "list of the unknown": (("list", "suits"), "Did you mean 'suites'?"),
    "diff of one": (("diff", "run"), "two run folders"),
    "diff of no run": (("diff", "a", "b"), "no run folder"),
    "report of nothing": (("report", "-o", "page"), "at least one run folder"),
    "report to nowhere": (("report", "run"), "-o DIR"),
    "report of no folder": (("report", "nowhere", "-o", "page"), "nowhere is no folder"),
    "doctor of an unknown suite": (("doctor", "suite=toi"), "Did you mean 'toy'?"),
    "fetch of nothing": (("fetch",), "type suite=NAME, policy=NAME"),
    "fetch of no weights": (("fetch", "policy=openvla_oft_7b"), "checkpoint=HUB_ID"),
    "fetch of weights for nothing": (
        ("fetch", "suite=toy", "checkpoint=x"),
        "type policy=NAME too",
    ),
    "bench of the unknown": (("bench", "roll"), "rollout"),
    "bench of zero blocks": (("bench", "rollout", "suite=toy", "blocks=0"), "allowed 1 or more"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    arguments, message = MISTAKES[name]
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.jsonl"))


def test_mistake_as_a_user_sees_it(cli: Cli) -> None:
    done = cli(*replaced("suite", "toi"))
    assert done.returncode == 2
    assert done.stderr.startswith("sfbench: unknown suite 'toi'. Did you mean 'toy'?")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def finished_run(tmp_path: Path) -> Path:
    """A run folder with four rows."""
    out = tmp_path / "run"
    assert start_cli(*eval_toy(out, "episodes=2")).wait(timeout=120) == 0
    return out


def spoil_middle(run: Path) -> None:
    journal = run / "episodes" / "0-of-1.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text(lines[0] + lines[1][:50] + "\n" + "".join(lines[2:]))


def spoil_twice(run: Path) -> None:
    journal = run / "episodes" / "0-of-1.jsonl"
    shutil.copyfile(journal, run / "episodes" / "1-of-2.jsonl")


def spoil_schema(run: Path) -> None:
    journal = run / "episodes" / "0-of-1.jsonl"
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    journal.write_text("".join(json.dumps({**row, "schema": 99}) + "\n" for row in rows))


def spoil_plan(run: Path) -> None:
    (run / "plan.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_middle, "0-of-1.jsonl, line 2"),
        (spoil_twice, "two rows"),
        (spoil_schema, "row schema 99"),
        (spoil_plan, "plan.json cannot be read"),
    ],
)
def test_a_spoilt_run_folder(
    cli: Cli, finished_run: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(finished_run)
    before = {path: path.read_bytes() for path in finished_run.rglob("*.jsonl")}
    done = cli(*eval_toy(finished_run, "episodes=3"))
    assert done.returncode == 2
    assert message in done.stderr
    assert {path: path.read_bytes() for path in finished_run.rglob("*.jsonl")} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("suite.damping=3", "env.damping: 2.0 -> 3.0"),
        ("split=select", "env.split: 'eval' -> 'select'"),
        ("open_loop_steps=2", "policy.open_loop_steps: 4 -> 2"),
        ("arm=sf", "policy.arm: None -> 'sf'"),
    ],
)
def test_a_run_folder_of_another_card(
    cli: Cli, finished_run: Path, change: str, message: str
) -> None:
    done = cli(*eval_toy(finished_run, "episodes=3", change))
    assert done.returncode == 2
    assert message in done.stderr


def test_out_is_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = cli(*eval_toy(tmp_path / "file", "episodes=1"))
    assert done.returncode == 2
    assert "is a file" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_out_below_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = cli(*eval_toy(tmp_path / "file" / "run", "episodes=1"))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_a_run_folder_in_use(cli: Cli, tmp_path: Path) -> None:
    slow = eval_toy(tmp_path, "episodes=5", "suite.step_s=0.05")
    first = start_cli(*slow)
    journal = tmp_path / "episodes" / "0-of-1.jsonl"
    while not (journal.exists() and journal.stat().st_size):
        assert first.poll() is None
        time.sleep(0.02)
    # It stands still until the second has had its say.
    first.send_signal(signal.SIGSTOP)
    try:
        second = cli(*slow)
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert "being written by another process" in second.stderr
    assert first.wait(timeout=240) == 0


def test_no_gl_backend(cli: Cli, tmp_path: Path) -> None:
    """A machine without GL, as far as the loader can tell."""
    hidden = tmp_path / "site"
    (hidden / "OpenGL").mkdir(parents=True)
    (hidden / "OpenGL" / "__init__.py").write_text("raise ImportError('no GL library')\n")
    env = {"PYTHONPATH": str(hidden), "MUJOCO_GL": ""}
    done = cli(*eval_toy(tmp_path / "run", "episodes=1"), env=env)
    assert done.returncode == 2
    assert "no GL backend works here" in done.stderr
    assert "apt-get install" in done.stderr
    # Nothing to render, nothing to refuse.
    done = cli("eval", "suite=toy", "policy=noop", "episodes=1", "out=blind", env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "blind" / "card.json").read_text())["env"]["gl"] == "none"


def test_a_full_disk_keeps_the_rows(cli: Cli, tmp_path: Path) -> None:
    """A file system of 96 KiB, where the journal soon finds no room."""
    mount = tmp_path / "small"
    mount.mkdir()
    if os.system(f"mount -t tmpfs -o size=96k tmpfs {mount} 2>/dev/null") != 0:
        pytest.skip("mounting needs root")
    try:
        arguments = eval_toy(mount / "run", "episodes=20", "repeats=10")
        done = cli(*arguments)
        assert done.returncode == 3, done.stderr
        assert "No space left" in done.stderr
        rows = (mount / "run/episodes/0-of-1.jsonl").read_text().splitlines(keepends=True)
        assert len(rows) > 3
        assert all(json.loads(line)["status"] == "success" for line in rows)
        assert os.system(f"mount -o remount,size=8m {mount}") == 0
        done = cli(*arguments)
        assert done.returncode == 0, done.stderr
        assert len((mount / "run/episodes/0-of-1.jsonl").read_text().splitlines()) == 400
    finally:
        os.system(f"umount {mount}")


def test_a_read_only_folder(cli: Cli, tmp_path: Path) -> None:
    mount = tmp_path / "fixed"
    mount.mkdir()
    if os.system(f"mount -t tmpfs -o ro tmpfs {mount} 2>/dev/null") != 0:
        pytest.skip("mounting needs root")
    try:
        done = cli(*eval_toy(mount / "run", "episodes=1"))
        assert done.returncode == 2
        assert "cannot be written: Read-only file system" in done.stderr
    finally:
        os.system(f"umount {mount}")
