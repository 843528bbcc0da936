"""What a training run is asked to do, as data."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfbench.registry import SuiteRecipe
from sfbench.training.settings import RolloutConfig, TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """One run.

    Attributes:
        policy: name of the policy plugin.
        policy_config: instance of its config class.
        dataset: folder of demonstrations.
        settings: how it trains.
        out: the run folder.
        start: folder or hub id of the weights to start from; None for random ones.
        arm: free label for the rows of evaluations.
        suite: where checkpoints are rolled out; also says what a foreign dataset's numbers mean.
        rollout: which of them.
        config_yaml: the resolved config, kept in the run folder.
        command: what was typed, kept in the provenance.
    """

    policy: str
    policy_config: Any
    dataset: Path
    settings: TrainSettings
    out: Path
    start: str | None = None
    arm: str | None = None
    suite: SuiteRecipe | None = None
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    config_yaml: str = ""
    command: tuple[str, ...] = ()
