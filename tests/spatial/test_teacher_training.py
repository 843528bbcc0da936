"""`sfbench train teacher`: scenes of a real suite, training, resume, scores, refusals."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from sfbench.cli.main import run
from sfbench.contracts import CameraMatrices, PosableEnv, Split
from sfbench.errors import UsageError
from sfbench.registry import SuiteRecipe, find_suite
from sfbench.spatial.pretraining.batches import draw_batch, make_batch
from sfbench.spatial.pretraining.losses import losses
from sfbench.spatial.pretraining.results import (
    CONSTANT,
    DepthRow,
    Results,
    best_constant,
    mean_interval,
)
from sfbench.spatial.pretraining.scenes import Scenes
from sfbench.spatial.pretraining.settings import SizesConfig, TeacherSettings
from sfbench.spatial.pretraining.training import TeacherTraining, new_model
from sfbench.spatial.teachers.config import VggtMiniTeacherConfig
from sfbench.spatial.teachers.contract import Scene, checked_features
from sfbench.spatial.teachers.vggt import make_vggt_mini
from sfbench.spatial.vggt.loading import load_vggt
from sfbench.training.metrics import read_metrics
from sfbench.training.reporting import Silent

TINY: Mapping[str, object] = {
    "suite": "robotwin",
    "tasks": "[lift_pot,click_bell]",
    "held_out": "[click_bell]",
    "scenes": 4,
    "test_scenes": 2,
    "views": 2,
    "image_px": 32,
    "steps": 6,
    "batch_size": 4,
    "resume_every": 4,
    "model.width": 32,
    "model.heads": 2,
    "model.features": 8,
    "device": "cpu",
}


def train(out: Path, **changed: object) -> int:
    keys = {**TINY, "out": out, **{key.replace("__", "."): one for key, one in changed.items()}}
    return run(["train", "teacher", *(f"{key}={value}" for key, value in keys.items())])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "mini"
    assert train(out) == 0
    return out


def tiny_settings(**changed: int) -> TeacherSettings:
    model = SizesConfig(width=32, heads=2, features=8)
    values = {"image_px": 32, "views": 3, "batch_size": 6, "steps": 4, "resume_every": 2}
    return TeacherSettings(model=model, **{**values, **changed})  # type: ignore[arg-type]


def drawn_scenes(count: int = 5, views: int = 3, px: int = 32) -> Scenes:
    """Random pictures and depths; each view a step to the right of the one before."""
    random = np.random.default_rng(0)
    to_world = np.tile(np.eye(4), (count, views, 1, 1))
    to_world[:, :, 0, 3] = 0.1 * np.arange(views)
    depth = random.uniform(0.5, 2, (count, views, px, px)).astype(np.float32)
    depth[:, :, 0, 0] = np.inf
    return Scenes(
        images=random.integers(0, 256, (count, views, px, px, 3), np.uint8),
        depth_m=depth,
        to_world=to_world,
        focal_px=random.uniform(20, 60, count),
        names=tuple(f"drawn-{index}" for index in range(count)),
    )


def test_what_the_command_leaves(trained: Path) -> None:
    weights = load_file(trained / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    for folder in (trained, trained / "single_view"):
        found = read_metrics(folder)
        assert [line["step"] for line in found] == [1, 2, 3, 4, 5, 6]
        assert found[-1]["losses"].keys() == {"depth", "points", "camera"}
    other = load_file(trained / "single_view" / "model.safetensors")
    assert not torch.equal(weights["depth_head.norm.weight"], other["depth_head.norm.weight"])
    recipe = json.loads((trained / "teacher.json").read_text())
    assert (recipe["tasks"], recipe["held_out"]) == (["lift_pot"], ["click_bell"])
    rows = [json.loads(line) for line in (trained / "results/held_out.jsonl").open()]
    kinds = {(row["test"], row["model"], row["views"], row["alignment"]) for row in rows}
    # Two test sets and alignments; a constant, the teacher with 1 and 2 views, the control with 1.
    assert len(kinds) == 2 * 2 * 4
    assert len(rows) == 2 * len(kinds)
    assert all(np.isfinite(row["absrel"]) and row["absrel"] > 0 for row in rows)
    for name in ("scenes", "absrel"):
        picture = np.asarray(Image.open(trained / f"results/{name}.png").convert("RGB"))
        assert picture.std() > 10
    assert "single_view" in (trained / "results/table.md").read_text()


def test_the_teacher_reads_it(trained: Path) -> None:
    teacher = make_vggt_mini(VggtMiniTeacherConfig(checkpoint=str(trained)))
    images = torch.rand(1, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = checked_features(teacher, Scene(images))
    assert (found.rows, found.columns, teacher.width) == (4, 4, 64)
    # What is saved is the last checkpoint, rounded to half precision.
    state = load_file(trained / "checkpoints/6/training_state/weights.safetensors")
    model = new_model(tiny_settings(views=2)).eval()
    model.load_state_dict({name: value.half().float() for name, value in state.items()})
    with torch.no_grad():
        wanted = model(images)
        saved = load_vggt(trained, torch.float32, "cpu")(images)
    assert torch.equal(saved.depth_BSHW, wanted.depth_BSHW)
    assert torch.equal(saved.poses_BS9, wanted.poses_BS9)


def test_the_same_again_changes_nothing(trained: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(trained, again)
    assert train(again) == 0
    for name in ("model.safetensors", "results/held_out.jsonl", "metrics.jsonl"):
        assert (again / name).read_bytes() == (trained / name).read_bytes()


class StopAt(Silent):
    """Ctrl-C after some step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step(self, step: int, loss: float) -> None:
        if step == self._step:
            raise KeyboardInterrupt


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    scenes, settings = drawn_scenes(), tiny_settings()
    device = torch.device("cpu")
    whole = TeacherTraining(settings, scenes, tmp_path / "whole", device, alone=False)
    whole.run({"seed": 0}, Silent())
    with pytest.raises(KeyboardInterrupt):
        TeacherTraining(settings, scenes, tmp_path / "cut", device, alone=False).run(
            {"seed": 0}, StopAt(3)
        )
    resumed = TeacherTraining(settings, scenes, tmp_path / "cut", device, alone=False)
    resumed.run({"seed": 0}, Silent())
    for one, two in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, two)
    first, second = (
        [line["losses"] for line in read_metrics(tmp_path / name)] for name in ("whole", "cut")
    )
    assert first == second
    with pytest.raises(UsageError, match="trained with another config"):
        TeacherTraining(settings, scenes, tmp_path / "cut", device, alone=False).run(
            {"seed": 1}, Silent()
        )


