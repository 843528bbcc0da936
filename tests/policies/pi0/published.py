"""Writes checkpoint folders in LeRobot's layout, with random weights of a small network."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from sfbench_policies.pi0.architecture import Architecture
from sfbench_policies.pi0.initial import random_model
from sfbench_policies.pi0.keys import build_key_table
from sfbench_policies.pi0.model import Pi0
from sfbench_policies.pi0.processing.prompt import word_tokenizer

from . import tiny

WORDS = ["put the black bowl on the plate"]
EMBEDDING = "model.paligemma_with_expert.paligemma.model.language_model.embed_tokens.weight"
TIED = "model.paligemma_with_expert.paligemma.lm_head.weight"
UNUSED = "model.paligemma_with_expert.gemma_expert.lm_head.weight"


def lively_model(architecture: Architecture, seed: int = 0) -> Pi0:
    """An untrained network whose velocity is not 0."""
    model = random_model(architecture, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head = model.core.action_out_proj.weight
        head.copy_(torch.randn(head.shape, generator=generator) / 8)
    return model


def config(architecture: Architecture) -> dict[str, Any]:
    """What LeRobot writes of a policy fine-tuned on LIBERO, as far as it matters."""
    visual = {"type": "VISUAL", "shape": [3, 256, 256]}
    return {
        "type": "pi0",
        "n_obs_steps": 1,
        "input_features": {
            "observation.images.image": visual,
            "observation.images.image2": visual,
            "observation.state": {"type": "STATE", "shape": [8]},
        },
        "output_features": {"action": {"type": "ACTION", "shape": [7]}},
        "normalization_mapping": {"VISUAL": "IDENTITY", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"},
        "paligemma_variant": "test_language",
        "action_expert_variant": "test_expert",
        "dtype": "float32",
        "chunk_size": architecture.chunk_steps,
        "n_action_steps": architecture.chunk_steps,
        "max_state_dim": 32,
        "max_action_dim": 32,
        "num_inference_steps": architecture.denoise_steps,
        "min_period": 0.004,
        "max_period": 4.0,
        "image_resolution": [architecture.image_px, architecture.image_px],
        "empty_cameras": 1,
        "tokenizer_max_length": architecture.prompt_tokens,
    }


def pipelines() -> dict[str, list[dict[str, Any]]]:
    """Steps of both pipelines; the state files are named as LeRobot names them."""
    norm_map = {"VISUAL": "IDENTITY", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
    features = {
        "observation.state": {"type": "STATE", "shape": [8]},
        "action": {"type": "ACTION", "shape": [7]},
    }
    settings = {"eps": 1e-8, "features": features, "norm_map": norm_map}
    relative = {"enabled": False, "exclude_joints": ["gripper"], "action_names": None}
    before, after = "policy_preprocessor", "policy_postprocessor"
    return {
        before: [
            {"registry_name": "rename_observations_processor", "config": {"rename_map": {}}},
            {"registry_name": "to_batch_processor", "config": {}},
            {"registry_name": "pi0_new_line_processor", "config": {}},
            {"registry_name": "relative_actions_processor", "config": relative},
            {
                "registry_name": "normalizer_processor",
                "config": settings,
                "state_file": f"{before}_step_4_normalizer_processor.safetensors",
            },
        ],
        after: [
            {
                "registry_name": "unnormalizer_processor",
                "config": settings,
                "state_file": f"{after}_step_0_unnormalizer_processor.safetensors",
            },
            {"registry_name": "absolute_actions_processor", "config": {"enabled": False}},
        ],
    }


def tensors(model: Pi0) -> dict[str, torch.Tensor]:
    """Weights as the published file has them: the tied output layer instead of the embedding."""
    found = build_key_table(model).to_published(model.state_dict())
    found[TIED] = found.pop(EMBEDDING)
    found[UNUSED] = torch.zeros(4, 4)
    return {key: value.contiguous() for key, value in found.items()}


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(data, indent=2))


def write_published(folder: Path, model: Pi0, with_tokenizer: bool = True) -> Path:
    """The whole folder."""
    folder.mkdir(parents=True, exist_ok=True)
    architecture = model.architecture
    write_json(folder / "config.json", config(architecture))
    save_file(tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
    for name, steps in pipelines().items():
        write_json(folder / f"{name}.json", {"name": name, "steps": steps})
        for step in steps:
            if "state_file" in step:
                statistics = {
                    f"{feature}.{part}": torch.tensor(values)
                    for feature, parts in tiny.STATISTICS.items()
                    for part, values in parts.items()
                }
                save_file(statistics, folder / step["state_file"])
    if with_tokenizer:
        word_tokenizer(WORDS, architecture.prompt_tokens, architecture.vocab).save(folder)
    return folder
