"""Optimisers, their learning rate at each step, clipping, and an average of the weights."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from sfbench.training.muon import Muon
from sfbench.training.settings import OptimiserConfig

_COSINE_FLOOR = 0.1


def make_adamw(parameters: Iterable[nn.Parameter], config: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW over the parameters that are trained."""
    return torch.optim.AdamW(
        [parameter for parameter in parameters if parameter.requires_grad],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
    )


def make_optimisers(
    parameters: Iterable[nn.Parameter], config: OptimiserConfig, inner: Iterable[nn.Parameter]
) -> tuple[torch.optim.Optimizer, ...]:
    """What trains parameters, each in one optimiser.

    Args:
        parameters: those with `requires_grad` are trained.
        config: which optimisers.
        inner: see `inner_matrices`; Muon's share, where the config asks for it.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    ids = {id(matrix) for matrix in inner} if config.kind == "muon" else set()
    matrices = [parameter for parameter in trained if id(parameter) in ids]
    rest = make_adamw((parameter for parameter in trained if id(parameter) not in ids), config)
    if not matrices:
        return (rest,)
    return (rest, Muon(matrices, config.lr, config.weight_decay))


def inner_matrices(module: nn.Module, heads: Sequence[str] = ()) -> list[nn.Parameter]:
    """Weights of linear layers between embeddings and heads, the matrices that Muon is made for.

    Args:
        module: the network.
        heads: prefixes of the names of parameters that read its inputs or write its outputs.
    """
    linear = (
        part
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear)
        and not f"{name}.weight".startswith(tuple(heads))
        and "lm_head" not in name  # what transformers calls the layer that scores words
    )
    return [own for part in linear for key, own in part.named_parameters() if key == "weight"]


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
        last = config.decay_at[0] if config.decay_at else steps
        done = (step - config.warmup_steps) / max(last - config.warmup_steps, 1)
        share = (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return rate * (_COSINE_FLOOR + (1 - _COSINE_FLOOR) * share)
    return rate


def set_learning_rate(optimisers: Iterable[torch.optim.Optimizer], rate: float) -> None:
    """Of every group."""
    for optimiser in optimisers:
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
