"""Small models: made for any suite, trained, saved and loaded; and what other code may tap."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from sfbench_policies.common.interface import suite_interface
from sfbench_policies.openvla_oft.architecture import (
    ActionHead,
    ActionPositions,
    Architecture,
    Attention,
    Decoding,
)
from sfbench_policies.openvla_oft.bundle import Bundle, TrainingData, fresh, load_bundle
from sfbench_policies.openvla_oft.config import SmallConfig
from sfbench_policies.openvla_oft.factory import (
    SMALL_PROCESSING,
    make_openvla_oft_micro,
    make_openvla_oft_mini,
)
from sfbench_policies.openvla_oft.model import ModelInputs
from sfbench_policies.openvla_oft.presets import OPENVLA_OFT_MICRO, OPENVLA_OFT_MINI
from sfbench_policies.openvla_oft.processing.scaling import VectorStatistics
from sfbench_policies.openvla_oft.tokenizer import WordTokenizer

from sfbench.contracts import EnvSpec, PolicyContext, check_compatible
from sfbench.errors import MissingError, UnknownNameError, UsageError
from tests.policies.openvla_oft.suite_specs import (
    bimanual_env,
    episode,
    fake_observation,
    libero_env,
)

ENVS = {"bimanual": bimanual_env(), "libero": libero_env()}
TEXTS = ("stack the red block on the blue one", "press the bell")


def new_bundle(env: EnvSpec, preset: Architecture = OPENVLA_OFT_MICRO, seed: int = 0) -> Bundle:
    interface = suite_interface(env, ())
    random = np.random.default_rng(0)
    assert interface.state is not None
    actions = random.uniform(interface.action.low, interface.action.high, (500, env.action.size))
    states = random.uniform(interface.state.low, interface.state.high, (500, env.state.size))
    data = TrainingData(
        interface=interface,
        instructions=TEXTS,
        action_statistics=VectorStatistics.from_data(actions, [True] * env.action.size),
        state_statistics=VectorStatistics.from_data(states, [True] * env.state.size),
    )
    return fresh(preset, SMALL_PROCESSING, data, seed)


def batch(bundle: Bundle, env: EnvSpec) -> ModelInputs:
    seen = [fake_observation(env, seed) for seed in range(2)]
    orientations = bundle.processor.interface.given_orientations(env)
    return bundle.processor.inputs(seen, TEXTS, orientations)


@pytest.mark.parametrize("name", ENVS)
def test_a_saved_model_acts_as_before(tmp_path: Path, name: str) -> None:
    env = ENVS[name]
    bundle = new_bundle(env)
    bundle.training, bundle.trained_states = {"train_step": 5, "demos": 20}, frozenset({"a", "b"})
    bundle.save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        "model.safetensors",
        "policy.yaml",
        "statistics.json",
        "word_tokenizer.json",
    }
    again = load_bundle(tmp_path, torch.float32, "cpu")
    inputs = batch(bundle, env)
    assert torch.equal(bundle.model.predict(inputs), again.model.predict(batch(again, env)))
    config = SmallConfig(checkpoint=str(tmp_path), device="cpu")
    policy = make_openvla_oft_micro(config, PolicyContext(env))
    check_compatible(env, policy.spec)
    assert policy.spec.training == {"train_step": 5, "demos": 20}
    assert policy.spec.trained_states == {"a", "b"}
    policy.reset(0, episode(TEXTS[0]))
    chunk = policy.act([fake_observation(env, 0)], [0])[0]
    alone = bundle.processor.inputs(
        [fake_observation(env, 0)], TEXTS[:1], bundle.processor.interface.given_orientations(env)
    )
    want = bundle.processor.commands(bundle.model.predict(alone))[0]
    np.testing.assert_array_equal(chunk, want)
    assert chunk.shape == (16, env.action.size)


@pytest.mark.parametrize(
    ("make", "low", "high"),
    [(make_openvla_oft_micro, 3e5, 7e5), (make_openvla_oft_mini, 3e6, 9e6)],
    ids=["micro", "mini"],
)
def test_untrained_policies_fit_any_suite(make, low: float, high: float) -> None:
    for env in ENVS.values():
        policy = make(SmallConfig(random_weights_seed=3, device="cpu"), PolicyContext(env))
        check_compatible(env, policy.spec)
        for slot, text in ((0, TEXTS[0]), (7, TEXTS[1])):
            policy.reset(slot, episode(text))
        seen = [fake_observation(env, seed) for seed in range(2)]
        together = policy.act(seen, [0, 7])
        np.testing.assert_allclose(policy.act(seen[1:], [7])[0], together[1], rtol=0, atol=1e-5)
        size = sum(parameter.numel() for parameter in policy._model.parameters())
        assert low < size < high
        views = {need.name for need in policy.spec.cameras}
        assert views == {camera.name for camera in env.cameras} - {"front_camera"}


def test_equal_seeds_give_equal_weights_and_leave_others_streams_alone() -> None:
    torch.manual_seed(5)
    first = new_bundle(libero_env(), seed=1).model.state_dict()
    drawn = torch.rand(3)
    second = new_bundle(libero_env(), seed=1).model.state_dict()
    other = new_bundle(libero_env(), seed=2).model.state_dict()
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["projector.fc1.weight"], other["projector.fc1.weight"])


@pytest.mark.parametrize(
    ("head", "positions", "decoding"),
    [
        (ActionHead.L1, ActionPositions.PER_STEP, Decoding.PARALLEL),
        (ActionHead.L1, ActionPositions.PER_NUMBER, Decoding.PARALLEL),
        (ActionHead.TOKENS, ActionPositions.PER_NUMBER, Decoding.PARALLEL),
        (ActionHead.TOKENS, ActionPositions.PER_NUMBER, Decoding.AUTOREGRESSIVE),
    ],
)
def test_training_lowers_the_loss_and_the_actions_follow(
    head: ActionHead, positions: ActionPositions, decoding: Decoding
) -> None:
    causal = decoding is Decoding.AUTOREGRESSIVE
    attention = Attention.CAUSAL if causal else Attention.BIDIRECTIONAL
    preset = replace(
        OPENVLA_OFT_MICRO,
        action_head=head,
        action_positions=positions,
        decoding=decoding,
        attention=attention,
        chunk_steps=2,
    )
    assert preset.action_tokens == (2 if positions is ActionPositions.PER_STEP else 14)
    bundle = new_bundle(libero_env(), preset)
    inputs, model = batch(bundle, libero_env()), bundle.model.train()
    generator = torch.Generator().manual_seed(0)
    actions = torch.rand(2, 2, 7, generator=generator) * 2 - 1
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        (loss,) = model.losses(inputs, actions).values()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    error = (model.eval().predict(inputs) - actions).abs().mean()
    assert error < 0.1


def test_hidden_states_can_be_tapped_by_a_hook() -> None:
    """What an alignment loss needs: states of one layer, and where each view's tokens stand."""
    bundle = new_bundle(bimanual_env())
    model, inputs = bundle.model, batch(bundle, bimanual_env())
    caught: list[torch.Tensor] = []
    handle = model.language.layers[2].register_forward_hook(lambda *call: caught.append(call[2]))
    output = model.run_for_training(inputs, torch.zeros(2, 16, 16), keep_all=True)
    handle.remove()
    assert len(output.all_BLD) == len(model.language.layers) + 1
    assert torch.equal(caught[0], output.all_BLD[3])
    views = output.view_tokens(3)
    patches = model.architecture.patches_per_view
    assert [tuple(view.shape) for view in views] == [(2, patches, 64)] * 3
    # Gradients reach the towers through the tapped states.
    views[1].sum().backward()
    assert float(model.vision.towers[1].embedding.projection.weight.grad.abs().max()) > 0
    assert {"action_l1"} == set(model.losses_of(output, torch.zeros(2, 16, 16)))