def test_the_control_sees_the_same_pictures_one_at_a_time() -> None:
    scenes = drawn_scenes()
    for step in range(4):
        together, alone = (draw_batch(scenes, 6, 0, step, one) for one in (False, True))
        assert alone.images_BSCHW.shape[1] == 1
        assert together.images_BSCHW.shape[1] in (2, 3)
        assert torch.equal(together.images_BSCHW.flatten(0, 1), alone.images_BSCHW[:, 0])
        assert torch.equal(together.depth_BSHW.flatten(0, 1), alone.depth_BSHW[:, 0])
        assert torch.allclose(alone.poses_BS9[:, 0, :7], torch.eye(7)[6])


def test_geometry_is_that_of_the_first_view() -> None:
    scenes = drawn_scenes()
    batch = make_batch(scenes, [2], [[1, 0]], alone=False)
    # The second picture was taken 0.1 m to the left of the first one.
    assert torch.allclose(batch.poses_BS9[0, 1, :3], torch.tensor([0.1, 0, 0]))
    focal, z = scenes.focal_px[2], float(scenes.depth_m[2, 0, 7, 20])
    point = [(20.5 - 16) / focal * z - 0.1, (7.5 - 16) / focal * z, z]
    assert batch.points_BSHW3[0, 1, 7, 20].tolist() == pytest.approx(point, rel=1e-5)
    assert batch.poses_BS9[0, 0, 7:].tolist() == pytest.approx([2 * np.arctan(16 / focal)] * 2)
    assert not torch.isfinite(batch.points_BSHW3[0, 0, 0, 0]).any()


def test_losses_are_least_for_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch(drawn_scenes(), [0, 1], [[0, 1], [1, 2]], alone=False)
    model = new_model(tiny_settings())
    sure = torch.full_like(batch.depth_BSHW, 2.0)

    def told(shift: float) -> dict[str, float]:
        depth, points = batch.depth_BSHW + shift, batch.points_BSHW3 + shift
        monkeypatch.setattr(model.depth_head, "forward", lambda *_: (depth[..., None], sure))
        monkeypatch.setattr(model.point_head, "forward", lambda *_: (points, sure))
        monkeypatch.setattr(model.camera_head, "forward", lambda _: [batch.poses_BS9 + shift])
        return {name: float(one) for name, one in losses(model, batch, torch.float32).items()}

    best, off = told(0.0), told(0.1)
    least = -0.2 * np.log(2)
    assert best == pytest.approx({"depth": least, "points": least, "camera": 0.0}, abs=1e-6)
    assert off["points"] == pytest.approx(least + 2 * 0.1, abs=1e-5)
    assert off["camera"] == pytest.approx(0.1, abs=1e-5)
    assert off["depth"] > least + 0.05


