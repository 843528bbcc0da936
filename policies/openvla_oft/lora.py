"""Merging a LoRA adapter that was saved beside a checkpoint: W + (alpha / r) B A.

Source: Hu et al. 2021 (arXiv 2106.09685); file layout of peft.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from sfbench.errors import MissingError, UsageError

_PREFIX = "base_model.model."
# Settings of peft that change the merged weight in ways not done here, with their plain value.
_PLAIN: dict[str, Any] = {
    "use_dora": (False, None),
    "fan_in_fan_out": (False, None),
    "alpha_pattern": ({}, None),
    "rank_pattern": ({}, None),
    "modules_to_save": ([], None),
    "bias": ("none", None),
    "lora_bias": (False, None),
}


@dataclass(frozen=True)
class LoraAdapter:
    """A low-rank change to some weights.

    Attributes:
        scale: alpha / r (alpha / sqrt(r) for rank-stabilised adapters).
        down: published key of the changed weight to A, [r, inputs].
        up: the same key to B, [outputs, r].
    """

    scale: float
    down: Mapping[str, Tensor]
    up: Mapping[str, Tensor]

    def merge(self, key: str, weight: Tensor) -> Tensor:
        """The weight with its change added in float32, in the weight's own dtype."""
        if key not in self.down:
            return weight
        change = self.up[key].float() @ self.down[key].float() * self.scale
        return (weight.float() + change.to(weight.device)).to(weight.dtype)


def read_lora(folder: Path) -> LoraAdapter:
    """Read a `lora_adapter` folder.

    Raises:
        MissingError: it lacks a file.
        UsageError: it uses a variant of LoRA that is not supported, or its keys do not pair up.
    """
    config_file, weights_file = (
        folder / "adapter_config.json",
        folder / "adapter_model.safetensors",
    )
    for file in (config_file, weights_file):
        if not file.is_file():
            raise MissingError(f"LoRA adapter: {file} is not there")
    config = json.loads(config_file.read_text(encoding="utf-8"))
    odd = [
        f"{name}={config[name]!r}"
        for name, plain in _PLAIN.items()
        if name in config and config[name] not in plain
    ]
    if odd or config.get("peft_type") != "LORA":
        raise UsageError(
            f"{config_file}: only plain LoRA is supported; got peft_type="
            f"{config.get('peft_type')!r} {' '.join(odd)}. Merge it with peft first"
        )
    rank, alpha = config["r"], config["lora_alpha"]
    scale = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
    down, up = _split(load_file(weights_file), weights_file)
    return LoraAdapter(scale, down, up)


def _split(
    tensors: Mapping[str, Tensor], file: Path
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    halves: dict[str, dict[str, Tensor]] = {".lora_A.weight": {}, ".lora_B.weight": {}}
    odd = []
    for key, tensor in tensors.items():
        suffix = next((name for name in halves if key.endswith(name)), None)
        if suffix is None or not key.startswith(_PREFIX):
            odd.append(key)
            continue
        target = key.removeprefix(_PREFIX).removesuffix(suffix) + ".weight"
        halves[suffix][target] = tensor
    down, up = halves.values()
    odd += sorted(down.keys() ^ up.keys())
    if odd:
        raise UsageError(f"{file}: keys that are no LoRA pair:\n  " + "\n  ".join(odd))
    return down, up


def check_covered(adapter: LoraAdapter, shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Raises UsageError if the adapter changes a weight that the base checkpoint does not have."""
    problems = [
        f"{key}: change {(up.shape[0], adapter.down[key].shape[1])}, weight {shapes.get(key)}"
        for key, up in adapter.up.items()
        if shapes.get(key) != (up.shape[0], adapter.down[key].shape[1])
    ]
    if problems:
        raise UsageError(f"{where}: the base weights do not match:\n  " + "\n  ".join(problems))
