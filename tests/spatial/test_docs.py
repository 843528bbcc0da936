"""The page's example: alignment of a policy that knows nothing of it."""

import re
from pathlib import Path

import torch
from sfbench_policies.openvla_oft.model import OpenVla
from sfbench_policies.openvla_oft.presets import OPENVLA_OFT_7B
from sfbench_policies.pi0.model import Pi0
from sfbench_policies.pi0.presets import PI0
from torch import nn

from sfbench.cli.main import run
from sfbench.spatial.tap import FeatureTap

PAGE = Path(__file__).parents[2] / "docs" / "spatial_forcing.md"
MOST_LINES = 30


class StandIn(nn.Module):
    """A class token, 2 x 16 patches of two views, four blocks, two action numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 64, 8, stride=8)
        self.first = nn.Parameter(torch.zeros(1, 1, 64))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(64, 4, 64, dropout=0.1, batch_first=True) for _ in range(4)
        )
        self.head = nn.Linear(64, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        grids = self.embed(images.flatten(0, 1)).flatten(2).transpose(1, 2)
        tokens = grids.reshape(len(images), 32, 64)
        hidden = torch.cat([self.first.expand(len(images), -1, -1), tokens], dim=1)
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(hidden[:, 0])


def test_the_pages_example_aligns_a_stand_in_policy() -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(code.splitlines()) <= MOST_LINES
    torch.manual_seed(0)
    images = torch.rand(6, 2, 3, 32, 32)
    present = torch.ones(6, 2, dtype=torch.bool)
    present[0, 1] = False
    policy, aligned = StandIn(), []
    names = {
        "policy": policy,
        "torch": torch,
        "batches": [(images, torch.rand(6, 2), present)] * 25,
    }
    exec(
        code.replace("total.backward()", "total.backward(); log((total - loss).item())"),
        names | {"log": aligned.append},
    )
    assert len(aligned) == 25
    assert aligned[-1] < 0.95 * aligned[0]
    assert policy.blocks[0].linear1.weight.grad.abs().sum() > 0


def test_the_layers_that_the_page_names_exist() -> None:
    named = re.findall(r'`FeatureTap\(model,\s+"(.*?)"\)', PAGE.read_text())
    assert len(named) == 2
    with torch.device("meta"):
        for model, layer in ((OpenVla(OPENVLA_OFT_7B), named[0]), (Pi0(PI0), named[1])):
            tap = FeatureTap(model, layer)
            layers = model.language.layers if isinstance(model, OpenVla) else model.language_layers
            assert (
                model.get_submodule(tap.layer) is layers[23 if isinstance(model, OpenVla) else 11]
            )
    sides = {model.image_px // patch for model, patch in ((OPENVLA_OFT_7B, 14), (PI0, 14))}
    assert sides == {16}


def test_the_pages_probe_tables_are_what_the_rows_say() -> None:
    rows = PAGE.parents[1] / "results" / "reference" / "depth_probe"
    folders = [str(file.parent) for file in sorted(rows.glob("*/probe.jsonl"))]
    assert len(folders) == 7
    assert run(["report", *folders, f"check={PAGE}"]) == 0
