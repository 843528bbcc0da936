"""Fine-tuning published weights on LIBERO's demonstrations, at a tiny size."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sfbench_policies.openvla_oft import trainable as family
from sfbench_policies.openvla_oft.bundle import load_bundle
from sfbench_policies.openvla_oft.config import OpenVlaOft7bConfig
from sfbench_policies.openvla_oft.keys import build_key_table
from sfbench_policies.openvla_oft.processing.images import ImageStep, apply_steps
from sfbench_policies.openvla_oft.trainable import OpenVlaTrainable

from sfbench.contracts import Observation, Orientation
from sfbench.errors import UsageError
from sfbench.training.adapters import choose_parameters
from sfbench.training.learning import Learning
from sfbench.training.processes import Processes
from sfbench.training.settings import LoraConfig, TrainSettings
from sfbench.training.trainable import TrainableRequest, TrainingBatch, TrainingRecord
from tests.policies.openvla_oft import tiny
from tests.policies.openvla_oft.published import MICRO_BASE, MICRO_OFT, write_published
from tests.policies.openvla_oft.suite_specs import libero_env

FRAMES = 40


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base model: one view, action tokens, no heads."""
    folder = tmp_path_factory.mktemp("published") / "base"
    write_published(folder, MICRO_BASE)
    return folder


def request(start: Path | None, crop_area: float = 0.9) -> TrainableRequest:
    random = np.random.default_rng(0)
    actions = random.uniform(-1, 1, (FRAMES, 7))
    actions[:, 6] = np.where(np.arange(FRAMES) % 2, 1.0, -1.0)
    return TrainableRequest(
        config=OpenVlaOft7bConfig(dtype="float32"),
        env=libero_env(Orientation.BOTTOM_UP, camera_px=40),
        instructions=("pick up the bowl",),
        states=random.uniform(-1, 1, (FRAMES, 8)),
        actions=actions,
        start=None if start is None else str(start),
        seed=3,
        crop_area=crop_area,
    )


def made(start: Path, **changes: float) -> OpenVlaTrainable:
    """Through the code of `openvla_oft_7b`, at the tiny size."""
    return family._large("openvla_oft_7b", MICRO_OFT, request(start, **changes))


def batch(size: int = 2) -> TrainingBatch:
    random, side = np.random.default_rng(1), tiny.IMAGE_PX
    pixels = torch.from_numpy(random.uniform(0, 1, (size, 2, 3, side, side))).float()
    return TrainingBatch(
        images_BVCHW=pixels,
        clean_BVCHW=pixels,
        instructions=("pick up the bowl",) * size,
        states_BS=random.uniform(-1, 1, (size, 8)),
        actions_BKA=random.uniform(-1, 1, (size, 8, 7)),
        valid_BK=torch.ones(size, 8, dtype=torch.bool),
        episodes=(0,) * size,
        frames=tuple(range(size)),
        seeds=tuple(range(size)),
    )


def test_heads_are_new_and_the_rest_is_the_checkpoint(base: Path) -> None:
    trainable, again = made(base), made(base)
    state = trainable.module.state_dict()
    for name, tensor in again.module.state_dict().items():
        assert torch.equal(state[name], tensor), "equal seeds, equal heads"
    table = build_key_table(MICRO_OFT, trainable.module)
    published = write_published(base.parent / "again", MICRO_BASE)
    for key, names in table.targets.items():
        ours = torch.cat([state[name] for name in names])
        if key.startswith(("action_head.", "proprio_projector.")):
            assert key not in published
            assert torch.isfinite(ours).all()
        else:
            assert torch.equal(ours, published[key])


def test_conventions_of_the_published_checkpoints(base: Path, tmp_path: Path) -> None:
    """What it saves is read as OFT's own: gripper rule, crop, quantiles, orientation."""
    trainable = made(base)
    record = TrainingRecord(row={"train_step": 5}, trained_states=frozenset({"a"}))
    trainable.save(tmp_path, trainable.module.state_dict(), record)
    bundle = load_bundle(tmp_path, torch.float32, "cpu")
    assert bundle.training == {"train_step": 5}
    assert bundle.trained_states == {"a"}
    processor = bundle.processor
    assert ImageStep.CENTRE_CROP_90 in processor.config.image_steps
    assert processor.interface.orientation is Orientation.MIRRORED
    low, high = np.quantile(request(base).actions[:, :6], [0.01, 0.99], axis=0)
    np.testing.assert_allclose(processor.action_statistics.q01[:6], low)
    np.testing.assert_allclose(processor.action_statistics.q99[:6], high)
    assert processor.action_statistics.mask.tolist() == [True] * 6 + [False]
    commands = np.zeros((1, 1, 7))
    for command, target in ((1.0, 0.0), (-1.0, 1.0)):
        commands[..., 6] = command
        assert processor.targets(commands)[0, 0, 6] == target
    without = made(base, crop_area=1.0)
    without.save(tmp_path / "plain", without.module.state_dict(), record)
    steps = load_bundle(tmp_path / "plain", torch.float32, "cpu").processor.config.image_steps
    assert ImageStep.CENTRE_CROP_90 not in steps


