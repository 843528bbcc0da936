"""`sfbench train align=sf` from the command line, and the recipes."""

from dataclasses import fields
from pathlib import Path

import pytest

from sfbench.cli.compose import recipe_names
from sfbench.cli.main import run
from sfbench.cli.train import _compose
from sfbench.demos.convert import save
from sfbench.registry import find_policy
from sfbench.training.metrics import read_metrics
from sfbench.training.optimisation import learning_rate
from sfbench.training.settings import TrainSettings, check_settings
from tests.spatial import toys


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("demos") / "toy"
    save(toys.dataset().source, made)
    return made


def train(folder: Path, out: Path, *extra: str) -> int:
    return run(
        [
            "train",
            "policy=openvla_oft_micro",
            f"dataset={folder}",
            f"out={out}",
            "steps=2",
            "batch_size=4",
            "device=cpu",
            *extra,
        ]
    )


def test_a_recipe_chooses_the_method_and_the_teacher(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SFBENCH_CACHE", str(tmp_path / "cache"))
    short = ("recipe=mini_sf", "loader_workers=0", "optimiser.warmup_steps=1")
    assert train(folder, tmp_path / "oracle", *short) == 0
    assert "feature cache " in capsys.readouterr().out
    assert read_metrics(tmp_path / "oracle")[-1]["losses"]["align/cosine"] > 0
    random = ("teacher=random", "teacher.width=24", "align.cache=none")
    assert train(folder, tmp_path / "random", *short, *random) == 0
    assert "feature cache " not in capsys.readouterr().out
    text = (tmp_path / "random/checkpoints/2/recipe.yaml").read_text()
    assert "teacher: random" in text
    assert "width: 24" in text


MISTAKES = {
    "misspelt teacher": (("align=sf", "teacher=vgt"), "Did you mean 'vggt'?"),
    "misspelt method": (("align=fs", "teacher=random"), "unknown alignment 'fs'"),
    "no method": (("teacher=random",), "add align=sf"),
    "no teacher": (("align=sf",), "add teacher=NAME"),
    "misspelt setting": (("align=sf", "teacher=random", "align.wieght=1"), "'align.weight'?"),
    "setting of another teacher": (
        ("align=sf", "teacher=random", "teacher.waves=4"),
        "teacher.side",
    ),
    "setting without method": (("align.weight=1",), "unknown key 'align.weight'"),
    "negative weight": (("align=sf", "teacher=random", "align.weight=-1"), "allowed 0 or more"),
    "no such layer": (("align=sf", "teacher=random", "align.layer=7"), "hidden states 1 to 4"),
    "no such cache": (("align=sf", "teacher=random", "align.cache=int4"), "float16, int8"),
    "no weights": (
        ("align=sf", "teacher=vggt_mini", "teacher.checkpoint=''"),
        "teacher.checkpoint=FOLDER",
    ),
    "no such folder": (
        ("align=sf", "teacher=dinov2", "teacher.checkpoint=./nowhere"),
        "'./nowhere' is no folder here",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_and_exit_2(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra, message = MISTAKES[name]
    assert train(folder, tmp_path / "run", *extra) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len([line for line in told.splitlines() if line.startswith("sfbench: ")]) == 1
    assert not [*tmp_path.rglob("model.safetensors")]


def test_the_published_recipes() -> None:
    package = find_policy("openvla_oft_7b").config_package
    assert package is not None
    names = [name for name in recipe_names([package]) if name.endswith("_sf")]
    assert names == ["libero_10_sf", "libero_goal_sf", "libero_object_sf", "libero_spatial_sf"]
    for name in names:
        composed = _compose(["policy=openvla_oft_7b", f"recipe={name}"])
        assert composed.chosen == {"policy": "openvla_oft_7b", "align": "sf", "teacher": "vggt"}
        own, align, teacher = composed.own, composed.own.align, composed.own.teacher
        assert (own.steps, own.batch_size, own.micro_batch) == (150005, 64, 8)
        assert (own.optimiser.lr, own.optimiser.decay_at, own.lora.rank) == (5e-4, [100000], 32)
        assert (align.weight, align.layer, align.shift, align.norm) == (0.5, "24", 1, True)
        assert (align.position_scale, align.resampling) == (0.1, "bilinear")
        assert (align.images, align.cache) == ("policy", "none")
        assert (teacher.checkpoint, teacher.layer, teacher.dtype) == (
            "facebook/VGGT-1B",
            -1,
            "bfloat16",
        )
        plain = _compose(["policy=openvla_oft_7b", f"recipe={name.removesuffix('_sf')}"])
        assert "align" not in plain.chosen
        assert plain.own.dataset == own.dataset


def test_the_recipe_of_pi0() -> None:
    """openpi's default optimiser; all weights, so rounded ones are trained in mixed precision."""
    composed = _compose(["policy=pi0", "recipe=pi0_sf", "dataset=x", "seed=3"])
    assert composed.chosen == {"policy": "pi0", "align": "sf", "teacher": "vggt"}
    own, align, optimiser = composed.own, composed.own.align, composed.own.optimiser
    assert (own.steps, own.batch_size, own.seed) == (20000, 16, 3)
    assert (own.precision, own.lora.rank, own.start) == ("bf16", 0, "lerobot/pi0_base")
    assert (align.weight, align.layer, align.images, align.norm) == (0.5, "12", "clean", True)
    assert (align.position_scale, align.resampling, align.shift) == (0.1, "bilinear", 0)
    assert (optimiser.kind, optimiser.beta1, optimiser.beta2) == ("adamw", 0.9, 0.95)
    assert (optimiser.weight_decay, optimiser.clip_norm) == (1e-10, 1.0)
    rates = [learning_rate(optimiser, step, own.steps) for step in (500, 1000, 15500, 20000, 30000)]
    assert rates == pytest.approx([1.25e-5, 2.5e-5, 1.375e-5, 8.480e-6, 2.5e-6], rel=1e-3)
    check_settings(
        TrainSettings(**{one.name: getattr(own, one.name) for one in fields(TrainSettings)})
    )
