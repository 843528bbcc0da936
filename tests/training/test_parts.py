"""Augmentation, learning rates, questions: against other ways to compute the same."""

import colorsys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sfbench.training.augmentation import Augmentation
from sfbench.training.learning import Learning
from sfbench.training.optimisation import learning_rate
from sfbench.training.processes import Processes
from sfbench.training.settings import (
    AugmentConfig,
    LoraConfig,
    OptimiserConfig,
    TrainSettings,
    fixed_settings,
    passes,
    recipe_settings,
)
from sfbench.training.setup import make_trainable, open_demonstrations
from sfbench.training.vlm.pictures import Picture
from sfbench.training.vlm.questions import ANSWERS, ask, cell_shares, colour_of, kind_of
from tests.training.runs import MUON, request


def images(count: int = 3, views: int = 2) -> torch.Tensor:
    return torch.rand((count, views, 3, 16, 20), generator=torch.Generator().manual_seed(1))


def test_a_sample_is_changed_alike_in_any_batch() -> None:
    augment = Augmentation(AugmentConfig(0.8, 0.2, 0.2, 0.2, 0.1))
    pixels = images()
    whole = augment(pixels, (11, 12, 13))
    assert torch.equal(augment(pixels[1:2], (12,)), whole[1:2])
    assert not torch.equal(augment(pixels[1:2], (99,)), whole[1:2])
    assert not torch.equal(whole[0, 0] - pixels[0, 0], whole[0, 1] - pixels[0, 1])
    assert whole.min() >= 0
    assert whole.max() <= 1


def test_nothing_to_change_changes_nothing() -> None:
    pixels = images()
    assert Augmentation(AugmentConfig())(pixels, (1, 2, 3)) is pixels


def test_crops_keep_their_share_and_stay_inside() -> None:
    """On an image whose values are its own coordinates."""
    rows, columns = torch.meshgrid(
        torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij"
    )
    pixels = torch.stack([rows, columns, rows])[None, None].expand(200, 1, 3, 64, 64)
    cropped = Augmentation(AugmentConfig(crop_area=0.9))(pixels, range(200))
    first, last = cropped[:, 0, :2, 0, 0], cropped[:, 0, :2, -1, -1]
    sides = last - first
    torch.testing.assert_close(sides, torch.full((200, 2), 0.9**0.5), atol=1e-4, rtol=0)
    assert first.min() >= -1e-6
    assert last.max() <= 1 + 1e-6
    room = 1 - 0.9**0.5
    assert first.amin() < 0.1 * room
    assert first.amax() > 0.9 * room
    torch.testing.assert_close(first.mean(), torch.tensor(room / 2), atol=0.005, rtol=0)


def test_hue_and_saturation_against_colorsys() -> None:
    """Drawn changes are inferred from one pixel and must explain all others."""
    pixels = images(1, 1)
    for config in (AugmentConfig(hue=0.3), AugmentConfig(saturation=0.5)):
        changed = Augmentation(config)(pixels, (5,))[0, 0].flatten(1).T.numpy()
        before = pixels[0, 0].flatten(1).T.numpy()
        one, two = (
            np.array([colorsys.rgb_to_hsv(*map(float, rgb)) for rgb in table])
            for table in (before, changed)
        )
        np.testing.assert_allclose(two[:, 2], one[:, 2], atol=1e-5)
        if config.hue:
            turns = (two[:, 0] - one[:, 0]) % 1
            turns = np.where(turns > 0.5, turns - 1, turns)
            clear = one[:, 1] > 0.05
            assert np.ptp(turns[clear]) < 1e-3
            assert 1e-3 < abs(np.median(turns)) <= 0.3
        else:
            factor = two[:, 1] / one[:, 1]
            free = two[:, 1] < 0.999
            assert np.ptp(factor[free]) < 1e-3
            assert 1e-3 < abs(np.median(factor[free]) - 1) <= 0.5


def test_learning_rates() -> None:
    steps = OptimiserConfig(lr=1.0, schedule="step", decay_at=[100])
    assert [learning_rate(steps, step, 200) for step in (1, 100)] == [1.0, 1.0]
    assert learning_rate(steps, 101, 200) == pytest.approx(0.1)
    cosine = OptimiserConfig(lr=1.0, schedule="cosine", warmup_steps=10)
    assert learning_rate(cosine, 5, 110) == 0.5
    assert learning_rate(cosine, 10, 110) == 1.0
    assert learning_rate(cosine, 60, 110) == pytest.approx(0.55)
    assert learning_rate(cosine, 110, 110) == pytest.approx(0.1)
    longer = replace(cosine, decay_at=[110])
    for steps in (40, 110, 500):
        assert learning_rate(longer, 5, steps) == 0.5
        assert learning_rate(longer, 35, steps) == learning_rate(cosine, 35, 110)
        assert learning_rate(longer, 300, steps) == pytest.approx(0.1)


