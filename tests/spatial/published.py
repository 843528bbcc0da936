"""The tiny networks under the published names, for the project's side of the comparison."""

from pathlib import Path

import numpy as np
import torch

from sfbench.spatial.vggt.config import DenseHeadConfig, VggtConfig
from sfbench.spatial.vggt.model import Vggt
from tests.spatial import tiny

FIXTURES = Path(__file__).parent / "fixtures"


def fixture(name: str) -> dict[str, np.ndarray]:
    """A stored file's arrays."""
    with np.load(FIXTURES / name) as data:
        return dict(data)


def tiny_config(case: str) -> VggtConfig:
    """One of the compared configurations."""
    sizes = dict(tiny.CASES[case])
    sizes.pop("images")
    dense = DenseHeadConfig(
        **{name: sizes.pop(name) for name in ("layers", "channels", "features")}
    )
    return VggtConfig(patch_px=tiny.PATCH_PX, dense=dense, **sizes)


def tiny_vggt(case: str) -> Vggt:
    """A tiny network with the shared weights."""
    model = Vggt(tiny_config(case))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = torch.from_numpy(tiny.weight(name, tuple(parameter.shape)))
            parameter.copy_(value)
    return model.eval()


def error(got: torch.Tensor, want: np.ndarray) -> float:
    """Largest difference, relative to the largest wanted value."""
    found = got.detach().double().numpy()
    assert found.shape == want.shape
    return float(np.abs(found - want).max() / np.abs(want).max())
