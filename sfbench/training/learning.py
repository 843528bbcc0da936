"""All that changes while training: the wrapped policy, its optimiser, auxiliaries, an average."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfbench.training.adapters import check_dtypes, choose_parameters
from sfbench.training.auxiliary import Weighted
from sfbench.training.checkpoint import load_optimiser_moments, optimiser_moments
from sfbench.training.optimisation import (
    WeightAverage,
    inner_matrices,
    make_adamw,
    make_optimisers,
)
from sfbench.training.processes import Processes
from sfbench.training.settings import TrainSettings
from sfbench.training.streams import global_stream
from sfbench.training.trainable import Trainable, TrainingBatch

POLICY_PREFIX = "policy."


class PolicyLosses(nn.Module):
    """The policy's losses as a module's forward pass, which is what wrappers hook into."""

    def __init__(self, trainable: Trainable) -> None:
        super().__init__()
        self.policy = trainable.module
        self._losses = trainable.losses

    def forward(self, batch: TrainingBatch) -> Mapping[str, Tensor]:
        """Named scalars."""
        return self._losses(batch)


class Auxiliary:
    """An auxiliary loss with an AdamW of its own; it has none at weight 0."""

    def __init__(self, weighted: Weighted, settings: TrainSettings) -> None:
        self.name, self.weight, self.loss = weighted.name, weighted.weight, weighted.loss
        self.parameters = [one for one in weighted.loss.parameters() if one.requires_grad]
        learns = bool(self.parameters and self.weight)
        self.optimiser = make_adamw(self.parameters, settings.optimiser) if learns else None

    def moments(self) -> dict[str, Tensor]:
        """The optimiser's tensors under one name each."""
        if self.optimiser is None:
            return {}
        return optimiser_moments(self.optimiser)

    def load_moments(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of `moments`."""
        if self.optimiser is not None:
            load_optimiser_moments(self.optimiser, tensors)


@dataclass(frozen=True, eq=False)
class Learning:
    """See the module.

    Attributes:
        trainable: the policy as its family made it.
        wrapped: its PolicyLosses, shared among the processes.
        names: of the parameters that are trained, without what wrappers put before them.
        trained: these parameters.
        optimisers: of them, each parameter in one.
        auxiliaries: other losses.
        average: of the weights, or None.
    """

    trainable: Trainable
    wrapped: nn.Module
    names: tuple[str, ...]
    trained: tuple[nn.Parameter, ...]
    optimisers: tuple[torch.optim.Optimizer, ...]
    auxiliaries: tuple[Auxiliary, ...]
    average: WeightAverage | None

    @classmethod
    def build(
        cls,
        trainable: Trainable,
        auxiliaries: Sequence[Weighted],
        settings: TrainSettings,
        processes: Processes,
    ) -> "Learning":
        """Choose what is trained, attach the auxiliaries, wrap the policy, make the optimisers.

        Raises:
            UsageError: adapters, an auxiliary or the precision do not fit the policy.
        """
        # Adapters are drawn from torch's global stream.
        with global_stream("adapters", settings.seed):
            choose_parameters(trainable, settings.lora)
        if settings.precision == "no" and not processes.shards:
            check_dtypes(trainable.module)
        for one in auxiliaries:
            one.loss.attach(trainable)
            one.loss.to(processes.device)
        inner = inner_matrices(trainable.module, trainable.full_modules)
        losses = PolicyLosses(trainable)
        names = tuple(name for name, one in losses.named_parameters() if one.requires_grad)
        wrapped = processes.wrap(losses)
        wrapped.train()
        trained = tuple(one for one in wrapped.parameters() if one.requires_grad)
        return cls(
            trainable=trainable,
            wrapped=wrapped,
            names=names,
            trained=trained,
            optimisers=make_optimisers(trained, settings.optimiser, inner),
            auxiliaries=tuple(Auxiliary(one, settings) for one in auxiliaries),
            average=WeightAverage(wrapped, settings.ema_decay) if settings.ema_decay else None,
        )

    @property
    def extras(self) -> tuple[str, ...]:
        """What the auxiliaries read of a demonstration besides what the policy does."""
        return tuple(sorted({name for one in self.auxiliaries for name in one.loss.extras}))
