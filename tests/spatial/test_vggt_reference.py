"""VGGT and the alignment against what the reference's own code computed (see make_fixtures.py)."""

import json
import math

import numpy as np
import pytest
import torch

from sfbench.spatial.grids import position_embedding, resample
from sfbench.spatial.loss import cosine_loss
from sfbench.spatial.projector import Projector
from sfbench.spatial.settings import Resampling
from sfbench.spatial.vggt.config import VGGT_1B
from sfbench.spatial.vggt.model import Vggt
from tests.spatial import tiny
from tests.spatial.published import FIXTURES, error, fixture, tiny_vggt

TOLERANCE = 1e-5
"""Ten times inside what was asked for."""


@pytest.fixture(scope="module", params=tiny.CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, Vggt, dict[str, np.ndarray]]:
    return request.param, tiny_vggt(request.param), fixture(f"reference_vggt_{request.param}.npz")


@torch.no_grad()
def test_every_layer_of_the_aggregator(case: tuple[str, Vggt, dict[str, np.ndarray]]) -> None:
    name, model, wanted = case
    layers = model.aggregator(torch.from_numpy(tiny.images(name)))
    assert len(layers) == tiny.CASES[name]["depth"]
    for index, layer in layers.items():
        assert error(layer, wanted[f"{name}_layer_{index}"]) <= TOLERANCE, index


@torch.no_grad()
def test_depth_points_and_cameras(case: tuple[str, Vggt, dict[str, np.ndarray]]) -> None:
    name, model, wanted = case
    images = torch.from_numpy(tiny.images(name))
    found = model(images)
    assert error(found.depth_BSHW[..., None], wanted[f"{name}_depth"]) <= TOLERANCE
    assert error(found.depth_confidence_BSHW, wanted[f"{name}_depth_confidence"]) <= TOLERANCE
    assert error(found.points_BSHW3, wanted[f"{name}_point"]) <= TOLERANCE
    assert error(found.points_confidence_BSHW, wanted[f"{name}_point_confidence"]) <= TOLERANCE
    assert error(found.poses_BS9, wanted[f"{name}_poses"][-1]) <= TOLERANCE
    layers = model.aggregator(images, {model.config.depth - 1})
    rounds = torch.stack(model.camera_head(layers[model.config.depth - 1]))
    assert error(rounds, wanted[f"{name}_poses"]) <= TOLERANCE


def test_keys_and_shapes_at_the_published_size() -> None:
    with torch.device("meta"):
        model = Vggt(VGGT_1B)
    own = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    document = json.loads((FIXTURES / "reference_keys_vggt_1b.json").read_text())
    tracking = [key for key in document["keys"] if key.startswith("track_head.")]
    assert tracking
    wanted = {key: shape for key, shape in document["keys"].items() if key not in tracking}
    assert own == wanted
    assert sum(math.prod(shape) for shape in own.values()) > 1e9


def test_features_on_the_policys_grid() -> None:
    wanted, sizes = fixture("reference_alignment.npz"), tiny.POOLING
    rows, columns = sizes["patches"]
    grids = torch.from_numpy(tiny.draw("hidden", sizes["hidden"])).unflatten(2, (rows, columns))
    places = 0.1 * position_embedding(rows, columns, grids.shape[-1])
    for use in (True, False):
        grid = grids + places if use else grids
        pooled = resample(grid.flatten(0, 1), *sizes["grid"], Resampling.BILINEAR)
        pooled = pooled.flatten(1, 2).unflatten(0, (2, 2)).flatten(1, 2)
        assert error(pooled, wanted[f"pooled_{use}"]) <= TOLERANCE
    assert not np.allclose(wanted["pooled_True"], wanted["pooled_False"], atol=0.01)


@torch.no_grad()
def test_projector_and_loss() -> None:
    wanted, sizes = fixture("reference_alignment.npz"), tiny.LOSS
    projector = Projector(sizes["policy_width"], sizes["teacher_width"], norm=True, seed=0)
    for name, parameter in projector.named_parameters():
        published = f"projector.{name.replace('norm.', 'vlm_norm.')}"
        parameter.copy_(torch.from_numpy(tiny.weight(published, tuple(parameter.shape))))
    policy = torch.from_numpy(tiny.draw("policy", (*sizes["tokens"], sizes["policy_width"])))
    target = torch.from_numpy(tiny.draw("target", (*sizes["tokens"], sizes["teacher_width"])))
    projected = projector(policy)
    assert error(projected, wanted["projected"]) <= TOLERANCE
    assert error(cosine_loss(projected, target, None), wanted["loss"]) <= TOLERANCE
