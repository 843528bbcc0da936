"""Whole episodes of a saved checkpoint through the command line."""

from pathlib import Path

import numpy as np
from sfbench_policies.common.interface import suite_interface
from sfbench_policies.pi0.bundle import Bundle, TrainingData, fresh
from sfbench_policies.pi0.checkpoint import bounds_of
from sfbench_policies.pi0.factory import SMALL_PROCESSING
from sfbench_policies.pi0.presets import PI0_MICRO

from sfbench.registry import SuiteRecipe, suites
from sfbench.rollout.journal import read_rows
from tests.conftest import Cli, stable_rows

from .published import lively_model


def save_checkpoint(folder: Path) -> None:
    suite = SuiteRecipe("toy", suites()["toy"].config_class()()).build()
    interface = suite_interface(suite.env_spec, ())
    data = TrainingData(
        interface=interface,
        instructions=[text for task in suite.tasks.values() for text in task.instructions],
        action_statistics=bounds_of(interface.action),
        state_statistics=bounds_of(interface.state),
    )
    processor = fresh(PI0_MICRO, SMALL_PROCESSING, data, seed=0).processor
    Bundle(lively_model(PI0_MICRO), processor, {"train_step": 12, "demos": 3}).save(folder)


def actions(run: Path) -> dict[str, np.ndarray]:
    return {str(file.relative_to(run)): np.load(file) for file in run.rglob("*.npy")}


def test_the_same_actions_with_one_and_two_workers(cli: Cli, tmp_path: Path) -> None:
    """Bit for bit at max_batch=1: noise comes from each episode's own stream."""
    save_checkpoint(tmp_path / "checkpoint")
    runs = []
    for workers in (1, 2):
        run = tmp_path / f"run{workers}"
        done = cli(
            "eval",
            "suite=toy",
            "policy=pi0_micro",
            f"checkpoint={tmp_path / 'checkpoint'}",
            "policy.device=cpu",
            "episodes=2",
            "tasks=reach",
            "record_actions=true",
            f"workers={workers}",
            f"out={run}",
        )
        assert done.returncode == 0, done.stderr
        runs.append(run)
    one, two = (actions(run) for run in runs)
    assert len(one) == 2
    assert one.keys() == two.keys()
    for name, chunk in one.items():
        np.testing.assert_array_equal(chunk, two[name])
    first, second = one.values()
    assert np.abs(first[:8] - second[:8]).max() > 0.01, "repeats of one chunk"
    assert stable_rows(runs[0]) == stable_rows(runs[1])
    rows = list(read_rows(runs[0]))
    assert {row.train_step for row in rows} == {12}
    assert {row.demos for row in rows} == {3}
    assert all(row.infer_p50_s and row.infer_p95_s for row in rows)
