"""`sfbench bench policy`: a policy's inference; see `bench` for the keys."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from sfbench.bench.policy import PolicyBenchRequest, measure_policy, table
from sfbench.cli.compose import compose_command
from sfbench.cli.forward import forward
from sfbench.errors import UsageError
from sfbench.registry import PolicyRecipe, SuiteRecipe


@dataclass
class PolicyBenchConfig:
    """The keys of `sfbench bench policy`; the usage text of `bench` describes them."""

    suite: Any = MISSING
    policy: Any = MISSING
    checkpoint: str | None = None
    preset: str | None = None
    batches: list[int] = field(default_factory=lambda: [1, 2, 4, 8])
    calls: int = 20


def run(arguments: Sequence[str]) -> int:
    """Measure, and print a table."""
    request = _request(arguments)

    def progress(number: int) -> None:
        print(f"round {number} of {request.calls} done", file=sys.stderr)

    print(table(measure_policy(request, progress)))
    return 0


def _request(arguments: Sequence[str]) -> PolicyBenchRequest:
    composed = compose_command(PolicyBenchConfig, ("suite", "policy"), arguments)
    config: PolicyBenchConfig = composed.own
    forward(composed, config.checkpoint, config.preset)
    if config.calls < 1:
        raise UsageError(f"calls={config.calls}: allowed 1 or more")
    if not config.batches or min(config.batches) < 1:
        raise UsageError(f"batches={config.batches}: name batch sizes of 1 or more")
    return PolicyBenchRequest(
        suite=SuiteRecipe(composed.chosen["suite"], config.suite),
        policy=PolicyRecipe(composed.chosen["policy"], config.policy),
        batches=tuple(config.batches),
        calls=config.calls,
    )
