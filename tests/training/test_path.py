"""The whole path of `make train-demo`, with a few episodes and steps."""

import csv
import json
from pathlib import Path

import pytest

from sfbench.cli.main import run

SUITE = ("suite=robotwin", "suite.camera_width=64", "suite.camera_height=64", "tasks=[lift_pot]")


def test_collect_pretrain_train_evaluate_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demos, start, out = (tmp_path / name for name in ("demos", "start", "run"))
    policy = "policy=openvla_oft_micro"
    commands = [
        ["collect", *SUITE, "policy=expert", "episodes=2", "workers=0", f"out={demos}"],
        ["train", "vlm", policy, *SUITE, "scenes=8", "steps=2", "device=cpu", f"out={start}"],
        [
            *("train", policy, f"dataset={demos}", f"start={start}", "recipe=mini_cpu"),
            *("steps=3", "optimiser.warmup_steps=1", "device=cpu", f"out={out}"),
        ],
        [
            *("eval", policy, *SUITE, f"checkpoint={out}/checkpoints/3", "episodes=1"),
            *("workers=0", f"out={tmp_path / 'eval'}"),
        ],
        ["report", str(tmp_path / "eval"), "-o", str(tmp_path / "report")],
    ]
    for command in commands:
        assert run(command) == 0, (command, capsys.readouterr().err)
    (row,) = (tmp_path / "eval" / "episodes" / "0-of-1.jsonl").read_text().splitlines()
    found = json.loads(row)
    assert (found["train_step"], found["demos"], found["leak"]) == (3, 2, False)
    assert found["status"] in ("success", "failure")
    with (tmp_path / "report" / "leaderboard.csv").open() as stream:
        (line,) = csv.DictReader(stream)
    assert line["policy"] == "openvla_oft_micro"
