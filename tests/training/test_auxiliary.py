"""The seam for losses that are no policy's own."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sfbench.errors import UsageError
from sfbench.training.auxiliary import Weighted
from sfbench.training.run import train
from sfbench.training.settings import LoraConfig, OptimiserConfig
from sfbench.training.trainable import Trainable, TrainingBatch
from tests.training.runs import losses, numbers, request


class Projection(nn.Module):
    """Pulls the visual tokens of a layer somewhere, and draws a lot of random numbers."""

    extras = ()

    def __init__(self) -> None:
        super().__init__()
        self.caught: list[Tensor] = []
        self.dropout = nn.Dropout(0.5)

    def attach(self, trainable: Trainable) -> None:
        self._positions = trainable.tap.positions
        generator = torch.Generator().manual_seed(5)
        weight = torch.randn(trainable.tap.width, 7, generator=generator)
        self.weight = nn.Parameter(weight)

        def catch(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor]) -> None:
            self.caught = [output[0] if isinstance(output, tuple) else output]

        trainable.tap.layers[1].register_forward_hook(catch)

    def loss(self, batch: TrainingBatch, generator: torch.Generator) -> Mapping[str, Tensor]:
        (hidden,) = self.caught
        tokens = torch.cat([hidden[:, place] for place in self._positions], dim=1)
        assert len(tokens) == len(batch)
        projected = self.dropout(tokens) @ self.weight  # Draws from the global stream.
        noise = torch.randn(projected.shape, generator=generator)
        return {"pull": (projected - 30 * noise).square().mean()}


def weighted(weight: float) -> list[Weighted]:
    return [Weighted("align", Projection(), weight)]


def lora() -> LoraConfig:
    return LoraConfig(rank=2, dropout=0.3)


@pytest.mark.parametrize("policy", ["openvla_oft_micro", "pi0_micro"])
def test_weight_0_is_the_baseline(dataset: Path, tmp_path: Path, policy: str) -> None:
    """With dropout, clipping that bites, several passes a step, augmentation and noise."""
    common = {
        "lora": lora(),
        "micro_batch": 2,
        "optimiser": OptimiserConfig(lr=1e-2, clip_norm=0.05),
        "log_every": 2,
    }
    outs = {name: tmp_path / name for name in ("baseline", "zero", "half")}
    train(request(dataset, outs["baseline"], policy, **common))
    train(request(dataset, outs["zero"], policy, **common), weighted(0.0))
    train(request(dataset, outs["half"], policy, **common), weighted(0.5))
    weights = {
        name: (out / "checkpoints/6/model.safetensors").read_bytes() for name, out in outs.items()
    }
    assert weights["zero"] == weights["baseline"]
    assert weights["half"] != weights["baseline"], "a weight above 0 does change the policy"
    plain, zero = numbers(outs["baseline"]), numbers(outs["zero"])
    assert [line["loss"] for line in plain] == [line["loss"] for line in zero]
    assert all(line["grad_norms"]["policy"] > 0.05 for line in plain), "clipping bites"
    assert all(line["losses"]["align/pull"] > 0 for line in zero), "it is measured all the same"
    assert "align" not in zero[0]["grad_norms"]


def test_what_it_learns_is_saved_apart(dataset: Path, tmp_path: Path) -> None:
    out, auxiliary = tmp_path / "run", weighted(0.5)
    train(request(dataset, out), auxiliary)
    checkpoint = out / "checkpoints" / "6"
    saved = load_file(checkpoint / "auxiliary" / "align.safetensors")
    module = auxiliary[0].loss
    assert isinstance(module, Projection)
    assert torch.equal(saved["weight"], module.weight.detach())
    untrained = torch.randn(module.weight.shape, generator=torch.Generator().manual_seed(5))
    assert not torch.equal(saved["weight"], untrained)
    assert not any("align" in key for key in load_file(checkpoint / "model.safetensors"))


def test_it_is_resumed_exactly(dataset: Path, tmp_path: Path) -> None:
    train(request(dataset, tmp_path / "cut", steps=3), weighted(0.5))
    train(request(dataset, tmp_path / "cut"), weighted(0.5))
    train(request(dataset, tmp_path / "whole"), weighted(0.5))
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")
    with pytest.raises(UsageError, match=r"auxiliaries.align.weight: 0.5 -> 0.1"):
        train(request(dataset, tmp_path / "cut", steps=9), weighted(0.1))


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(UsageError, match="allowed 0 or more"):
        weighted(-1.0)


def test_gradients_of_both_reach_the_policy(dataset: Path, tmp_path: Path) -> None:
    """The first step's losses are equal, whatever the weight; later ones are not."""
    for weight in (0.1, 1.0):
        train(request(dataset, tmp_path / str(weight)), weighted(weight))
    few, many = (numbers(tmp_path / name) for name in ("0.1", "1.0"))
    assert few[0]["losses"] == many[0]["losses"]
    assert few[-1]["losses"]["align/pull"] != many[-1]["losses"]["align/pull"]
    assert losses(tmp_path / "0.1")[0] < losses(tmp_path / "1.0")[0]
