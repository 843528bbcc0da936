"""The family behind the trainer's interface: what it draws, and which weights it starts from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sfbench_policies.pi0.bundle import TrainingData, load_bundle
from sfbench_policies.pi0.checkpoint import base_bundle, published_bundle
from sfbench_policies.pi0.config import Pi0Config, SmallConfig
from sfbench_policies.pi0.trainable import Pi0Trainable, make_full, make_micro

from sfbench.cli.main import run
from sfbench.contracts import EnvSpec
from sfbench.demos.convert import save
from sfbench.demos.memory import EpisodeArrays, MemorySource
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import spec_of
from sfbench.errors import UsageError
from sfbench.training.augmentation import _draw
from sfbench.training.learning import Learning
from sfbench.training.metrics import read_metrics
from sfbench.training.processes import Processes
from sfbench.training.settings import LoraConfig, TrainSettings
from sfbench.training.trainable import TrainableRequest, TrainingBatch, TrainingRecord

from .conftest import KNOWN
from .published import WORDS

FRAMES = 40
CONFIG = Pi0Config(device="cpu")
"""As typed: weights in bfloat16."""


@pytest.fixture(scope="module")
def own(
    published_folder: Path, libero_env: EnvSpec, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What a training from published weights wrote, with the statistics of its own data."""
    old = published_bundle(published_folder, CONFIG, libero_env, KNOWN).processor
    data = TrainingData(
        interface=old.interface,
        instructions=(),
        action_statistics=old.action_statistics,
        state_statistics=old.state_statistics,
    )
    bundle = base_bundle(published_folder, CONFIG, old.config, data, KNOWN)
    folder = tmp_path_factory.mktemp("own")
    record = TrainingRecord(row={"train_step": 5}, trained_states=frozenset({"a"}))
    Pi0Trainable(bundle, libero_env).save(folder, bundle.model.state_dict(), record)
    return folder


def request(env: EnvSpec, start: Path | None = None, **config: str) -> TrainableRequest:
    random = np.random.default_rng(0)
    return TrainableRequest(
        config=SmallConfig() if start is None else Pi0Config(device="cpu", **config),
        env=env,
        instructions=tuple(WORDS),
        states=random.uniform(-1, 1, (FRAMES, 8)),
        actions=random.uniform(-1, 1, (FRAMES, 7)),
        start=None if start is None else str(start),
        seed=3,
        crop_area=1.0,
    )


def batch(trainable: Pi0Trainable, size: int, side: int) -> TrainingBatch:
    random, needs = np.random.default_rng(1), trainable.needs
    pixels = torch.rand((size, len(needs.cameras), 3, side, side))
    return TrainingBatch(
        images_BVCHW=pixels,
        clean_BVCHW=pixels,
        instructions=tuple(WORDS) * size,
        states_BS=random.uniform(-1, 1, (size, 8)),
        actions_BKA=random.uniform(-1, 1, (size, needs.chunk_steps, 7)),
        valid_BK=torch.ones(size, needs.chunk_steps, dtype=torch.bool),
        episodes=(0,) * size,
        frames=tuple(range(size)),
        seeds=tuple(range(size)),
    )


def test_noise_does_not_follow_from_what_is_seen(libero_env: EnvSpec) -> None:
    """Crops and colours of a sample, which a network sees, tell nothing of its flow's noise."""
    trainable = make_micro(request(libero_env))
    many = batch(trainable, 1000, 1)
    flow = trainable._flow(many)
    seen = _draw(many.seeds, views=2).reshape(len(many), -1)
    drawn = torch.cat([flow.noise_BKN.flatten(1), flow.time_B[:, None]], dim=1)
    both = torch.corrcoef(torch.cat([seen, drawn], dim=1).T)
    # Of 3,000 pairs of independent numbers the largest is 0.12.
    assert both[: seen.shape[1], seen.shape[1] :].abs().max() < 0.2
    again = trainable._flow(batch(trainable, 3, 1))
    assert torch.equal(again.noise_BKN, flow.noise_BKN[:3]), "however the batch is cut"


