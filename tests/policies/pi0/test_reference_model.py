"""The network against openpi's and LeRobot's PyTorch π0, at a tiny size with shared weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sfbench_policies.pi0.architecture import Architecture, DecoderConfig, TowerConfig
from sfbench_policies.pi0.keys import PREFIX, build_key_table
from sfbench_policies.pi0.model import Flow, ModelInputs, Pi0
from sfbench_policies.pi0.network import build
from sfbench_policies.pi0.presets import PI0

from . import tiny

FIXTURES = Path(__file__).parent / "fixtures"
TOLERANCE = 1e-4
"""Relative to the largest value. Most of what is left comes from the flow time's embedding, which
transformers computes in float32 and the references in float64."""
PREFIX_TOLERANCE = 2e-6
"""Without it; tight enough to tell the two forms of GELU apart."""


def decoder(sizes: dict[str, int]) -> DecoderConfig:
    return DecoderConfig(
        hidden=sizes["width"],
        layers=sizes["depth"],
        heads=sizes["num_heads"],
        kv_heads=sizes["num_kv_heads"],
        head_dim=sizes["head_dim"],
        mlp_hidden=sizes["mlp_dim"],
    )


ARCHITECTURE = Architecture(
    image_px=tiny.IMAGE_PX,
    tower=TowerConfig(
        patch_px=tiny.VISION["patch_size"],
        hidden=tiny.VISION["hidden_size"],
        layers=tiny.VISION["num_hidden_layers"],
        heads=tiny.VISION["num_attention_heads"],
        mlp_hidden=tiny.VISION["intermediate_size"],
    ),
    language=decoder(tiny.LANGUAGE),
    expert=decoder(tiny.EXPERT),
    vocab=tiny.VOCAB,
    chunk_steps=tiny.CHUNK_STEPS,
    state_width=tiny.VECTOR,
    action_width=tiny.VECTOR,
)


@pytest.fixture(scope="module")
def model() -> Pi0:
    model = Pi0(ARCHITECTURE)
    table = build_key_table(model)
    own = dict(model.named_parameters())
    with torch.no_grad():
        for key, name in table.targets.items():
            own[name].copy_(torch.from_numpy(tiny.weight(key, tuple(own[name].shape))))
    return model.eval()


def inputs() -> ModelInputs:
    data = {name: torch.from_numpy(value) for name, value in tiny.inputs().items()}
    length = max(map(len, tiny.PROMPTS)) + 2
    ids = [[*prompt, *[0] * (length - len(prompt))] for prompt in tiny.PROMPTS]
    written = [[place < len(prompt) for place in range(length)] for prompt in tiny.PROMPTS]
    return ModelInputs(
        data["pixels"],
        torch.tensor(tiny.VIEWS_PRESENT),
        torch.tensor(ids),
        torch.tensor(written),
        data["state"],
    )


def given(name: str) -> torch.Tensor:
    return torch.from_numpy(tiny.inputs()[name])


def assert_close(mine: torch.Tensor, theirs: np.ndarray, tolerance: float = TOLERANCE) -> None:
    assert mine.shape == theirs.shape
    worst = np.abs(mine.detach().numpy() - theirs).max() / np.abs(theirs).max()
    assert worst <= tolerance


@pytest.fixture(params=["openpi", "lerobot"])
def reference(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    return dict(np.load(FIXTURES / f"reference_{request.param}_tiny.npz"))


def test_every_layer_of_the_prefix(model: Pi0, reference: dict[str, np.ndarray]) -> None:
    """At positions that hold something: one sample lacks a view, prompts differ in length."""
    prefix = model.prefix(inputs(), keep_all=True)
    kept = reference["prefix_present"]
    np.testing.assert_array_equal(prefix.kept_BL.bool().numpy(), kept)
    embedded = reference["prefix_embedded"]
    assert_close(prefix.all_BLD[0][kept], embedded[kept], PREFIX_TOLERANCE)
    # The references have no norm after the last layer yet.
    for mine, theirs in zip(prefix.all_BLD[1:-1], reference["prefix_layers"], strict=False):
        assert_close(mine[kept], theirs[kept], PREFIX_TOLERANCE)
    assert_close(prefix.last_BLD[kept], reference["prefix_last"][kept], PREFIX_TOLERANCE)
    assert len(prefix.all_BLD) == tiny.LANGUAGE["depth"] + 1
    np.testing.assert_array_equal(prefix.all_BLD[-1].detach(), prefix.last_BLD.detach())


def test_velocity(model: Pi0, reference: dict[str, np.ndarray]) -> None:
    batch = inputs()
    prefix = model.prefix(batch)
    times = torch.tensor(tiny.TIMES)
    for _ in range(2):  # The cache is as it was.
        mine = model.velocity(prefix, batch.state_BS, given("noise"), times)
        assert_close(mine, reference["velocity"])


def test_sampled_chunk(model: Pi0, reference: dict[str, np.ndarray]) -> None:
    assert_close(model.sample(inputs(), given("noise")), reference["chunk"])


def test_training_pass(model: Pi0, reference: dict[str, np.ndarray]) -> None:
    flow = Flow(given("noise"), torch.tensor(tiny.TIMES))
    output = model.run_for_training(inputs(), given("actions"), flow)
    squares = (output.predicted_BKA - output.wanted_BKA) ** 2
    assert_close(squares, reference["losses"])
    loss = model.losses_of(output)["flow_mse"].item()
    assert loss == pytest.approx(reference["losses"].mean(), rel=1e-4)


def test_padded_action_numbers_are_no_part_of_the_loss(
    model: Pi0, reference: dict[str, np.ndarray]
) -> None:
    """LeRobot cuts the loss to the robot's numbers; targets beyond them are 0."""
    flow = Flow(given("noise"), torch.tensor(tiny.TIMES))
    whole = given("actions").clone()
    whole[..., 7:] = 0
    full = model.run_for_training(inputs(), whole, flow)
    cut = model.losses(inputs(), whole[..., :7], flow)["flow_mse"]
    expected = ((full.predicted_BKA - full.wanted_BKA)[..., :7] ** 2).mean()
    assert cut.item() == pytest.approx(expected.item(), rel=1e-6)
    assert cut.item() != pytest.approx(reference["losses"].mean(), rel=1e-3)


