"""`sfbench bench train`: what a training step costs; see `bench` for the keys."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from sfbench.cli.compose import compose_command
from sfbench.errors import UsageError
from sfbench.registry import SuiteRecipe, find_policy
from sfbench.training.settings import LoraConfig, TrainSettings


@dataclass
class TrainBenchConfig:
    """The keys of `sfbench bench train`; the usage text of `bench` describes them."""

    suite: Any = MISSING
    policies: list[str] = field(default_factory=list)
    dataset: str | None = None
    start: str | None = None
    batch_size: int = 16
    micro_batch: int | None = None
    precision: str = "no"
    device: str = "auto"
    loader_workers: int = 0
    lora: LoraConfig = field(default_factory=LoraConfig)
    steps: int = 10


def run(arguments: Sequence[str]) -> int:
    """Measure, and print a table."""
    composed = compose_command(TrainBenchConfig, ("suite",), arguments)
    config: TrainBenchConfig = composed.own
    if not config.policies:
        raise UsageError("policies= is missing: name those to measure, as policies=[a,b]")
    if config.steps < 1:
        raise UsageError(f"steps={config.steps}: allowed 1 or more")
    names = tuple(find_policy(name).name for name in config.policies)
    from sfbench.bench.train import TrainBenchRequest, measure_training, table

    request = TrainBenchRequest(
        policies=names,
        suite=SuiteRecipe(composed.chosen["suite"], config.suite).build(),
        dataset=None if config.dataset is None else Path(config.dataset),
        start=config.start,
        settings=TrainSettings(
            batch_size=config.batch_size,
            micro_batch=config.micro_batch,
            precision=config.precision,
            device=config.device,
            loader_workers=config.loader_workers,
            lora=config.lora,
        ),
        steps=config.steps,
    )
    print(table(measure_training(request, lambda text: print(text, file=sys.stderr))))
    return 0
