"""Aggregates reach a tracker; a tracker that fails costs nothing but a line."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Self

import pytest

from sfbench.report.content import Options
from sfbench.report.trackers import mirror
from tests.conftest import Cli
from tests.report.reporting import report_on
from tests.report.test_curves import trained_rows
from tests.report.test_probe_and_losses import write_metrics
from tests.report.test_report import write_run

WANDB = """
import json, pathlib
class Run:
    def __init__(self, keywords):
        self.seen = {"init": keywords, "log": [], "metrics": [], "finished": False}
        self.summary = {}
    def define_metric(self, name, step_metric):
        self.seen["metrics"].append([name, step_metric])
    def log(self, numbers):
        self.seen["log"].append(numbers)
    def finish(self):
        text = json.dumps({**self.seen, "summary": self.summary, "finished": True})
        pathlib.Path("seen.json").write_text(text)
def init(**keywords):
    return Run(keywords)
"""


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """One training with two evaluations and its losses."""
    run = write_metrics(tmp_path / "sf-0", [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}])
    for step in (100, 200):
        write_run(run / "evals" / str(step), trained_rows("sf", step, 10, 0, step / 250))
    return [run]


def test_wandb_gets_summary_and_curves(cli: Cli, tmp_path: Path, folders: list[Path]) -> None:
    (tmp_path / "stand_in").mkdir()
    (tmp_path / "stand_in" / "wandb.py").write_text(WANDB)
    path = {"PYTHONPATH": str(tmp_path / "stand_in")}
    done = cli("report", str(folders[0]), "-o", "page", "tracker=wandb", env=path)
    assert (done.returncode, "failed" in done.stderr) == (0, False)
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["finished"]
    assert seen["init"]["project"] == "sfbench"
    (mean,) = [value for name, value in seen["summary"].items() if name.endswith("/mean_pct")]
    assert f"| {mean:.1f} |" in (tmp_path / "page" / "leaderboard.md").read_text()
    losses = [line for line in seen["log"] if "losses/sf-0/loss" in line]
    assert losses == [
        {"losses/sf-0/loss/step": 1, "losses/sf-0/loss": 2.0},
        {"losses/sf-0/loss/step": 2, "losses/sf-0/loss": 1.0},
    ]
    assert sum("steps/toy/c/net/sf" in line for line in seen["log"]) == 2


def test_tensorboard_gets_scalars(
    tmp_path: Path,
    folders: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path / "page" / "tensorboard")

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            seen.append(("closed", 0, 0))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            seen.append((name, value, step))

    for name in ("torch", "torch.utils", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(
        sys.modules["torch.utils.tensorboard"], "SummaryWriter", SummaryWriter, raising=False
    )
    report = report_on(folders, tmp_path / "page", Options(tmp_path))
    mirror("none", report.document, tmp_path / "page")
    assert seen == []
    mirror("tensorboard", report.document, tmp_path / "page")
    assert capsys.readouterr().err == ""
    assert ("losses/sf-0/loss", 1.0, 2) in seen
    assert seen[-1][0] == "closed"
    # One that fails, and one that is not installed, cost a line each.
    monkeypatch.setattr(SummaryWriter, "add_scalar", None)
    mirror("tensorboard", report.document, tmp_path / "page")
    assert "tracker=tensorboard failed and was left out: TypeError" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "wandb", None)
    mirror("wandb", report.document, tmp_path / "page")
    assert "tracker=wandb failed and was left out: ModuleNotFound" in capsys.readouterr().err