def test_it_goes_on_from_a_checkpoint_of_its_own(own: Path, libero_env: EnvSpec) -> None:
    """Its weights and words; statistics and conventions are the new demonstrations'."""
    asked = request(libero_env, own, dtype="float32")
    trainable = make_full(asked)
    kept = load_bundle(own, torch.float32, "cpu")
    for name, value in kept.model.state_dict().items():
        assert torch.equal(trainable.module.state_dict()[name], value), name
    statistics = trainable._processor.action_statistics
    np.testing.assert_allclose(statistics.first, asked.actions.mean(axis=0))
    assert torch.isfinite(trainable.losses(batch(trainable, 2, 48))["flow_mse"])


def learning(trainable: Pi0Trainable, settings: TrainSettings) -> tuple[Learning, Processes]:
    processes = Processes("cpu", settings.precision, "ddp")
    return Learning.build(trainable, (), settings, processes), processes


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_all_weights_are_trained_in_either_precision(
    own: Path, libero_env: EnvSpec, precision: str
) -> None:
    """Those that no loss reads are run all the same: none may stay in another dtype."""
    trainable = make_full(request(libero_env, own))
    assert {one.dtype for one in trainable.module.parameters()} == {torch.bfloat16}
    made, processes = learning(trainable, TrainSettings(precision=precision))
    with processes.autocast():
        loss = made.wrapped(batch(trainable, 2, 48))["flow_mse"]
    loss.backward()
    assert all(one.grad is not None for one in made.trained)


def test_adapters_on_rounded_weights_need_mixed_precision(own: Path, libero_env: EnvSpec) -> None:
    lora = LoraConfig(rank=2)
    with pytest.raises(UsageError, match=r"bfloat16.*precision=bf16.*policy\.dtype=float32"):
        learning(make_full(request(libero_env, own)), TrainSettings(lora=lora))
    for start, precision in (("bfloat16", "bf16"), ("float32", "no")):
        trainable = make_full(request(libero_env, own, dtype=start))
        made, processes = learning(trainable, TrainSettings(lora=lora, precision=precision))
        with processes.autocast():
            made.wrapped(batch(trainable, 2, 48))["flow_mse"].backward()
        assert all(one.grad is not None for one in made.trained)


def demonstrations(env: EnvSpec, folder: Path) -> Path:
    """A few frames of noise in LIBERO's conventions."""
    random, names = np.random.default_rng(0), [camera.name for camera in env.cameras]
    px = env.cameras[0].height
    made = EpisodeArrays(
        info=EpisodeInfo(index=0, task="t", instruction=WORDS[0], length=6),
        images={name: random.integers(0, 256, (6, px, px, 3), np.uint8) for name in names},
        state=random.uniform(-1, 1, (6, 8)).astype(np.float32),
        actions=random.uniform(-1, 1, (6, 7)).astype(np.float32),
    )
    save(MemorySource(spec_of("libero_like", env, names), [made]), folder)
    return folder


def test_the_recipe_of_spatial_forcing(own: Path, libero_env: EnvSpec, tmp_path: Path) -> None:
    """As documented, at the tiny size: it trains, and goes on from its own checkpoint."""
    demos = demonstrations(libero_env, tmp_path / "demos")
    short = ["steps=2", "batch_size=2", "optimiser.warmup_steps=1", "loader_workers=0"]
    small = ["teacher=random", "align.layer=3", "device=cpu", "log_every=1"]
    words = ["train", "policy=pi0", "recipe=pi0_sf", f"dataset={demos}", *short, *small]
    assert run([*words, f"start={own}", f"out={tmp_path / 'first'}"]) == 0
    losses = read_metrics(tmp_path / "first")[-1]["losses"]
    assert losses.keys() == {"flow_mse", "align/cosine"}
    written = tmp_path / "first" / "checkpoints" / "2"
    assert run([*words, f"start={written}", f"out={tmp_path / 'second'}"]) == 0
    kept = load_bundle(tmp_path / "second" / "checkpoints" / "2", torch.float32, "cpu")
    assert kept.training["train_step"] == 2
    assert kept.training["arm"] == "sf"
