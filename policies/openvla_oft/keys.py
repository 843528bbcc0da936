"""Which published weight goes where: the table between published key names and our parameters.

Published names are those of timm inside `vision_backbone.*`, of transformers inside
`language_model.*`, and of the separate files `action_head--*.pt` and `proprio_projector--*.pt`,
which get the prefixes `action_head.` and `proprio_projector.` here. Checkpoints of our own use the
same names, so that they do not depend on how a release of transformers calls its modules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfbench.errors import UsageError

from .architecture import Architecture, TowerConfig, TowerKind

HEAD_PREFIX = "action_head."
STATE_PREFIX = "proprio_projector."
_TOWER_NAMES = ("vision_backbone.featurizer", "vision_backbone.fused_featurizer")

# timm's name in a block: ours. One name to three: rows are cut in three equal parts.
_DINO_BLOCK: dict[str, tuple[str, ...]] = {
    "norm1": ("norm1",),
    "norm2": ("norm2",),
    "mlp.fc1": ("mlp.fc1",),
    "mlp.fc2": ("mlp.fc2",),
}
_DINO_SCALES = {
    "ls1.scale_factor": "layer_scale1.lambda1",
    "ls2.scale_factor": "layer_scale2.lambda1",
}
# transformers renamed the attention's parts during release 5.
_DINO_ATTENTION: tuple[dict[str, tuple[str, ...]], ...] = (
    {
        "attn.qkv": ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
        "attn.proj": ("attention.o_proj",),
    },
    {
        "attn.qkv": (
            "attention.attention.query",
            "attention.attention.key",
            "attention.attention.value",
        ),
        "attn.proj": ("attention.output.dense",),
    },
)
_SIGLIP_BLOCK: dict[str, tuple[str, ...]] = {
    "norm1": ("layer_norm1",),
    "norm2": ("layer_norm2",),
    "mlp.fc1": ("mlp.fc1",),
    "mlp.fc2": ("mlp.fc2",),
    "attn.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn.proj": ("self_attn.out_proj",),
}
_HEAD = {
    "layer_norm1": "norm_in",
    "fc1": "fc_in",
    "mlp_resnet_blocks.{i}.ffn.0": "blocks.{i}.norm",
    "mlp_resnet_blocks.{i}.ffn.1": "blocks.{i}.linear",
    "layer_norm2": "norm_out",
    "fc2": "fc_out",
}
_ATTENTION_POOL = (
    "latent",
    *(
        f"{part}.{kind}"
        for part in ("q", "kv", "proj", "norm", "mlp.fc1", "mlp.fc2")
        for kind in ("weight", "bias")
    ),
)


@dataclass(frozen=True, slots=True)
class KeyTable:
    """The mapping for one model.

    Attributes:
        targets: published key to our parameter; to three if its rows are cut in three.
        unused: published keys that the model has no use for (the towers' last block and what
            follows it); they may be present or not.
    """

    targets: Mapping[str, tuple[str, ...]]
    unused: frozenset[str]

    def check(self, shapes: Mapping[str, Sequence[int]], model: nn.Module, where: str) -> None:
        """Compare published keys and shapes with what the model needs.

        Raises:
            UsageError: with every missing key, extra key and wrong shape.
        """
        own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        problems = [f"missing: {key}" for key in self.targets if key not in shapes]
        problems += [
            f"extra: {key}" for key in shapes if key not in self.targets and key not in self.unused
        ]
        for key, names in self.targets.items():
            rows, *rest = own[names[0]]
            want = (rows * len(names), *rest)
            if key in shapes and tuple(shapes[key]) != want:
                problems.append(f"shape of {key}: got {tuple(shapes[key])}, needs {want}")
        if problems:
            raise UsageError(
                f"{where} does not fit the model ({len(problems)} problems):\n  "
                + "\n  ".join(problems)
            )

    def to_own(self, key: str, tensor: Tensor) -> dict[str, Tensor]:
        """Our parameters out of one published tensor; {} if it is unused."""
        names = self.targets.get(key, ())
        return dict(zip(names, tensor.chunk(len(names)), strict=True)) if names else {}

    def to_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All our parameters under published names: the inverse of `to_own`."""
        return {
            key: torch.cat([state[name] for name in names]) if len(names) > 1 else state[names[0]]
            for key, names in self.targets.items()
        }