def test_more_steps_are_no_other_training_where_the_rate_does_not_know_them() -> None:
    kinds = {
        True: OptimiserConfig(schedule="cosine"),
        False: OptimiserConfig(schedule="cosine", decay_at=[9]),
    }
    for known, optimiser in kinds.items():
        for described in (fixed_settings, recipe_settings):
            assert ("steps" in described(TrainSettings(optimiser=optimiser))) is known


@pytest.mark.parametrize("policy", ["openvla_oft_micro", "pi0_micro"])
def test_muon_has_the_matrices_between_embeddings_and_heads(dataset: Path, policy: str) -> None:
    asked = request(dataset, Path("nowhere"), policy, optimiser=MUON)
    trainable = make_trainable(asked, open_demonstrations(asked, None))
    made = Learning.build(trainable, (), asked.settings, Processes("cpu", "no", "ddp"))
    adamw, muon = ([id(one) for one in opt.param_groups[0]["params"]] for opt in made.optimisers)
    named = {id(one): (name, one) for name, one in made.trainable.module.named_parameters()}
    assert sorted([*adamw, *muon]) == sorted(id(one) for one in made.trained)
    assert all(named[one][1].ndim == 2 for one in muon)
    names = [named[one][0] for one in muon]
    assert any("self_attn.q_proj" in name for name in names)
    outer = (*made.trainable.full_modules, "embed", "norm", "lm_head")
    assert not [name for name in names if any(part in name for part in outer)]
    left = [named[one][0] for one in adamw if named[one][1].ndim == 2]
    assert not [name for name in left if ".mlp." in name]


@pytest.mark.parametrize("policy", ["openvla_oft_micro", "pi0_micro"])
def test_lora_leaves_what_is_trained_in_full_alone(dataset: Path, policy: str) -> None:
    asked = request(dataset, Path("nowhere"), policy, lora=LoraConfig(rank=2))
    trainable = make_trainable(asked, open_demonstrations(asked, None))
    Learning.build(trainable, (), asked.settings, Processes("cpu", "no", "ddp"))
    adapted = [name for name, _ in trainable.module.named_parameters() if ".lora_" in name]
    assert adapted
    assert not [name for name in adapted if name.startswith(trainable.full_modules)]


def test_passes() -> None:
    """The same samples in each step on 8, 4 or 2 processes."""
    settings = TrainSettings(batch_size=64, micro_batch=8)
    assert [passes(settings, processes) for processes in (8, 4, 2)] == [(8, 1), (8, 2), (8, 4)]
    assert passes(TrainSettings(batch_size=64), 4) == (16, 1)


def scene() -> Picture:
    """Two red things left, a blue one right, on grey."""
    image = np.full((32, 32, 3), 128, np.uint8)
    seen = np.zeros((32, 32), np.int32)
    for index, (row, column, colour) in enumerate(
        ((2, 1, (200, 25, 25)), (20, 4, (200, 25, 25)), (10, 25, (30, 60, 190))), start=1
    ):
        image[row : row + 6, column : column + 6] = colour
        seen[row : row + 6, column : column + 6] = index
    names = ("table", "block1", "block2", "cup", "bell")
    return Picture({"top": image}, {"top": seen}, names, "drawn/0")


def test_questions_have_right_answers() -> None:
    random = np.random.default_rng(0)
    asked = [ask(scene(), ("top",), (4, 4), random) for _ in range(400)]
    answers = {one.text: ANSWERS[one.answer] if one.places is None else one.places for one in asked}
    assert answers["which colour is the block1 ?"] == "red"
    assert answers["which colour is the cup ?"] == "blue"
    assert answers["which colour is the table ?"] == "grey"
    assert answers["how many block are there ?"] == "two"
    assert answers["how many bell are there ?"] == "zero"
    assert answers["left or right : where is the cup of the block1 ?"] == "right"
    assert answers["left or right : where is the block2 of the cup ?"] == "left"
    places = answers["where is the cup ?"]
    assert places.shape == (1, 4, 4)
    assert places.sum() * 64 == pytest.approx(36)
    assert set(zip(*np.nonzero(places[0]), strict=True)) == {(1, 3)}
    assert not np.any(answers["where is the bell ?"]), "a thing that is not there is nowhere"


def test_patches_of_odd_sizes() -> None:
    mask = np.zeros((10, 7), bool)
    mask[0, 0] = True
    shares = cell_shares(mask, (3, 2))
    assert shares[0, 0] == pytest.approx(1 / 16)
    assert shares.sum() == shares[0, 0]
    assert (kind_of("block_2"), kind_of("left_arm")) == ("block", "left_arm")
    assert colour_of(np.array([[250, 250, 250], [240, 240, 244]], np.uint8)) == "white"
