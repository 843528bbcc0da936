"""Collecting, through the real command line: what is kept, and what cannot change it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sfbench_toy.suite import ToyConfig, ToySuite

from sfbench.cli import main
from sfbench.cli.collect import make_request
from sfbench.contracts import (
    EpisodeKey,
    EpisodeSpec,
    PolicySpec,
    ProtocolCard,
    RunsIn,
    Split,
    Status,
)
from sfbench.demos import collect as collecting
from sfbench.demos.dataset import Dataset, open_dataset
from sfbench.demos.recorder import RecorderRecipe
from sfbench.demos.spec import spec_of
from sfbench.errors import DatasetError, StoppedError, UsageError
from sfbench.rollout.journal import read_rows
from sfbench.rollout.messages import Outcome
from sfbench.rollout.progress import progress_subscriber
from sfbench.rollout.rows import RowMaker
from sfbench.rollout.seeds import scene_seed
from tests.conftest import Cli, start_cli

COMMON = (
    "collect",
    "suite=toy",
    "policy=toy_chase",
    "policy.noise=3.0",
    "cameras=[top]",
    "episodes=3",
)


def run(out: Path, *extra: str) -> tuple[int, str, str]:
    process = start_cli(*COMMON, f"out={out}", *extra)
    shown, errors = process.communicate(timeout=240)
    return process.returncode, shown, errors


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three successes of each of two tasks, by a policy that fails now and then."""
    out = tmp_path_factory.mktemp("collected") / "set"
    status, shown, errors = run(out, "workers=2", "sim_states=true")
    assert status == 0, errors
    assert "kept" in shown
    return out


def kept(dataset: Dataset) -> list[tuple[str, int | None]]:
    return [(item.task, item.init_state) for item in dataset.episodes]


def test_the_first_successes_of_the_train_split_and_nothing_else(collected: Path) -> None:
    dataset = open_dataset(collected)
    rows = read_rows(collected / "collection")
    assert {row.split for row in rows} == {"train"}
    solved = sorted((row.task, row.init_state) for row in rows if row.status is Status.SUCCESS)
    # Guards the rest: with a policy that never fails it would say little.
    assert len(solved) < len(rows)
    for task in ("reach", "reach_far"):
        assert [pair for pair in kept(dataset) if pair[0] == task] == [
            pair for pair in solved if pair[0] == task
        ][:3]
    assert dataset.state_ids() == {f"toy/{task}/train/{state}" for task, state in kept(dataset)}
    assert {item.split for item in dataset.episodes} == {"train"}
    assert not list((collected / "collection").glob("recorded"))


def test_counts_are_stored(collected: Path) -> None:
    stored = json.loads((collected / "meta/sfbench.json").read_text())["collection"]
    rows = read_rows(collected / "collection")
    for item in stored["tasks"]:
        mine = [row for row in rows if row.task == item["task"]]
        solved = sum(row.status is Status.SUCCESS for row in mine)
        assert (item["attempts"], item["solved"], item["kept"]) == (len(mine), solved, 3)


def test_frames_states_and_actions_belong_together(collected: Path) -> None:
    """Frame t is what is seen before action t: playing the actions shows every frame, and ends
    solved."""
    dataset = open_dataset(collected)
    info = dataset.episodes[4]
    assert info.init_state is not None
    env = ToySuite(ToyConfig()).make_env(info.task, Split.TRAIN)
    env.reset(info.init_state, scene_seed(EpisodeKey("toy", info.task, info.init_state, 0, 0)))
    states, actions = dataset.source.vectors(4)
    images = dataset.source.frames(4, "top", range(info.length))
    sim_states = dataset.source.extra_rows(4, "sim_state", range(info.length))
    for frame in range(info.length):
        assert not env.success()
        seen = env.observe(["top"])
        # Actions are stored in single precision.
        np.testing.assert_allclose(seen.state, states[frame], atol=1e-5)
        np.testing.assert_allclose(env.get_state(), sim_states[frame], atol=1e-5)
        assert (seen.images["top"] != images[frame]).mean() < 0.005
        env.step(actions[frame].astype(np.float64))
    assert env.success()
    # Guards the comparison of images: the scene moves.
    assert (images[0] != images[-1]).mean() > 0.005
    env.close()


REACH = ("tasks=[reach]", "episodes=2", "sim_states=true", "out=set")


def assert_first_two(path: Path, collected: Path) -> None:
    """That a set of two demonstrations of one task has the same as the larger one."""
    found, expected = open_dataset(path), open_dataset(collected)
    assert kept(found) == kept(expected)[:2]
    assert [item.content for item in found.episodes] == [
        item.content for item in expected.episodes
    ][:2]


