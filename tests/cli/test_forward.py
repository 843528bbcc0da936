"""Whose preset and checkpoint a run gets, and what its config.yaml then says."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sfbench.cli import bench_policy, collect, serve, train
from sfbench.cli import eval as evaluation
from sfbench.cli.compose import Composed, compose_command
from sfbench.cli.forward import forward
from sfbench.cli.main import run
from sfbench.errors import UsageError

COMMANDS = {
    "eval": evaluation.EvalConfig,
    "serve": serve.ServeConfig,
    "collect": collect.CollectConfig,
    "bench policy": bench_policy.PolicyBenchConfig,
}


def forwarded(schema: type[Any], *arguments: str) -> Composed:
    keys = ["suite=libero_spatial", "policy=pi0", *arguments]
    composed = compose_command(schema, ("suite", "policy"), keys)
    forward(composed, getattr(composed.own, "checkpoint", None), composed.own.preset)
    return composed


@pytest.mark.parametrize("schema", COMMANDS.values(), ids=COMMANDS)
def test_a_typed_preset_goes_before_the_policys_own(schema: type[Any]) -> None:
    assert forwarded(schema, "suite.preset=lerobot").own.suite.preset == "lerobot"


@pytest.mark.parametrize(
    ("arguments", "preset"),
    [
        ((), "openpi"),
        (("preset=lerobot",), "lerobot"),
        (("preset=lerobot", "suite.preset=lerobot"), "lerobot"),
        (("suite.preset=openvla_oft",), "openvla_oft"),  # Typed, though it is the suite's default.
    ],
)
def test_whose_preset_it_is(arguments: tuple[str, ...], preset: str) -> None:
    assert forwarded(evaluation.EvalConfig, *arguments).own.suite.preset == preset


@pytest.mark.parametrize(("typed", "preset"), [((), "openpi"), (("lerobot",), "lerobot")])
def test_rollouts_of_a_training_are_by_the_protocol_of_eval(
    typed: tuple[str, ...], preset: str
) -> None:
    keys = ("policy=pi0", "suite=libero_spatial", "dataset=d")
    request = train.make_request([*keys, *(f"suite.preset={name}" for name in typed)])
    assert request.suite is not None
    assert request.suite.config.preset == preset


def test_two_presets_are_refused() -> None:
    with pytest.raises(UsageError, match=r"preset=openpi and suite\.preset=lerobot .* leave one"):
        forwarded(evaluation.EvalConfig, "preset=openpi", "suite.preset=lerobot")


def test_two_checkpoints_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = ("suite=toy", "policy=toy_chase", "checkpoint=a", "policy.checkpoint=b")
    assert run(("eval", *keys)) == 2
    assert "checkpoint=a and policy.checkpoint=b are two ways" in capsys.readouterr().err


def test_config_yaml_says_what_is_run() -> None:
    request = evaluation.make_request(["suite=libero_spatial", "policy=pi0", "checkpoint=weights"])
    kept = yaml.safe_load(request.config_yaml)
    assert kept["suite"]["preset"] == request.suite.config.preset == "openpi"
    assert kept["policy"]["checkpoint"] == request.policy.config.checkpoint == "weights"


def test_config_yaml_of_a_collection_names_what_is_replayed(tmp_path: Path) -> None:
    keys = ["suite=libero_spatial", "policy=replay", f"source={tmp_path}"]
    request = collect.make_request(keys)
    assert yaml.safe_load(request.run.config_yaml)["policy"]["source"] == str(tmp_path)
