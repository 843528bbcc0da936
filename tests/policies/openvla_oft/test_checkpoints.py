"""Published folders: keys at full size, every part of the layout, and what a bad one is told."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from sfbench_policies.common.places import fingerprint, locate
from sfbench_policies.openvla_oft.config import OpenVla7bConfig, OpenVlaOft7bConfig
from sfbench_policies.openvla_oft.factory import published_bundle
from sfbench_policies.openvla_oft.keys import build_key_table
from sfbench_policies.openvla_oft.loading import WeightSources, load_model
from sfbench_policies.openvla_oft.model import OpenVla
from sfbench_policies.openvla_oft.presets import OPENVLA_7B, OPENVLA_OFT_7B
from sfbench_policies.openvla_oft.published import FILES

from sfbench.errors import MissingError, UnknownNameError, UsageError
from tests.policies.openvla_oft.published import (
    FIXTURES,
    MICRO_BASE,
    MICRO_OFT,
    SEPARATE,
    tiny_inputs,
    tiny_model,
    write_heads,
    write_json,
    write_published,
    write_shards,
    write_tokenizer,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_published(tmp_path / "checkpoint", MICRO_OFT)
    return tmp_path / "checkpoint"


def load(folder: Path, **settings: Any) -> OpenVla:
    config = OpenVlaOft7bConfig(checkpoint=str(folder), dtype="float32", device="cpu", **settings)
    return published_bundle(config, MICRO_OFT)[0].model


def reference_keys() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the reference's code at the published configuration (not of a file)."""
    text = (FIXTURES / "reference_keys_openvla_oft_7b.json").read_text(encoding="utf-8")
    return {key: tuple(shape) for key, shape in json.loads(text)["keys"].items()}


@pytest.mark.parametrize("preset", [OPENVLA_OFT_7B, OPENVLA_7B], ids=["oft", "base"])
def test_full_size_keys_are_the_reference_s(preset) -> None:
    with torch.device("meta"):
        model = OpenVla(preset)
    table = build_key_table(preset, model)
    keys = reference_keys()
    if preset is OPENVLA_7B:
        keys = {key: shape for key, shape in keys.items() if not key.startswith(SEPARATE)}
    table.check(keys, model, "the reference")
    assert set(table.targets) | table.unused == set(keys)
    assert sum(p.numel() for p in model.parameters()) > 7e9
    # The check is not vacuous: one key more, one less, one shape off are all told.
    keys["vision_backbone.featurizer.extra"] = (1,)
    del keys["language_model.lm_head.weight"]
    keys["projector.fc3.bias"] = (4095,)
    with pytest.raises(UsageError, match="3 problems") as caught:
        table.check(keys, model, "the reference")
    for part in ("extra: vision_back", "missing: language_model.lm_head", "shape of projector"):
        assert part in str(caught.value)


def test_a_published_folder_loads(folder: Path) -> None:
    model, want = load(folder), tiny_model(MICRO_OFT)
    for name, tensor in want.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    inputs = tiny_inputs(MICRO_OFT)
    small = type(inputs)(inputs.pixels_BVTCHW, ((1, 5, 3), (1, 5, 6, 3)), inputs.state_BS)
    assert torch.equal(model.predict(small), want.predict(small))


def test_base_openvla_needs_no_heads(tmp_path: Path) -> None:
    write_published(tmp_path, MICRO_BASE)
    config = OpenVla7bConfig(checkpoint=str(tmp_path), dtype="float32", device="cpu")
    bundle, files = published_bundle(config, MICRO_BASE)
    assert len(files) == 3
    assert bundle.processor.state_statistics is None
    assert bundle.model.action_head is None


def test_dtype_is_as_asked(folder: Path) -> None:
    config = OpenVlaOft7bConfig(checkpoint=str(folder), device="cpu")
    model = published_bundle(config, MICRO_OFT)[0].model
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.bfloat16}
    rotary = model.language.llama.model.rotary_emb
    assert rotary.inv_freq.dtype == torch.float32


def test_statistics_come_from_the_config_where_there_is_no_file(folder: Path) -> None:
    (folder / "dataset_statistics.json").unlink()
    load(folder, statistics_key="bridge_orig")
    with pytest.raises(UnknownNameError, match="bridge_orig"):
        load(folder, statistics_key="tiny_no_noops")