def test_a_missing_view_is_as_good_as_left_out(model: Pi0) -> None:
    """What the adapter relies on: it gives the network no tokens for a view that stays empty."""
    batch = inputs().select([0])
    without = ModelInputs(
        batch.pixels_BVCHW[:, :2],
        batch.present_BV[:, :2],
        batch.ids_BT,
        batch.written_BT,
        batch.state_BS,
    )
    noise = given("noise")[:1]
    masked, left_out = model.sample(batch, noise), model.sample(without, noise)
    torch.testing.assert_close(masked, left_out, rtol=0, atol=1e-5)
    seen = inputs().select([1])
    assert (model.sample(seen, noise) - masked).abs().max() > 1e-2


def test_room_behind_the_prompt_changes_nothing(model: Pi0) -> None:
    """Compiled code gets prompts of one length."""
    batch, noise = inputs(), given("noise")
    expected = model.sample(batch, noise)
    roomy = batch.with_room(40)
    assert roomy.ids_BT.shape == roomy.written_BT.shape == (2, 40)
    assert batch.with_room(2).ids_BT.shape == batch.ids_BT.shape
    torch.testing.assert_close(model.sample(roomy, noise), expected, rtol=0, atol=1e-5)


def test_view_tokens_are_the_images_positions(model: Pi0) -> None:
    batch = inputs()
    prefix = model.prefix(batch, keep_all=True)
    tokens = prefix.view_tokens(0)
    assert [tuple(view.shape) for view in tokens] == [(2, 4, tiny.LANGUAGE["width"])] * 3
    vlm = model.core.model.vlm
    for index, view in enumerate(tokens):
        alone = vlm.get_image_features(batch.pixels_BVCHW[:, index]).pooler_output
        torch.testing.assert_close(view, alone, rtol=0, atol=1e-5)


def test_keys_of_the_published_configuration() -> None:
    """Built without storage on both sides; the fixture is LeRobot's own list."""
    stored = json.loads((FIXTURES / "reference_keys_pi0.json").read_text())
    assert stored["reference"].startswith("huggingface/lerobot")
    with torch.device("meta"):
        model = Pi0(PI0)
    table = build_key_table(model)
    shapes = {key.removeprefix(PREFIX): tuple(shape) for key, shape in stored["keys"].items()}
    assert len(shapes) == 778
    table.check(shapes, model, "fixture")
    assert set(shapes) == set(table.targets) | set(table.tied) | table.unused
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total == pytest.approx(3.238e9, rel=1e-3)
    embedding = build(ARCHITECTURE).model.dit.embed_tokens
    assert embedding is None, "the expert's unused token embedding is back"