def build_key_table(architecture: Architecture, model: nn.Module) -> KeyTable:
    """The table of a model of that architecture (on any device, `meta` included)."""
    own = set(model.state_dict())
    targets: dict[str, tuple[str, ...]] = {}
    unused: set[str] = set()
    for index, (prefix, tower) in enumerate(zip(_TOWER_NAMES, architecture.towers, strict=False)):
        targets |= _tower_targets(prefix, f"vision.towers.{index}", tower, own)
        unused |= _tower_unused(prefix, tower)
    for layer in ("fc1", "fc2", "fc3"):
        targets |= _linear(f"projector.{layer}", (f"projector.{layer}",))
    targets |= {
        name.replace("language.llama.", "language_model.", 1): (name,)
        for name in own
        if name.startswith("language.llama.")
    }
    if any(name.startswith("action_head.") for name in own):
        targets |= _head_targets()
    if any(name.startswith("state_projector.") for name in own):
        for layer in ("fc1", "fc2"):
            targets |= _linear(f"{STATE_PREFIX}{layer}", (f"state_projector.{layer}",))
    mapped = {name for names in targets.values() for name in names}
    assert mapped == own, f"the table does not cover the model: {sorted(mapped ^ own)}"
    return KeyTable(targets, frozenset(unused))


def _linear(published: str, own: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {
        f"{published}.{kind}": tuple(f"{name}.{kind}" for name in own)
        for kind in ("weight", "bias")
    }


def _tower_targets(
    prefix: str, own_prefix: str, tower: TowerConfig, own: set[str]
) -> dict[str, tuple[str, ...]]:
    embedding = f"{own_prefix}.embedding"
    targets = _linear(f"{prefix}.patch_embed.proj", (f"{embedding}.projection",))
    targets[f"{prefix}.pos_embed"] = (f"{embedding}.positions",)
    block, scales = _SIGLIP_BLOCK, {}
    if tower.kind is TowerKind.DINOV2:
        targets[f"{prefix}.cls_token"] = (f"{embedding}.class_token",)
        targets[f"{prefix}.reg_token"] = (f"{embedding}.registers",)
        first = f"{own_prefix}.layers.0."
        attention = next(
            names for names in _DINO_ATTENTION if f"{first}{names['attn.proj'][0]}.weight" in own
        )
        block, scales = _DINO_BLOCK | attention, _DINO_SCALES
    for index in range(tower.layers - 1):
        theirs, ours = f"{prefix}.blocks.{index}", f"{own_prefix}.layers.{index}"
        for name, names in block.items():
            targets |= _linear(f"{theirs}.{name}", tuple(f"{ours}.{part}" for part in names))
        for name, part in scales.items():
            targets[f"{theirs}.{name}"] = (f"{ours}.{part}",)
    return targets


def _tower_unused(prefix: str, tower: TowerConfig) -> set[str]:
    last = f"{prefix}.blocks.{tower.layers - 1}"
    keys = {key for name in _SIGLIP_BLOCK for key in _linear(f"{last}.{name}", ())}
    keys |= set(_linear(f"{prefix}.norm", ()))
    if tower.kind is TowerKind.DINOV2:
        return keys | {f"{last}.{name}" for name in _DINO_SCALES}
    return keys | {f"{prefix}.attn_pool.{name}" for name in _ATTENTION_POOL}


def _head_targets() -> dict[str, tuple[str, ...]]:
    targets: dict[str, tuple[str, ...]] = {}
    for published, own in _HEAD.items():
        for index in range(2) if "{i}" in published else (0,):
            theirs = f"{HEAD_PREFIX}model.{published.format(i=index)}"
            targets |= _linear(theirs, (f"action_head.{own.format(i=index)}",))
    return targets
