"""The shipped small VGGT: it loads, is what its card says, and knows depth."""

import hashlib
import json
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sfbench.contracts import Split
from sfbench.registry import SuiteRecipe, TeacherRecipe, find_suite, find_teacher
from sfbench.spatial.pretraining.rendering import RenderRequest, render
from sfbench.spatial.pretraining.results import DepthRow, Results, predict, table
from sfbench.spatial.pretraining.scenes import Scenes
from sfbench.spatial.teachers import vggt
from sfbench.spatial.teachers.contract import Scene
from sfbench.spatial.vggt.loading import load_vggt

WEIGHTS = Path(vggt.__file__).parents[1] / "weights" / "vggt_mini"
REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "vggt_mini"
HELD_OUT = ("click_bell", "lift_pot")


def words(path: Path) -> str:
    """Its text in one line."""
    return " ".join(path.read_text(encoding="utf-8").split())


def stored() -> Results:
    """The committed rows."""
    scores = json.loads((REFERENCE / "scores.json").read_text(encoding="utf-8"))
    frame = pd.read_parquet(REFERENCE / "held_out.parquet")
    rows = [DepthRow(**row) for row in frame.to_dict("records")]  # type: ignore[misc]
    return Results(rows, scores["constant_m"], max(row.views for row in rows))


def test_it_is_the_default_and_needs_no_download() -> None:
    teacher = TeacherRecipe("vggt_mini", find_teacher("vggt_mini").config_class()()).build()
    images = torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = teacher.features(Scene(images))
    assert found.tokens_BVPD.shape == (2, 3, 64, teacher.width)
    assert bool(torch.isfinite(found.tokens_BVPD).all())
    assert (found.rows, found.columns) == (8, 8)


def test_weights_are_those_of_the_card() -> None:
    file = WEIGHTS / "model.safetensors"
    assert hashlib.sha256(file.read_bytes()).hexdigest() in words(WEIGHTS / "README.md")
    assert file.stat().st_size < 10e6
    recipe = json.loads((WEIGHTS / "teacher.json").read_text(encoding="utf-8"))
    for name in recipe["held_out"]:
        assert f"`{name}`" in words(WEIGHTS / "README.md")


def test_weights_are_installed_with_the_package() -> None:
    """They are no modules, so they have to lie in a package, and to be named in pyproject.toml."""
    root = Path(__file__).parents[2]
    assert (WEIGHTS / "__init__.py").is_file()
    assert (WEIGHTS.parent / "__init__.py").is_file()
    data = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    copied = data["tool"]["setuptools"]["package-data"]["*"]
    assert {"*.safetensors", "*.json"} <= set(copied)


def test_figures_follow_from_the_rows() -> None:
    results = stored()
    assert results.holds()
    text = table(results)
    assert text + "\n" == (REFERENCE / "table.md").read_text(encoding="utf-8")
    pages = (
        words(WEIGHTS / "README.md"),
        words(Path(__file__).parents[2] / "docs" / "spatial_forcing.md"),
    )
    for page in pages:
        assert "0.259 (95 % interval 0.244 to 0.275)" in page
        assert "difference -0.061, -0.078 to -0.045" in page
    for figure in ("0.259 (0.244 to 0.275)", "-0.061 (-0.078 to -0.045)"):
        assert figure in text


def test_it_knows_depth_in_tasks_that_it_never_saw() -> None:
    plugin = find_suite("robotwin_randomized")
    suite = SuiteRecipe("robotwin_randomized", plugin.config_class()()).build()
    request = RenderRequest(
        suite=suite, tasks=HELD_OUT, split=Split.EVAL, count=5, views=4, image_px=64, seed=7
    )
    found = render(request, lambda _: None)
    scenes = Scenes(
        images=np.stack([one.images for one in found]),
        depth_m=np.stack([one.depth_m for one in found]),
        to_world=np.stack([one.to_world for one in found]),
        focal_px=np.array([one.focal_px for one in found]),
        names=tuple(one.name for one in found),
    )
    model = load_vggt(WEIGHTS, torch.float32, "cpu")
    constant_m = stored().constant_m
    mine, flat = [], []
    for index in range(len(scenes)):
        true = torch.from_numpy(scenes.depth_m[index])
        known = torch.isfinite(true)
        guess = predict(model, scenes, index, 4)
        mine.append(float(((guess - true).abs() / true)[known].mean()))
        flat.append(float(((constant_m - true).abs() / true)[known].mean()))
    assert np.mean(mine) < 0.8 * np.mean(flat)
    assert np.mean(mine) == pytest.approx(0.259, abs=0.12)
