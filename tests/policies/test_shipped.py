"""Policies that are installed with the package: they load, act, and are what their cards say."""

import hashlib
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sfbench_policies.common.places import locate, shipped
from sfbench_policies.openvla_oft.bundle import load_bundle
from sfbench_policies.weights import __main__ as exporting

from sfbench.cli.main import run
from sfbench.errors import UnknownNameError
from sfbench.rollout.journal import read_journal

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


def test_a_copy_in_half_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_HERE", tmp_path)
    assert exporting.main(["only one word"]) == 2
    source = locate("shipped:baseline", ())
    assert exporting.main([str(source), "mine"]) == 0
    found = load_bundle(tmp_path / "mine", torch.float32, "cpu")
    assert found.training["arm"] == "mine"
    assert found.trained_states == load_bundle(source, torch.float32, "cpu").trained_states
    ours, theirs = (load_file(one / "model.safetensors") for one in (tmp_path / "mine", source))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", shipped())
def test_it_solves_what_it_was_trained_for(name: str, tmp_path: Path) -> None:
    """Its card says how often; here most of five states of the easiest task."""
    out = tmp_path / "run"
    arguments = [
        *("eval", "suite=robotwin", "suite.action_space=ee", "suite.camera_width=64"),
        *("suite.camera_height=64", "policy=openvla_oft_micro", f"checkpoint=shipped:{name}"),
        *("tasks=[adjust_bottle]", "episodes=5", "workers=0", "video=none", f"out={out}"),
    ]
    assert run(arguments) == 0
    (journal,) = out.glob("episodes/*.jsonl")
    rows = read_journal(journal).rows
    assert {(row.arm, row.train_step) for row in rows} == {(name, 8000)}
    assert sum(row.status.value == "success" for row in rows) >= 3
