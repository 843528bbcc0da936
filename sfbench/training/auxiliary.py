"""The seam for losses that are no policy's own, such as an alignment of hidden states.

The rules by which a weight of 0 gives the very same policy as no auxiliary loss at all:
its parameters have their own optimiser and their own clipping norm; whatever it draws comes from
its own generator (torch's global stream is set aside around it); and at weight 0 it runs without
gradients, on logged steps only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from sfbench.contracts import Json
from sfbench.errors import UsageError
from sfbench.training.trainable import Trainable, TrainingBatch


class AuxiliaryLoss(Protocol):
    """A loss that shares the policy's forward pass.

    In each micro-batch `Trainable.losses` runs first, then `loss` with the same batch; what hooks
    caught in between is the auxiliary's own business, and it lets go of it in `loss`.

    Attributes:
        extras: names of what it reads of the dataset besides images; see DemoBatch.
    """

    extras: tuple[str, ...]

    def attach(self, trainable: Trainable) -> None:
        """Place hooks; called once, before the module is wrapped for several processes."""

    def to(self, device: torch.device) -> object:
        """Move its own parameters and buffers there."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """What is trained with the policy and saved apart from it."""

    def loss(self, batch: TrainingBatch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Named scalars, each a mean over the batch's samples; their sum is weighted.

        Args:
            batch: the micro-batch.
            generator: its own stream, on the CPU, new in each micro-batch.
        """

    def state_dict(self) -> Mapping[str, Tensor]:
        """All that a resume needs."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> object:
        """Inverse of `state_dict`."""


@dataclass(frozen=True, eq=False)
class Weighted:
    """An auxiliary loss in a run.

    Attributes:
        name: prefix of its losses in the metrics, and of its files in checkpoints.
        loss: the loss.
        weight: alpha; its gradients reach policy and projector scaled by it.
        config: its settings, which a recipe lists and a resume may not change.
    """

    name: str
    loss: AuxiliaryLoss
    weight: float
    config: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise UsageError(f"weight of '{self.name}': got {self.weight}, allowed 0 or more")
