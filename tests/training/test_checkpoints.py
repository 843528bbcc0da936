"""What is trained here is rolled out by the ordinary command, in a fresh process."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import load_file

from sfbench.cli.train import make_request
from sfbench.demos.dataset import open_dataset
from sfbench.training.adapters import merged
from sfbench.training.run import train
from sfbench.training.settings import LoraConfig
from tests.conftest import Cli
from tests.training.demos import IMAGE_PX
from tests.training.runs import request


def test_train_roll_out_and_load(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    """One run with a rollout at a step; then the moved folder, evaluated on states trained on."""
    out = tmp_path / "run"
    suite = ("suite=toy", f"suite.image_px={IMAGE_PX}")
    trained = make_request(
        [
            *("policy=pi0_micro", f"dataset={dataset}", f"out={out}", "device=cpu", *suite),
            *("recipe=mini_cpu", "steps=4", "loader_workers=0", "subset=4", "seed=7", "arm=mine"),
            *("rollout.steps=[2]", "rollout.episodes=1", "rollout.tasks=[reach]"),
            *("rollout.workers=0", "optimiser.warmup_steps=0", "ema_decay=0.5"),
        ]
    )
    assert trained.settings.optimiser.lr == 1e-3, "from the recipe"
    assert trained.settings.batch_size == 16
    train(trained)
    found = open_dataset(dataset)
    known = {
        "train_step": 2,
        "train_seed": 7,
        "demos": 4,
        "demos_share": 4 / 6,
        "dataset": found.hash,
        "arm": "mine",
    }
    (line,) = (out / "evals" / "2" / "episodes" / "0-of-1.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert {key: row[key] for key in known} == known
    assert row["split"] == "select"
    assert row["leak"] is False

    moved = tmp_path / "elsewhere"
    shutil.move(out / "checkpoints" / "4", moved)
    shutil.rmtree(out)
    chosen = found.subset("4").episodes
    done = cli(
        *("eval", "policy=pi0_micro", f"checkpoint={moved}", *suite, "split=train", "episodes=6"),
        *("tasks=[reach]", "workers=0", f"out={tmp_path / 'eval'}"),
    )
    assert done.returncode == 0, done.stderr
    rows = [
        json.loads(one)
        for one in (tmp_path / "eval" / "episodes" / "0-of-1.jsonl").read_text().splitlines()
    ]
    known |= {"train_step": 4, "recipe": row["recipe"]}
    assert all({key: one[key] for key in known} == known for one in rows)
    assert {one["init_state"] for one in rows if one["leak"]} == set(chosen)

    recipe = yaml.safe_load((moved / "recipe.yaml").read_text())
    assert recipe["dataset"]["hash"] == found.hash
    assert recipe["dataset"]["episodes"] == list(chosen)
    assert recipe["dataset"]["subset_hash"] == found.subset("4").hash
    assert recipe["seeds"] == {"train": 7}
    assert recipe["trained_states"] == sorted(f"toy/reach/train/{index}" for index in chosen)
    assert recipe["settings"]["optimiser"]["lr"] == 1e-3


def test_lora_trains_adapters_and_heads_only(dataset: Path, tmp_path: Path) -> None:
    """And the checkpoint holds plain merged weights."""
    config = LoraConfig(rank=4, alpha=8)
    for steps in (1, 5):
        out = tmp_path / str(steps)
        train(request(dataset, out, steps=steps, lora=config, log_every=1))
    first, last = (
        load_file(tmp_path / str(steps) / "checkpoints" / str(steps) / "model.safetensors")
        for steps in (1, 5)
    )
    state = load_file(tmp_path / "5/checkpoints/5/training_state/weights.safetensors")
    kinds = {name.split(".lora_")[0] for name in state if ".lora_" in name}
    whole = {name for name in state if ".lora_" not in name}
    assert len(kinds) > 30
    assert whole
    assert all(name.startswith(("policy.action_head.", "policy.state_proj")) for name in whole)
    assert not any("lora" in key for key in last)
    changed = {key for key in last if not torch.equal(first[key], last[key])}
    name = "language_model.model.layers.0.mlp.up_proj.weight"
    assert name in changed
    assert "language_model.model.embed_tokens.weight" not in changed
    change = last[name] - first[name]
    assert np.linalg.matrix_rank(change.numpy(), tol=1e-5) <= 2 * config.rank


def test_merging_by_hand() -> None:
    """W + alpha / r * B A, in the weight's own dtype; biases and plain weights pass."""
    generator = torch.Generator().manual_seed(0)
    weight, down, up = (torch.randn(size, generator=generator) for size in ((5, 3), (2, 3), (5, 2)))
    state = {
        "a.base_layer.weight": weight.bfloat16(),
        "a.base_layer.bias": torch.ones(5),
        "a.lora_A.default.weight": down,
        "a.lora_B.default.weight": up,
        "b.weight": torch.ones(2),
    }
    found = merged(state, LoraConfig(rank=2, alpha=6))
    assert found.keys() == {"a.weight", "a.bias", "b.weight"}
    expected = (weight.bfloat16().float() + 3 * up @ down).bfloat16()
    assert torch.equal(found["a.weight"], expected)


def test_the_recipe_of_the_paper(tmp_path: Path) -> None:
    """8 GPUs, 8 samples each; typed keys overrule it."""
    made = make_request(["policy=openvla_oft_7b_sf", "recipe=libero_10", "seed=3"])
    settings = made.settings
    assert (settings.steps, settings.batch_size, settings.micro_batch) == (150005, 64, 8)
    assert (settings.optimiser.lr, settings.optimiser.decay_at) == (5e-4, [100000])
    assert (settings.lora.rank, settings.augment.crop_area, settings.seed) == (32, 0.9, 3)
    assert made.dataset == Path("results/datasets/libero_10")
    assert made.start == "openvla/openvla-7b"