@torch.no_grad()
def test_view_positions_are_those_of_their_view() -> None:
    bundle = new_bundle(bimanual_env())
    inputs = batch(bundle, bimanual_env())
    before = bundle.model(inputs, keep_all=True)
    for view in range(3):
        pixels = inputs.pixels_BVTCHW.clone()
        pixels[:, view] += 1
        after = bundle.model(replace(inputs, pixels_BVTCHW=pixels), keep_all=True)
        changed = (before.all_BLD[0] != after.all_BLD[0]).any(dim=-1)
        want = torch.zeros_like(changed)
        want[:, before.layout.views[view]] = True
        assert torch.equal(changed, want)
    state = replace(inputs, state_BS=inputs.state_BS + 1)
    changed = (before.all_BLD[0] != bundle.model(state, keep_all=True).all_BLD[0]).any(dim=-1)
    assert changed.nonzero()[:, 1].unique().tolist() == [before.layout.state]


def test_bfloat16_runs() -> None:
    config = SmallConfig(random_weights_seed=0, dtype="bfloat16", device="cpu")
    policy = make_openvla_oft_micro(config, PolicyContext(libero_env()))
    policy.reset(0, episode(TEXTS[0]))
    assert np.isfinite(policy.act([fake_observation(libero_env(), 0)], [0])[0]).all()
    assert policy.spec.card["dtype"] == "bfloat16"


def test_word_tokenizer() -> None:
    tokenizer = WordTokenizer.from_texts(["Put it down, now", "it"], capacity=20)
    assert tokenizer.words == (",", "down", "it", "now", "put")
    assert tokenizer.encode("put IT there") == (1, 8, 6, 3)
    with pytest.raises(UsageError, match="5 different words"):
        WordTokenizer.from_texts(["Put it down, now"], capacity=8)


@pytest.mark.parametrize("preset", [OPENVLA_OFT_MICRO, OPENVLA_OFT_MINI], ids=["micro", "mini"])
def test_architectures_survive_json(preset: Architecture) -> None:
    data = json.loads(json.dumps(preset.to_json()))
    assert Architecture.from_json(data) == preset
    with pytest.raises(UnknownNameError, match="Did you mean 'views'"):
        Architecture.from_json({**data, "view": 1})
    with pytest.raises(UsageError, match="missing views"):
        Architecture.from_json({key: value for key, value in data.items() if key != "views"})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"image_px": 65}, "multiples of"),
        ({"decoding": Decoding.AUTOREGRESSIVE}, "needs action_head=tokens"),
        ({"action_head": ActionHead.TOKENS}, "action_positions=per_step needs action_head=l1"),
    ],
)
def test_impossible_architectures_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        replace(OPENVLA_OFT_MICRO, **change)


def change_policy(folder: Path, **values: object) -> None:
    file = folder / "policy.yaml"
    document = yaml.safe_load(file.read_text(encoding="utf-8")) | values
    file.write_text(yaml.safe_dump(document), encoding="utf-8")


def test_a_bad_checkpoint_folder_is_explained(tmp_path: Path) -> None:
    new_bundle(libero_env()).save(tmp_path)
    change_policy(tmp_path, format=99)
    with pytest.raises(UsageError, match="format 99"):
        load_bundle(tmp_path, torch.float32, "cpu")
    change_policy(tmp_path, format=1)
    (tmp_path / "statistics.json").unlink()
    with pytest.raises(MissingError, match=r"statistics\.json"):
        load_bundle(tmp_path, torch.float32, "cpu")
    with pytest.raises(MissingError, match="no checkpoint of this project"):
        load_bundle(tmp_path / "nowhere", torch.float32, "cpu")