def test_workers_do_not_change_the_dataset(
    collected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.run([*COMMON[:-1], *REACH, "workers=0"]) == 0
    assert_first_two(tmp_path / "set", collected)


def test_killed_and_run_again(collected: Path, cli: Cli, tmp_path: Path) -> None:
    """kill -9 while it records, then let it finish."""
    out, once = tmp_path / "set", tmp_path / "once"
    once.mkdir()
    # After the first episode workers hang in the middle: there is time to kill them.
    states = range(1, 60)
    hang = (
        "suite.fault=hang_step",
        f"suite.fault_states={list(states)}".replace(" ", ""),
        f"suite.once_folder={once}",
    )
    process = start_cli(*COMMON[:-1], *REACH, *hang, "workers=2", cwd=tmp_path)
    deadline = time.monotonic() + 200
    while finished(out) < 1 or not list(once.iterdir()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert 1 <= finished(out) < 3
    for state in states:
        (once / f"reach-{state}").touch()
    with pytest.raises(DatasetError, match="not finished; run the same"):
        open_dataset(out)
    done = cli(*COMMON[:-1], *REACH, *hang, "workers=2")
    assert done.returncode == 0, done.stderr
    assert_first_two(out, collected)


def finished(out: Path) -> int:
    return sum(
        path.read_bytes().count(b"\n") for path in (out / "collection/episodes").glob("*.jsonl")
    )


def test_run_again_when_done(collected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = finished(collected)
    assert main.run([*COMMON, f"out={collected}", "workers=1", "sim_states=true"]) == 0
    assert "all tasks" in capsys.readouterr().out
    assert finished(collected) == rows


def test_another_request_is_refused(collected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = ("sim_states=true", "suite.damping=3", "seed=2")
    assert main.run([*COMMON, f"out={collected}", *changed]) == 2
    errors = capsys.readouterr().err
    assert "another request" in errors
    assert "seed: 0 -> 2" in errors
    assert "suite_config.damping: 2.0 -> 3.0" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("policy=expert",), "episodes=None: say how many"),
        (("policy=expert", "episodes=0"), "episodes=0: say how many"),
        (("policy=expert", "episodes=1", "cameras=[tpo]"), "unknown camera 'tpo'. Did you mean"),
        (("policy=expert", "episodes=1", "tasks=[rech]"), "Did you mean 'reach'"),
        (("policy=expert", "episodes=1", "depth=true"), "gives no depth, segmentation or camera"),
        (("policy=expert", "source=."), "policy 'expert' replays nothing; use policy=replay"),
        (("policy=replay", "source=absent"), "source=absent: there is no such file or folder"),
        (("policy=replay", "source=."), "suite 'toy' has no recordings"),
        (("policy=replay", "source=.", "first=3"), "first=3: a replay starts where"),
        (("policy=expert", "episodes=1", "first=-1"), "first=-1: allowed 0 or more"),
        (("policy=expert", "episodes=1", "keep_still=true"), "it needs source="),
    ],
)
def test_what_is_refused(
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        # A second try says the same: what was refused leaves nothing that stands in the way.
        assert main.run(["collect", "suite=toy", "workers=0", "out=set", *arguments]) == 2
        assert message in capsys.readouterr().err
    other = ["suite=toy", "policy=expert", "episodes=2", "out=set"]
    collecting.check_same_request(make_request(other))


def test_a_policy_that_solves_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "_ATTEMPTS_PER_EPISODE", 1)
    monkeypatch.setattr(collecting, "_ATTEMPTS_MORE", 1)
    request = make_request(
        ["suite=toy", "policy=random", "episodes=1", "tasks=[reach_far]", f"out={tmp_path}"]
    )
    with pytest.raises(StoppedError, match="reach_far: only 0 of 2 attempts succeeded"):
        collecting.collect(request, progress_subscriber)
    with pytest.raises(DatasetError, match="not finished"):
        open_dataset(tmp_path)


def test_a_full_disk_stops_the_recording(tmp_path: Path) -> None:
    """A limit on the size of files stands in for it."""
    code = (
        "import resource, numpy as np; from pathlib import Path; from tests.demos.small import *; "
        "from sfbench.demos.staging import *; from sfbench.errors import StoppedError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        f"writer = EpisodeWriter(Path({str(tmp_path / 'one')!r}), SPEC)\n"
        "item = episode(0, 200)\n"
        "try:\n"
        "    for t in range(200):\n"
        "        images = {name: table[t] for name, table in item.images.items()}\n"
        "        writer.add(Moment(images=images, state=item.state[t]), item.actions[t])\n"
        "    writer.finish(item.info)\n"
        "except StoppedError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.search(r"cannot write .*\.mp4: .*File too large", done.stdout)
    assert not (tmp_path / "one").exists()


def test_the_eval_split_cannot_be_recorded(tmp_path: Path) -> None:
    suite = ToySuite(ToyConfig())
    recorder = RecorderRecipe(tmp_path, spec_of("toy", suite.env_spec, ["top"])).make(print)
    env = suite.make_env("reach", Split.EVAL)
    with pytest.raises(UsageError, match="come from split train, not from eval"):
        recorder.on_reset(env, plan_of(Split.EVAL, 0))


def plan_of(split: Split, init_state: int) -> EpisodeSpec:
    return EpisodeSpec(
        suite="toy",
        task="reach",
        instruction="",
        instruction_split="seen",
        init_state=init_state,
        split=split,
        seed=0,
        repeat=0,
        budget_steps=1,
    )


def test_evaluating_on_a_state_of_the_dataset_is_marked(collected: Path) -> None:
    dataset = open_dataset(collected)
    states = [state for task, state in kept(dataset) if task == "reach" and state is not None]
    policy = PolicySpec(name="p", runs_in=RunsIn.MAIN, trained_states=dataset.state_ids())
    make_row = RowMaker(ToySuite(ToyConfig()), policy, None, ProtocolCard({}, {}))
    ended = Outcome(status=Status.SUCCESS)
    assert all(make_row(plan_of(Split.TRAIN, state), ended, 1).leak for state in states)
    assert not make_row(plan_of(Split.TRAIN, max(states) + 1), ended, 1).leak
    assert not any(make_row(plan_of(Split.EVAL, state), ended, 1).leak for state in states)
