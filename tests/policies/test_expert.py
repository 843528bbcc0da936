"""The expert as a policy: it gives an episode up when its script has come to nothing."""

from pathlib import Path

from sfbench.cli.main import run
from sfbench.contracts import Status
from sfbench.rollout.journal import read_journal


def test_an_expert_that_is_done_without_success_gives_up(tmp_path: Path) -> None:
    """Its arms are pushed so hard that it misses; the budget is 1500 steps of holding still."""
    out = tmp_path / "run"
    status = run([
        "eval", "suite=robotwin_randomized", "suite.push_rad=0.3", "suite.clutter=false",
        "policy=expert", "tasks=open_microwave", "episodes=1", "workers=0", f"out={out}",
    ])  # fmt: skip
    assert status == 0
    (journal,) = (out / "episodes").iterdir()
    (row,) = read_journal(journal).rows
    assert row.status is Status.FAILURE
    assert 40 < row.steps < 400
