"""Short runs of the trainer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfbench.registry import find_policy
from sfbench.training.metrics import read_metrics
from sfbench.training.request import TrainRequest
from sfbench.training.settings import AugmentConfig, OptimiserConfig, TrainSettings

MUON = OptimiserConfig(kind="muon", lr=1e-3)


def settings(**changes: Any) -> TrainSettings:
    """A few steps on the processor, with everything on that draws at random."""
    short = TrainSettings(
        steps=6,
        batch_size=4,
        resume_every=100,
        device="cpu",
        augment=AugmentConfig(0.9, 0.2, 0.2, 0.2, 0.05),
    )
    return replace(short, **changes)


def request(
    dataset: Path, out: Path, policy: str = "openvla_oft_micro", **changes: Any
) -> TrainRequest:
    """Of such a run; `changes` are fields of TrainSettings or TrainRequest."""
    own = {key: changes.pop(key) for key in list(changes) if key in TrainRequest.__slots__}
    made = TrainRequest(
        policy=policy,
        policy_config=find_policy(policy).config_class()(),
        dataset=dataset,
        settings=settings(**changes),
        out=out,
    )
    return replace(made, **own)


def losses(out: Path) -> list[float]:
    """Every step's loss, in order; steps are checked to be complete."""
    lines = read_metrics(out)
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return [line["loss"] for line in lines]


def numbers(out: Path) -> list[dict[str, Any]]:
    """Every line of the metrics but for times."""
    times = ("step_s", "wait_s", "prepare_s")
    lines = read_metrics(out)
    return [json.loads(json.dumps({k: v for k, v in a.items() if k not in times})) for a in lines]
