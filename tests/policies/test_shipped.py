"""Policies that are installed with the package: they load, act, and are what their cards say."""

import hashlib
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sfbench_policies.common.places import locate, shipped
from sfbench_policies.openvla_oft.bundle import load_bundle

from sfbench.errors import UnknownNameError

ROOT = Path(__file__).parents[2]
LARGEST_BYTES = 10e6
ALL_BYTES = 40e6


def words(path: Path) -> str:
    """Its text in one line."""
    return " ".join(path.read_text(encoding="utf-8").split())


def test_there_are_a_baseline_and_one_with_spatial_forcing() -> None:
    assert shipped() == ["baseline", "sf_vggt_mini"]
    sizes = [file.stat().st_size for file in (ROOT / "policies" / "weights").rglob("*.safetensors")]
    assert max(sizes) <= LARGEST_BYTES
    assert sum(sizes) <= ALL_BYTES


@pytest.mark.parametrize("name", shipped())
def test_weights_are_those_of_the_card(name: str) -> None:
    folder = locate(f"shipped:{name}", ())
    file = folder / "model.safetensors"
    assert hashlib.sha256(file.read_bytes()).hexdigest() in words(folder / "README.md")
    assert {tensor.dtype for tensor in load_file(file).values()} == {torch.float16}
    bundle = load_bundle(folder, torch.float32, "cpu")
    assert bundle.training["arm"] == name
    assert f"{bundle.training['train_step']:,} steps" in words(folder / "README.md")


def test_weights_are_installed_with_the_package() -> None:
    """They are no modules, so they have to lie in packages, and to be named in pyproject.toml."""
    for name in shipped():
        assert (ROOT / "policies" / "weights" / name / "__init__.py").is_file()
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    copied = data["tool"]["setuptools"]["package-data"]["*"]
    assert {"*.safetensors", "*.json", "*.yaml"} <= set(copied)


def test_a_name_that_is_not_shipped() -> None:
    with pytest.raises(UnknownNameError, match=r"'basline'. Did you mean 'baseline'\?"):
        locate("shipped:basline", ())
