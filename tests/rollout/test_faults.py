"""Crashes, hangs and broken policies: retried or recorded, never counted as failures."""

from pathlib import Path

import pytest

from sfbench.contracts import EpisodeRow
from sfbench.rollout.journal import read_rows
from tests.conftest import Cli, eval_toy, stable_rows

ONE_TASK = ("tasks=reach", "episodes=3")


def row_of(out: Path, init_state: int) -> EpisodeRow:
    return next(row for row in read_rows(out) if row.init_state == init_state)


@pytest.mark.parametrize(
    "fault", ["crash", "abort", "raise", "hang_step", "hang_reset", "hang_render"]
)
def test_a_fault_that_passes_is_retried(cli: Cli, tmp_path: Path, fault: str) -> None:
    once = tmp_path / "once"
    once.mkdir()
    out = tmp_path / "run"
    extra = (
        f"suite.fault={fault}",
        "suite.fault_states=[1]",
        f"suite.once_folder={once}",
        # Short for what hangs alone: on a busy machine anything else may take its time.
        *([f"deadline.{fault.removeprefix('hang_')}_s=5"] if fault.startswith("hang_") else []),
    )
    done = cli(*eval_toy(out, *ONE_TASK, *extra, "workers=2"))
    assert done.returncode == 0, done.stderr
    assert row_of(out, 1).attempt == 2
    assert row_of(out, 1).status == "success"
    plain = tmp_path / "plain"
    assert cli(*eval_toy(plain, *ONE_TASK)).returncode == 0
    assert stable_rows(out) == stable_rows(plain)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("crash", "SIGKILL"),
        ("abort", "SIGABRT"),
        ("raise", "the simulator broke"),
        ("hang_step", "step took more than 3 s"),
    ],
)
def test_a_fault_that_stays_is_an_error_row(
    cli: Cli, tmp_path: Path, fault: str, text: str
) -> None:
    extra = (
        f"suite.fault={fault}",
        "suite.fault_states=[1]",
        *(["deadline.step_s=3"] if fault == "hang_step" else []),
        "max_attempts=2",
    )
    done = cli(*eval_toy(tmp_path, *ONE_TASK, *extra))
    assert done.returncode == 1, done.stderr
    row = row_of(tmp_path, 1)
    assert (row.status, row.cause, row.attempt) == ("error", "system", 2)
    assert row.error is not None
    assert text in row.error
    assert [row_of(tmp_path, other).status for other in (0, 2)] == ["success", "success"]


@pytest.mark.parametrize(
    ("fault", "text"),
    [("solved", "already solved at reset"), ("black", "every pixel of camera 'top' is 0")],
)
def test_what_cannot_count_is_invalid(cli: Cli, tmp_path: Path, fault: str, text: str) -> None:
    done = cli(*eval_toy(tmp_path, *ONE_TASK, f"suite.fault={fault}", "suite.fault_states=[1]"))
    assert done.returncode == 1
    row = row_of(tmp_path, 1)
    assert row.status == "invalid"
    assert row.error is not None
    assert text in row.error


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("nan", "holds nan at [1, 0]"),
        ("shape", "shape [4, 1]; allowed [K, 2]"),
        ("raise", "the policy broke"),
        ("raise_in_reset", "reset broke"),
        ("text", "no array of numbers"),
    ],
)
@pytest.mark.parametrize("max_batch", [1, 3])
def test_a_policy_fault_is_its_own_error(
    cli: Cli, tmp_path: Path, fault: str, text: str, max_batch: int
) -> None:
    """The guilty episode only, also where it shared a batch with others."""
    extra = (
        f"policy.fault={fault}",
        f"max_batch={max_batch}",
        "batch_wait_s=0.5",
        "workers=3",
    )
    done = cli(*eval_toy(tmp_path, *ONE_TASK, *extra, policy="toy_faulty"))
    assert done.returncode == 1, done.stderr
    row = row_of(tmp_path, 1)
    assert (row.status, row.cause) == ("error", "policy")
    assert row.error is not None
    assert text in row.error
    assert [row_of(tmp_path, other).status for other in (0, 2)] == ["success", "success"]


def test_a_policy_that_is_too_slow_is_an_error(cli: Cli, tmp_path: Path) -> None:
    extra = ("policy.fault=slow", "policy_timeout_s=2.5", "workers=1")
    done = cli(*eval_toy(tmp_path, *ONE_TASK, *extra, policy="toy_faulty"))
    assert done.returncode == 1, done.stderr
    assert "took more than 2.5 s" in str(row_of(tmp_path, 1).error)
    assert row_of(tmp_path, 0).status == "success"