def test_looking_from_a_cameras_own_place_shows_its_picture() -> None:
    plugin = find_suite("robotwin")
    suite = SuiteRecipe(plugin.name, plugin.config_class()()).build()
    env = suite.make_env("lift_pot", Split.TRAIN)
    try:
        assert isinstance(env, PosableEnv)
        env.reset(0, 0)
        names = ["head_camera", "left_camera"]
        before = env.observe(names).images, env.depth_m(names), env.camera_matrices(names)
        for name in names:
            image, depth = env.look_from(before[2][name], 128, 128)
            np.testing.assert_array_equal(depth, before[1][name])
            np.testing.assert_array_equal(image, before[0][name])
        after = env.observe(names).images, env.depth_m(names)
        for name in names:
            np.testing.assert_array_equal(after[0][name], before[0][name])
            np.testing.assert_array_equal(after[1][name], before[1][name])
        camera = before[2]["head_camera"]
        with pytest.raises(UsageError, match="allowed up to 320 x 240"):
            env.look_from(camera, 128, 999)
        with pytest.raises(UsageError, match="axis in the middle"):
            env.look_from(CameraMatrices(camera.intrinsics, camera.to_world), 64, 64)
    finally:
        env.close()


def results_of(mine: float, single: float, constant: float, spread: float) -> Results:
    random = np.random.default_rng(0)
    rows = [
        DepthRow("unseen tasks", str(scene), model, views, "metric", value, 0.1, 0.9)
        for scene in range(40)
        for model, views, value in (
            ("vggt_mini", 4, mine + spread * float(random.normal())),
            ("single_view", 1, single),
            (CONSTANT, 1, constant),
        )
    ]
    return Results(rows, 1.0, 4)


def test_better_means_better_than_both_beyond_doubt() -> None:
    assert results_of(0.10, 0.12, 0.3, 0.01).holds()
    assert not results_of(0.10, 0.12, 0.3, 0.2).holds()
    assert not results_of(0.10, 0.09, 0.3, 0.001).holds()
    assert not results_of(0.10, 0.12, 0.05, 0.001).holds()
    estimate = mean_interval(np.array([0.0, 1.0] * 50))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.5, 0.4, 0.6), abs=0.02)


def test_the_constant_is_the_best_one() -> None:
    scenes = drawn_scenes()
    depth = scenes.depth_m[np.isfinite(scenes.depth_m)]
    found = best_constant(scenes)
    errors = {one: float((np.abs(depth - one) / depth).mean()) for one in np.linspace(0.5, 2, 151)}
    assert found == pytest.approx(min(errors, key=lambda one: errors[one]), abs=0.01)


MISTAKES: dict[str, tuple[dict[str, object], str]] = {
    "misspelt suite": ({"suite": "robotwim"}, "Did you mean 'robotwin"),
    "suite without true depth": (
        {"suite": "toy", "tasks": "[]", "held_out": "[reach]"},
        "suite 'toy'",
    ),
    "misspelt task": ({"held_out": "[click_bel]"}, "Did you mean 'click_bell'?"),
    "nothing to train on": ({"tasks": "[click_bell]"}, "0 tasks to train on, 1 held out"),
    "one view": ({"views": 1}, "views=1: allowed 2 or more"),
    "small batch": ({"batch_size": 1}, "batch_size=1: allowed views=2 or more"),
    "too large": ({"model__width": 512, "max_mb": 1}, "allowed max_mb=1. Lower model.width"),
    "odd patches": ({"model__patch_px": 7}, "no multiple of patch_px=7"),
    "misspelt key": ({"model__widht": 5}, "model.width"),
    "no folder": ({"out": ""}, "out= is missing"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_before_anything_is_rendered(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed, message = MISTAKES[name]
    out = tmp_path / "out"
    assert train(**{"out": out, **changed}) == 2  # type: ignore[arg-type]
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_folders_of_something_else_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    assert train(copy, lr=0.5) == 2
    assert "trained with another config" in capsys.readouterr().err
    assert train(copy, views=3) == 2
    assert "holds other scenes" in capsys.readouterr().err
    (copy / "scenes/train/depth_m.npy").write_bytes(b"cut")
    assert train(copy) == 2
    assert "is damaged" in capsys.readouterr().err
    state = load_file(trained / "model.safetensors")
    del state["aggregator.camera_token"]
    save_file(state, copy / "model.safetensors")
    with pytest.raises(UsageError, match=r"missing: aggregator\.camera_token"):
        make_vggt_mini(VggtMiniTeacherConfig(checkpoint=str(copy)))
