"""LoRA through peft: placing adapters, and merging them into plain weights for a checkpoint."""

from collections.abc import Mapping

import torch
from peft import LoraConfig as PeftConfig
from peft import inject_adapter_in_model
from torch import Tensor, nn

from sfbench.errors import UsageError
from sfbench.training.settings import LoraConfig
from sfbench.training.trainable import Trainable

_BASE, _DOWN, _UP = ".base_layer.", ".lora_A.default.weight", ".lora_B.default.weight"


def choose_parameters(trainable: Trainable, config: LoraConfig) -> None:
    """Decide what is trained: everything, or adapters and the modules that stay trained in full.

    What is trained becomes float32, and so does what no loss reads: it is run with the rest, and is
    small. Frozen weights under adapters keep their dtype.
    """
    module = trainable.module
    module.requires_grad_(True)
    if config.rank:
        _inject(trainable, config)
    for name, parameter in module.named_parameters():
        if name in trainable.unread:
            parameter.requires_grad_(False)
        if parameter.requires_grad or name in trainable.unread:
            parameter.data = parameter.data.float()


def check_dtypes(module: nn.Module) -> None:
    """Refuse weights that float32 arithmetic cannot use.

    Raises:
        UsageError: some are not float32; says what to type.
    """
    names = [name for name, one in module.named_parameters() if one.dtype != torch.float32]
    if names:
        dtype = str(module.get_parameter(names[0]).dtype).removeprefix("torch.")
        raise UsageError(
            f"precision=no computes in float32, but {len(names)} frozen weights are {dtype} "
            f"({names[0]}, ...): type precision=bf16, or policy.dtype=float32 for twice the memory"
        )


def lora_scale(config: LoraConfig) -> float:
    """What the low-rank change is multiplied by."""
    alpha = min(config.rank, 16) if config.alpha is None else config.alpha
    return alpha / config.rank


def merged(state: Mapping[str, Tensor], config: LoraConfig) -> dict[str, Tensor]:
    """A module's own `state_dict`, adapters merged: W + alpha / rank * B A.

    Args:
        state: of the module with adapters, or without any.
        config: of the adapters.

    Returns:
        Entries under the names they had before adapters were placed, in their own dtype.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if ".lora_" in name:
            continue
        stem, base, leaf = name.partition(_BASE)
        if not base:
            found[name] = tensor
            continue
        down, up = state.get(f"{stem}{_DOWN}"), state.get(f"{stem}{_UP}")
        if leaf == "weight" and down is not None and up is not None:
            change = up.float() @ down.float() * lora_scale(config)
            found[f"{stem}.weight"] = (tensor.float() + change).to(tensor.dtype)
        else:
            found[f"{stem}.{leaf}"] = tensor
    return found


def _inject(trainable: Trainable, config: LoraConfig) -> None:
    module, full = trainable.module, trainable.full_modules
    targets = [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear)
        and not f"{name}.weight".startswith(full)
        and f"{name}.weight" not in trainable.unread
    ]
    if not targets:
        raise UsageError("lora.rank: this policy has no linear layers to adapt; set lora.rank=0")
    made = PeftConfig(
        r=config.rank,
        lora_alpha=round(lora_scale(config) * config.rank),
        lora_dropout=config.dropout,
        target_modules=targets,
        init_lora_weights="gaussian",
    )
    inject_adapter_in_model(made, module)
    for name, parameter in module.named_parameters():
        if name.startswith(full):
            parameter.requires_grad_(True)