@pytest.mark.parametrize("crop_area", [0.8, 0.95])
def test_only_the_crop_that_it_acts_with(base: Path, crop_area: float) -> None:
    """Other random crops would show things in another size than they have when it acts."""
    with pytest.raises(UsageError, match=rf"augment.crop_area={crop_area}: .*allowed 0.9 and 1"):
        made(base, crop_area=crop_area)


def test_training_sees_what_inference_sees(base: Path) -> None:
    """But for the crop, which is random in the one and in the centre in the other."""
    trainable = made(base, crop_area=1.0)
    random = np.random.default_rng(4)
    images = {
        name: random.integers(0, 256, (1, 40, 40, 3), np.uint8) for name in trainable.needs.cameras
    }
    views = torch.from_numpy(trainable.views(images).copy()).permute(0, 1, 4, 2, 3).float() / 255
    one = batch(1)
    seen = TrainingBatch(
        **{
            **{name: getattr(one, name) for name in TrainingBatch.__dataclass_fields__},
            "images_BVCHW": views,
        }
    )
    mine = trainable.inputs(seen)
    observation = Observation({name: table[0] for name, table in images.items()}, one.states_BS[0])
    theirs = trainable._processor.inputs(
        [observation], one.instructions, [Orientation.BOTTOM_UP] * 2
    )
    torch.testing.assert_close(mine.pixels_BVTCHW, theirs.pixels_BVTCHW, atol=1e-6, rtol=1e-6)
    assert mine.prompts == theirs.prompts
    assert mine.state_BS is not None
    assert theirs.state_BS is not None
    assert torch.equal(mine.state_BS, theirs.state_BS)
    turned = images["agentview"][0][::-1, ::-1]
    assert np.array_equal(
        trainable.views(images)[0, 0], apply_steps(turned, trainable._steps, tiny.IMAGE_PX)
    )


def test_lora_on_it(base: Path) -> None:
    """Gradients reach the adapters and both heads, and nothing else; the loss falls."""
    trainable = made(base)
    choose_parameters(trainable, LoraConfig(rank=4))
    trained = {n: p for n, p in trainable.module.named_parameters() if p.requires_grad}
    assert all("lora_" in n or n.startswith(trainable.full_modules) for n in trained)
    assert any(n.startswith("vision.towers.0.") for n in trained)
    assert not any("lm_head" in n for n in trained)
    optimiser = torch.optim.AdamW(trained.values(), lr=5e-3)
    losses = []
    for _ in range(12):
        loss = trainable.losses(batch())["action_l1"]
        optimiser.zero_grad()
        loss.backward()
        assert {n for n, p in trainable.module.named_parameters() if p.grad is not None} == set(
            trained
        )
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_adapters_on_rounded_weights_need_mixed_precision(base: Path) -> None:
    """Told before the first step, which would end in torch's own words."""
    asked = request(base)
    asked = replace(asked, config=replace(asked.config, dtype="bfloat16"))
    settings = TrainSettings(lora=LoraConfig(rank=4))
    for precision in ("no", "bf16"):
        trainable = family._large("openvla_oft_7b", MICRO_OFT, asked)
        processes = Processes("cpu", precision, "ddp")
        chosen = replace(settings, precision=precision)
        if precision == "no":
            with pytest.raises(UsageError, match=r"bfloat16.*type precision=bf16"):
                Learning.build(trainable, (), chosen, processes)
            continue
        made = Learning.build(trainable, (), chosen, processes)
        with processes.autocast():
            made.wrapped(batch())["action_l1"].backward()
        assert all(one.grad is not None for one in made.trained)


def test_steps_beyond_an_episode_add_nothing(base: Path) -> None:
    trainable, one = made(base), batch(1)
    whole = trainable.losses(one)["action_l1"]
    one.valid_BK[0, 5:] = False
    part = trainable.losses(one)["action_l1"]
    one.actions_BKA[0, 5:] = 0.3
    assert torch.equal(trainable.losses(one)["action_l1"], part)
    assert part < whole


def test_it_needs_weights() -> None:
    with pytest.raises(UsageError, match="type start=openvla/openvla-7b"):
        family._large("openvla_oft_7b", MICRO_OFT, request(None))