def test_normalisation_comes_from_the_checkpoint(folder: Path) -> None:
    file = folder / "preprocessor_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    config = OpenVlaOft7bConfig(checkpoint=str(folder), dtype="float32", device="cpu")
    towers = published_bundle(config, MICRO_OFT)[0].processor.architecture.towers
    assert towers[0].mean == (0.484375, 0.455078125, 0.40625)
    del settings["tvf_normalize_params"]
    write_json(file, settings)
    towers = published_bundle(config, MICRO_OFT)[0].processor.architecture.towers
    assert towers[0].mean == (0.485, 0.456, 0.406)


# LoRA


def lora_on(weights: dict[str, torch.Tensor], out: Path) -> dict[str, torch.Tensor]:
    """Let peft change every linear layer, save the adapter, and merge it: the merged weights."""
    root = torch.nn.Module()
    for key, tensor in weights.items():
        *path, name = key.split(".")
        if name != "weight" or tensor.ndim != 2 or "embed" in key or key.startswith(SEPARATE):
            continue
        module = root
        for part in path[:-1]:
            if not hasattr(module, part):
                module.add_module(part, torch.nn.Module())
            module = getattr(module, part)
        linear = torch.nn.Linear(tensor.shape[1], tensor.shape[0], bias=False)
        linear.weight.data.copy_(tensor)
        module.add_module(path[-1], linear)
    targets = sorted(
        {name.split(".")[-1] for name, m in root.named_modules() if hasattr(m, "weight")}
    )
    config = peft.LoraConfig(r=4, lora_alpha=2, target_modules=targets)
    torch.manual_seed(0)
    changed = peft.PeftModel(root, config)
    for name, parameter in changed.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    changed.save_pretrained(out)
    merged = changed.merge_and_unload().state_dict()
    assert len(merged) > 20
    return weights | merged


def test_an_unmerged_adapter_on_its_base_equals_the_merged_weights(tmp_path: Path) -> None:
    base, tuned = tmp_path / "base", tmp_path / "tuned"
    weights = write_published(base, MICRO_OFT)
    for file in base.glob("*--*.pt"):
        file.unlink()
    merged = lora_on(weights, tuned / "lora_adapter")
    write_heads(tuned, weights)
    shutil.copy(base / "dataset_statistics.json", tuned)
    got = load(tuned, base_checkpoint=str(base)).state_dict()
    plain = tiny_model(MICRO_OFT)
    table = build_key_table(MICRO_OFT, plain)
    changed = 0
    for key, tensor in merged.items():
        for name, want in table.to_own(key, tensor).items():
            torch.testing.assert_close(got[name], want, rtol=0, atol=1e-6)
            changed += not torch.equal(want, plain.state_dict()[name])
    assert changed > 20


def test_an_adapter_alone_asks_for_its_base(folder: Path) -> None:
    for file in folder.glob("model*"):
        file.unlink()
    (folder / "lora_adapter").mkdir()
    with pytest.raises(MissingError, match="base_checkpoint=openvla/openvla-7b"):
        load(folder)


def test_merged_weights_are_not_merged_again(folder: Path) -> None:
    """The published folders hold merged shards and the adapter, side by side."""
    before = load(folder).state_dict()
    lora_on(load_shards(folder), folder / "lora_adapter")
    for name, tensor in load(folder).state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"use_dora": True}, "use_dora=True"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"peft_type": "IA3"}, "IA3"),
    ],
)
def test_other_kinds_of_adapter_are_refused(
    folder: Path, tmp_path: Path, change: dict[str, object], text: str
) -> None:
    base = tmp_path / "base"
    weights = write_published(base, MICRO_OFT)
    lora_on(weights, folder / "lora_adapter")
    file = folder / "lora_adapter" / "adapter_config.json"
    write_json(file, json.loads(file.read_text(encoding="utf-8")) | change)
    with pytest.raises(UsageError, match=text):
        load(folder, base_checkpoint=str(base))


