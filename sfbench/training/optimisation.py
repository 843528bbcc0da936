"""AdamW, its learning rate as a function of the step, clipping, and an average of the weights."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from sfbench.training.settings import OptimiserConfig

_COSINE_FLOOR = 0.1


def make_optimiser(
    parameters: Iterable[nn.Parameter], config: OptimiserConfig
) -> torch.optim.AdamW:
    """AdamW over the parameters that are trained."""
    return torch.optim.AdamW(
        [parameter for parameter in parameters if parameter.requires_grad],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
    )


def learning_rate(config: OptimiserConfig, step: int, steps: int) -> float:
    """Of the step that makes `step` finished steps out of `step - 1`.

    Args:
        config: see there.
        step: counted from 1.
        steps: in all.
    """
    rate = config.lr
    if step <= config.warmup_steps:
        return rate * step / config.warmup_steps
    if config.schedule == "step":
        # A torch scheduler with milestone m changes the rate after m steps.
        return float(rate * 0.1 ** sum(step > at for at in config.decay_at))
    if config.schedule == "cosine":
        done = (step - config.warmup_steps) / max(steps - config.warmup_steps, 1)
        share = (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return rate * (_COSINE_FLOOR + (1 - _COSINE_FLOOR) * share)
    return rate


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Of every group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def clip(parameters: Sequence[nn.Parameter], longest: float) -> float:
    """Shorten a gradient; 0 leaves it. Returns the length it had, over all processes' shards."""
    limit = longest or math.inf
    norm = nn.utils.clip_grad_norm_(parameters, limit)
    whole = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    return float(whole)


class WeightAverage:
    """An exponential moving average of trained weights, in float32 beside them."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._live = {
            name: value for name, value in module.named_parameters() if value.requires_grad
        }
        self.values = {name: value.detach().clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """After an optimiser step."""
        for name, value in self._live.items():
            self.values[name].lerp_(value.detach(), 1 - self._decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the module's weights and the average; twice is as before."""
        for name, value in self._live.items():
            mine: Tensor = self.values[name].clone()
            self.values[name].copy_(value.detach())
            value.detach().copy_(mine)
