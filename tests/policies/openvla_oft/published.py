"""The tiny network under the published names, for the project's side of the comparison."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from sfbench_policies.openvla_oft.architecture import (
    Architecture,
    LanguageConfig,
    TowerConfig,
    TowerKind,
)
from sfbench_policies.openvla_oft.keys import build_key_table
from sfbench_policies.openvla_oft.model import ModelInputs, OpenVla
from sfbench_policies.openvla_oft.presets import OPENVLA_7B, OPENVLA_OFT_7B
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from tests.policies.openvla_oft import tiny

FIXTURES = Path(__file__).parent / "fixtures"

_DINO = TowerConfig(
    kind=TowerKind.DINOV2,
    patch_px=tiny.PATCH_PX,
    hidden=tiny.DINO["embed_dim"],
    layers=tiny.DINO["depth"],
    heads=tiny.DINO["num_heads"],
    mlp_hidden=tiny.DINO["embed_dim"] * tiny.DINO["mlp_ratio"],
    registers=4,
)
_SIGLIP = TowerConfig(
    kind=TowerKind.SIGLIP,
    patch_px=tiny.PATCH_PX,
    hidden=tiny.SIGLIP["embed_dim"],
    layers=tiny.SIGLIP["depth"],
    heads=tiny.SIGLIP["num_heads"],
    mlp_hidden=int(tiny.SIGLIP["embed_dim"] * tiny.SIGLIP["mlp_ratio"]),
)
_LANGUAGE = LanguageConfig(
    token_vocab=32000,
    vocab_rows=tiny.TEXT["vocab_size"],
    hidden=tiny.TEXT["hidden_size"],
    layers=tiny.TEXT["num_hidden_layers"],
    heads=tiny.TEXT["num_attention_heads"],
    mlp_hidden=tiny.TEXT["intermediate_size"],
)
_SIZES: dict[str, Any] = {
    "image_px": tiny.IMAGE_PX,
    "towers": (_DINO, _SIGLIP),
    "language": _LANGUAGE,
}
TINY_OFT = replace(OPENVLA_OFT_7B, **_SIZES)
TINY_BASE = replace(OPENVLA_7B, **_SIZES)
SMALL_VOCABULARY = replace(_LANGUAGE, token_vocab=320, vocab_rows=384)


def published_weights(architecture: Architecture) -> dict[str, torch.Tensor]:
    """Every weight of a published checkpoint of that architecture, unused ones included."""
    own = OpenVla(architecture)
    table = build_key_table(architecture, own)
    shapes = {key: tuple(t.shape) for key, t in table.to_published(own.state_dict()).items()}
    shapes |= {key: _unused_shape(key, shapes) for key in table.unused}
    return {key: torch.from_numpy(tiny.weight(key, shape)) for key, shape in shapes.items()}


def _unused_shape(key: str, shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    tower, _, rest = key.partition(".blocks.")
    if rest:
        return shapes[f"{tower}.blocks.0.{rest.partition('.')[2]}"]
    return (1,)


def tiny_model(architecture: Architecture) -> OpenVla:
    """Our network with the shared weights."""
    model = OpenVla(architecture)
    table = build_key_table(architecture, model)
    state: dict[str, torch.Tensor] = {}
    for key, tensor in published_weights(architecture).items():
        state |= table.to_own(key, tensor)
    model.load_state_dict(state)
    return model.eval()


def tiny_inputs(architecture: Architecture) -> ModelInputs:
    """The shared inputs, in our layout."""
    data = tiny.inputs(architecture.views)
    pixels = torch.from_numpy(data["pixels"])
    shape = (2, architecture.views, 2, 3, tiny.IMAGE_PX, tiny.IMAGE_PX)
    state = torch.from_numpy(data["state"]) if architecture.proprio_dim else None
    return ModelInputs(pixels.reshape(shape), tiny.PROMPTS, state)


def fixture(name: str) -> dict[str, np.ndarray]:
    """A stored file, fully read."""
    with np.load(FIXTURES / name, allow_pickle=False) as stored:
        return dict(stored)


MICRO_OFT = replace(TINY_OFT, language=SMALL_VOCABULARY)
MICRO_BASE = replace(TINY_BASE, language=SMALL_VOCABULARY)
"""The tiny networks with a vocabulary that fits a test's tokenizer."""

WORDS = ("in", "out", "pick", "up", "the", "bowl", "and", "place", "it", "what", "action", "should")


def write_published(folder: Path, architecture: Architecture) -> dict[str, torch.Tensor]:
    """Write a checkpoint in the layout of the published ones; returns its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = published_weights(architecture)
    write_shards(folder, {k: v for k, v in weights.items() if not k.startswith(SEPARATE)})
    write_heads(folder, weights)
    write_json(folder / "config.json", published_config(architecture))
    write_json(folder / "preprocessor_config.json", tiny.PREPROCESSOR)
    write_json(folder / "dataset_statistics.json", tiny.STATISTICS)
    write_tokenizer(folder / "tokenizer.json", architecture.language.token_vocab)
    return weights


SEPARATE = ("action_head.", "proprio_projector.")


def write_shards(folder: Path, weights: dict[str, torch.Tensor], count: int = 3) -> None:
    """Safetensors shards and their index."""
    names = [f"model-{i + 1:05d}-of-{count:05d}.safetensors" for i in range(count)]
    places = {key: names[i % count] for i, key in enumerate(weights)}
    for name in names:
        save_file({k: v for k, v in weights.items() if places[k] == name}, folder / name)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})


def write_heads(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """The two separate files, with the prefix that distributed training leaves."""
    for prefix in SEPARATE:
        part = {
            "module." + key.removeprefix(prefix): tensor
            for key, tensor in weights.items()
            if key.startswith(prefix)
        }
        if part:
            torch.save(part, folder / f"{prefix[:-1]}--150000_checkpoint.pt")


def published_config(architecture: Architecture) -> dict[str, Any]:
    """config.json; the towers' sizes are not in it, as in the published ones."""
    language = architecture.language
    text = {**tiny.TEXT, "vocab_size": language.vocab_rows, "model_type": "llama"}
    return {
        "architectures": ["OpenVLAForActionPrediction"],
        "vision_backbone_id": "dinosiglip-vit-so-224px",
        "n_action_bins": 256,
        "pad_to_multiple_of": language.vocab_rows - language.token_vocab,
        "text_config": text,
        "norm_stats": {"bridge_orig": tiny.STATISTICS["tiny_no_noops"]},
    }


def write_json(file: Path, data: object) -> None:
    """Write JSON."""
    file.write_text(json.dumps(data), encoding="utf-8")


def write_tokenizer(file: Path, size: int, bos: bool = True) -> None:
    """A tokenizer file built like Llama's: spaces become marks, BOS goes first."""
    known = ["<unk>", "<s>", "</s>", "\u2581", *(f"\u2581{word}" for word in WORDS)]
    known += [f"rare{index}" for index in range(size - len(known))]
    tokenizer = Tokenizer(
        models.WordLevel({token: i for i, token in enumerate(known)}, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    tokenizer.add_special_tokens([AddedToken("<PAD>", normalized=False)])
    tokenizer.save(str(file))