def load_shards(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for file in folder.glob("model-*.safetensors"):
        tensors |= load_file(file)
    return tensors


# Bad input


def drop_shard(folder: Path) -> None:
    (folder / "model-00002-of-00003.safetensors").unlink()


def drop_keys(folder: Path) -> None:
    weights = load_shards(folder)
    del weights["projector.fc1.bias"], weights["language_model.model.norm.weight"]
    weights["vision_backbone.featurizer.blocks.0.ls1.gamma"] = torch.ones(3)
    write_shards(folder, weights)


def lie_in_the_index(folder: Path) -> None:
    file = folder / "model-00001-of-00003.safetensors"
    weights = load_file(file)
    del weights[next(iter(weights))]
    save_file(weights, file)


def second_head(folder: Path) -> None:
    shutil.copy(
        folder / "action_head--150000_checkpoint.pt", folder / "action_head--latest_checkpoint.pt"
    )


def pickled_head(folder: Path) -> None:
    torch.save({"model.fc1.weight": Path("x")}, folder / "action_head--150000_checkpoint.pt")


def wider_language_model(folder: Path) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["text_config"]["hidden_size"] = 4096
    config["vision_backbone_id"] = "siglip-vit-so400m"
    write_json(file, config)


def cut_shard(folder: Path) -> None:
    file = folder / "model-00003-of-00003.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def letterbox(folder: Path) -> None:
    write_json(folder / "preprocessor_config.json", {"image_resize_strategy": "letterbox"})


def no_proprio_statistics(folder: Path) -> None:
    file = folder / "dataset_statistics.json"
    statistics = json.loads(file.read_text(encoding="utf-8"))
    del statistics["tiny_no_noops"]["proprio"]
    write_json(file, statistics)


@pytest.mark.parametrize(
    ("spoil", "texts"),
    [
        (drop_shard, ["model-00002-of-00003.safetensors"]),
        (
            drop_keys,
            [
                "3 problems",
                "missing: projector.fc1.bias",
                "missing: language_model.model.norm",
                "extra: vision_backbone.featurizer.blocks.0.ls1.gamma",
            ],
        ),
        (lie_in_the_index, ["disagrees on its keys"]),
        (second_head, ["exactly one", "150000", "latest"]),
        (lambda f: (f / "action_head--150000_checkpoint.pt").unlink(), ["action_head", "none"]),
        (pickled_head, ["action_head--150000_checkpoint.pt", "plain tensors"]),
        (wider_language_model, ["hidden_size: got 4096, needs 32", "vision_backbone_id"]),
        (cut_shard, ["model-00003-of-00003.safetensors", "cut short"]),
        (letterbox, ["letterbox", "resize-naive"]),
        (no_proprio_statistics, ["lack proprio"]),
        (lambda f: (f / "tokenizer.json").unlink(), ["no tokenizer"]),
        (lambda f: write_tokenizer(f / "tokenizer.json", 300), ["300 tokens", "64 to 319"]),
        (lambda f: write_tokenizer(f / "tokenizer.json", 320, bos=False), ["not a Llama"]),
        (lambda f: (f / "preprocessor_config.json").unlink(), ["preprocessor_config.json"]),
    ],
)
def test_a_bad_folder_is_explained(
    folder: Path, spoil: Callable[[Path], object], texts: list[str]
) -> None:
    spoil(folder)
    with pytest.raises(UsageError) as caught:
        load(folder)
    for text in texts:
        assert text in str(caught.value)


def test_a_wrong_statistics_key_names_the_nearest(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tiny_no_noops'"):
        load(folder, statistics_key="tiny_noops")


def test_the_fingerprint_sees_every_weight(folder: Path) -> None:
    files = WeightSources(folder).files()
    assert len(files) == 5
    before = fingerprint(files)
    head = next(file for file in files if file.name.startswith("action_head"))
    head.write_bytes(head.read_bytes()[:-1] + b"x")
    assert fingerprint(files) != before


def test_load_model_frees_no_key_silently(folder: Path) -> None:
    """No parameter is left on the meta device."""
    model = load_model(MICRO_OFT, WeightSources(folder), torch.float32, "cpu")
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))


# The hub


def test_a_hub_id_is_found_in_the_cache_without_network(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "hub" / "models--someone--openvla-oft-tiny"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("abc123")
    shutil.copytree(folder, cache / "snapshots" / "abc123")
    code = (
        "from sfbench_policies.common.places import locate\n"
        "print(locate('someone/openvla-oft-tiny', ['*.json']))"
    )
    env = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(cache / "snapshots" / "abc123")


def test_what_is_nowhere_is_explained(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such folder"):
        locate(str(tmp_path / "nothing" / "at" / "all"), FILES)