def test_too_few_chunks_is_a_policy_error(cli: Cli, tmp_path: Path) -> None:
    done = cli(*eval_toy(tmp_path, *ONE_TASK, "policy.fault=too_few", policy="toy_faulty"))
    assert done.returncode == 1
    assert "1 observations, but 0 chunks" in str(row_of(tmp_path, 1).error)


def test_giving_up_is_a_failure(cli: Cli, tmp_path: Path) -> None:
    done = cli(*eval_toy(tmp_path, *ONE_TASK, "policy.fault=give_up", policy="toy_faulty"))
    assert done.returncode == 0, done.stderr
    row = row_of(tmp_path, 1)
    assert (row.status, row.steps, row.infer_calls) == ("failure", 0, 1)


def test_a_batch_that_fails_is_retried_one_by_one(cli: Cli, tmp_path: Path) -> None:
    extra = ("policy.fault=raise_in_batch", "max_batch=3", "batch_wait_s=0.5", "workers=3")
    done = cli(*eval_toy(tmp_path, *ONE_TASK, *extra, policy="toy_faulty"))
    assert done.returncode == 0, done.stderr
    assert [row.status for row in read_rows(tmp_path)] == ["success"] * 3


# -- what a worker cannot go on with


def test_a_worker_that_loses_its_gl_is_replaced(cli: Cli, tmp_path: Path) -> None:
    once = tmp_path / "once"
    once.mkdir()
    out = tmp_path / "run"
    extra = ("suite.fault=no_gl", "suite.fault_states=[1]", f"suite.once_folder={once}")
    done = cli(*eval_toy(out, *ONE_TASK, *extra, "workers=1"))
    assert done.returncode == 0, done.stderr
    assert (row_of(out, 1).status, row_of(out, 1).attempt) == ("success", 2)


def test_a_scene_that_cannot_be_loaded_is_tried_again(cli: Cli, tmp_path: Path) -> None:
    """Though nothing has a row yet: the suite may have removed what is damaged."""
    once = tmp_path / "once"
    once.mkdir()
    out = tmp_path / "run"
    extra = ("suite.fault=no_scene", f"suite.once_folder={once}", "workers=1")
    done = cli(*eval_toy(out, *ONE_TASK, *extra))
    assert done.returncode == 0, done.stderr
    assert (row_of(out, 0).status, row_of(out, 0).attempt) == ("success", 2)


@pytest.mark.parametrize("workers", [0, 1])
def test_without_gl_a_run_stops_and_can_be_resumed(cli: Cli, tmp_path: Path, workers: int) -> None:
    arguments = eval_toy(tmp_path, *ONE_TASK, f"workers={workers}")
    done = cli(*arguments, "suite.fault=no_gl", "suite.fault_states=[1]")
    assert done.returncode == 3, done.stderr
    assert "GL backend 'egl' does not work here" in done.stderr
    assert "run the same command again to resume" in done.stderr
    assert [row.init_state for row in read_rows(tmp_path)] == [0]
    assert cli(*arguments).returncode == 0
    assert [row.status for row in read_rows(tmp_path)] == ["success"] * 3


@pytest.mark.parametrize("workers", [0, 1])
def test_without_gl_from_the_start_nothing_is_run(cli: Cli, tmp_path: Path, workers: int) -> None:
    extra = ("suite.fault=no_gl", "suite.fault_states=[0]", f"workers={workers}")
    done = cli(*eval_toy(tmp_path, *ONE_TASK, *extra))
    assert done.returncode == 2, done.stderr
    assert "GL backend 'egl' does not work here" in done.stderr
    assert not any(path.read_bytes() for path in tmp_path.rglob("*.jsonl"))


def test_actions_that_cannot_be_written_stop_the_run(cli: Cli, tmp_path: Path) -> None:
    """As on a full disk, no episode is spent on it."""
    (tmp_path / "actions").write_text("in the way")
    arguments = eval_toy(tmp_path, *ONE_TASK, "record_actions=true", "workers=1")
    done = cli(*arguments)
    assert done.returncode == 3, done.stderr
    assert f"cannot write {tmp_path / 'actions'}" in done.stderr
    assert not any(path.read_bytes() for path in tmp_path.rglob("*.jsonl"))
    (tmp_path / "actions").unlink()
    assert cli(*arguments).returncode == 0
    assert len(list(tmp_path.rglob("*.npy"))) == 3


def test_workers_that_cannot_start_end_the_run(cli: Cli, tmp_path: Path) -> None:
    """And do so long before the limit that the fixture sets to the process."""
    done = cli(*eval_toy(tmp_path, *ONE_TASK, "suite.build_s=1", "deadline.start_s=0.2"))
    assert done.returncode == 3, done.stderr
    assert "died while starting" in done.stderr
