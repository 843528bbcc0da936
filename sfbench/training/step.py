"""One optimiser step: passes, auxiliary losses, the check for finite numbers, clipping."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sfbench.errors import StoppedError
from sfbench.training.feeding import Feed
from sfbench.training.learning import Auxiliary, Learning
from sfbench.training.optimisation import clip, set_learning_rate
from sfbench.training.processes import Processes
from sfbench.training.settings import TrainSettings, passes
from sfbench.training.streams import auxiliary_generator, global_stream
from sfbench.training.trainable import TrainingBatch

_TOTAL = ""
"""Name of the weighted sum among the losses."""
_MOST_NAMED = 64
"""Frames that an error lists of each process."""


@dataclass(slots=True)
class StepResult:
    """What a step gave, the same on every process.

    Attributes:
        loss: what was minimised, over the whole batch.
        losses: each named loss, not weighted.
        grad_norms: length of the gradient before clipping: `policy`, and each auxiliary's.
        stop: whether some process was asked to stop.
    """

    loss: float
    losses: dict[str, float]
    grad_norms: dict[str, float] = field(default_factory=dict)
    stop: bool = False


class Stepper:
    """Takes steps."""

    def __init__(self, learning: Learning, settings: TrainSettings, processes: Processes) -> None:
        self._wrapped, self._auxiliaries = learning.wrapped, learning.auxiliaries
        self._settings, self._processes = settings, processes
        self._parameters = learning.trained
        self._optimisers = (
            *learning.optimisers,
            *(one.optimiser for one in learning.auxiliaries if one.optimiser is not None),
        )
        self._passes = passes(settings, processes.count)[1]

    def take(self, feed: Feed, step: int, rate: float, stop_asked: bool) -> StepResult:
        """One step.

        Args:
            feed: gives the batches.
            step: counted from 1.
            rate: the learning rate.
            stop_asked: whether this process was asked to stop.

        Raises:
            StoppedError: a loss or the gradient is not finite; the weights are as before.
        """
        set_learning_rate(self._optimisers, rate)
        for optimiser in self._optimisers:
            optimiser.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        broken, seen = [], []
        for part in range(self._passes):
            batch = feed.next(step)
            with self._processes.accumulating(self._wrapped, part == self._passes - 1):
                named = self._pass(batch, step, part)
            seen.append(self._named(batch, named))
            if not all(math.isfinite(value) for value in named.values()):
                broken.append(seen[-1])
            for name, value in named.items():
                totals[name] = totals.get(name, 0.0) + value / self._passes
        # Processes agree on what to do, or some would wait for the others for ever.
        flags = self._processes.sums([float(bool(broken)), float(stop_asked)])
        if flags[0]:
            self._refuse("the loss", step, broken)
        norms = self._clipped()
        if not all(math.isfinite(norm) for norm in norms.values()):
            self._refuse("the gradient", step, seen)
        for optimiser in self._optimisers:
            optimiser.step()
        count = self._processes.count
        sums = self._processes.sums(list(totals.values()))
        means = {name: value / count for name, value in zip(totals, sums, strict=True)}
        return StepResult(means.pop(_TOTAL), means, norms, bool(flags[1]))

    def _pass(self, batch: TrainingBatch, step: int, part: int) -> dict[str, float]:
        """Forward and backward; returns every named loss and their weighted sum."""
        seed, processes = self._settings.seed, self._processes
        with global_stream("dropout", seed, step, part, processes.rank), processes.autocast():
            policy = self._wrapped(batch)
        losses = {name: value.float() for name, value in policy.items()}
        total = torch.stack(list(losses.values())).sum()
        for auxiliary in self._auxiliaries:
            if not auxiliary.weight and step % self._settings.log_every:
                continue
            extra = self._auxiliary(auxiliary, batch, step, part)
            losses |= {f"{auxiliary.name}/{name}": value for name, value in extra.items()}
            if auxiliary.weight and extra:
                total = total + auxiliary.weight * torch.stack(list(extra.values())).sum()
        (total / self._passes).backward()  # type: ignore[no-untyped-call]
        found = {name: float(value.detach()) for name, value in losses.items()}
        return {_TOTAL: float(total.detach()), **found}

    def _auxiliary(
        self, auxiliary: Auxiliary, batch: TrainingBatch, step: int, part: int
    ) -> dict[str, Tensor]:
        name, seed = auxiliary.name, self._settings.seed
        own = (name, seed, step, part * self._processes.count + self._processes.rank)
        with (
            global_stream("auxiliary", *own),
            torch.set_grad_enabled(bool(auxiliary.weight)),
            self._processes.autocast(),
        ):
            losses = auxiliary.loss.loss(batch, auxiliary_generator(*own))
        return {key: value.float() for key, value in losses.items()}

    def _clipped(self) -> dict[str, float]:
        """Clip every group of parameters by its own norm; returns the norms."""
        longest = self._settings.optimiser.clip_norm
        norms = {"policy": clip(self._parameters, longest)}
        for auxiliary in self._auxiliaries:
            if auxiliary.optimiser is not None:
                self._processes.average_gradients(auxiliary.parameters)
                norms[auxiliary.name] = clip(auxiliary.parameters, longest)
        return norms

    def _named(self, batch: TrainingBatch, losses: Mapping[str, float]) -> str:
        """A micro-batch in words."""
        values = ", ".join(f"{name or 'total'}={value:g}" for name, value in losses.items())
        pairs = [f"{one}:{two}" for one, two in zip(batch.episodes, batch.frames, strict=True)]
        more = "" if len(pairs) <= _MOST_NAMED else f" and {len(pairs) - _MOST_NAMED} more"
        frames = " ".join(pairs[:_MOST_NAMED])
        return f"process {self._processes.rank}: {values}; episode:frame {frames}{more}"

    def _refuse(self, what: str, step: int, texts: Sequence[str]) -> None:
        lines = "\n  ".join(self._processes.gathered(texts))
        raise StoppedError(
            f"{what} of step {step} is not finite; the optimiser was not run. The batch:\n  "
            f"{lines}\nLook at these frames, or lower optimiser.lr"
        )
