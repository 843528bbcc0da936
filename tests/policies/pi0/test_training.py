"""What a trainer and a later feature tap rely on."""

import numpy as np
import pytest
import torch
from sfbench_policies.pi0.model import TIME_OFFSET, ModelInputs, Pi0
from sfbench_policies.pi0.presets import PI0_MICRO, PI0_MINI

from .published import lively_model


def batch(size: int = 4, views: int = 2) -> ModelInputs:
    generator = torch.Generator().manual_seed(0)
    side = PI0_MICRO.image_px
    written = torch.ones(size, 6, dtype=torch.bool)
    written[1:, 4:] = False
    return ModelInputs(
        torch.rand((size, views, 3, side, side), generator=generator) * 2 - 1,
        torch.ones(size, views, dtype=torch.bool),
        torch.randint(4, 60, (size, 6), generator=generator),
        written,
        torch.randn((size, 32), generator=generator),
    )


def targets(size: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn((size, PI0_MICRO.chunk_steps, 16), generator=generator)


@pytest.fixture(scope="module")
def model() -> Pi0:
    return lively_model(PI0_MICRO)


def test_flow_draws(model: Pi0) -> None:
    """Beta(1.5, 1) has mean 0.6 and variance 12/175; noise is standard normal."""
    flow = model.draw_flow(4000, torch.Generator().manual_seed(5))
    again = model.draw_flow(4000, torch.Generator().manual_seed(5))
    assert torch.equal(flow.noise_BKN, again.noise_BKN)
    assert torch.equal(flow.time_B, again.time_B)
    assert flow.noise_BKN.shape == (4000, PI0_MICRO.chunk_steps, 32)
    assert flow.noise_BKN.std().item() == pytest.approx(1, abs=0.01)
    assert flow.time_B.min() >= TIME_OFFSET
    assert flow.time_B.max() <= 1
    assert flow.time_B.mean().item() == pytest.approx(0.6 * 0.999 + 0.001, abs=0.01)
    assert flow.time_B.var().item() == pytest.approx(12 / 175, rel=0.1)
    share_below = (flow.time_B < 0.25 * 0.999 + 0.001).float().mean().item()
    assert share_below == pytest.approx(0.25**1.5, abs=0.02)


def test_losses_are_named_scalars_with_gradients(model: Pi0) -> None:
    model.zero_grad()
    flow = model.draw_flow(4, torch.Generator().manual_seed(0))
    losses = model.losses(batch(), targets(), flow)
    assert list(losses) == ["flow_mse"]
    losses["flow_mse"].backward()
    without = {name for name, value in model.named_parameters() if value.grad is None}
    # The last layer of the prefix gives keys and values only; nothing reads its output.
    last = f"core.model.vlm.language_model.layers.{PI0_MICRO.language.layers - 1}."
    unread = ("core.model.vlm.language_model.norm.", last)
    assert all(name.startswith(unread) for name in without)
    assert not any(name.endswith(("k_proj.weight", "v_proj.weight")) for name in without)
    idle = [
        name
        for name, value in model.named_parameters()
        if value.grad is not None and not value.grad.abs().sum() > 0
    ]
    # Keys have biases that cancel in the softmax only in the tower.
    assert all("vision_tower" in name and name.endswith("k_proj.bias") for name in idle)


def test_the_tap_shares_the_pass(model: Pi0) -> None:
    """Layer i of `view_tokens` is what a hook on `language_layers[i - 1]` sees."""
    flow = model.draw_flow(4, torch.Generator().manual_seed(0))
    seen: list[torch.Tensor] = []
    layer = 3
    hook = model.language_layers[layer - 1].register_forward_hook(
        lambda _module, _inputs, output: seen.append(
            output[0] if isinstance(output, tuple) else output
        )
    )
    output = model.run_for_training(batch(), targets(), flow, keep_all=True)
    hook.remove()
    tokens = output.prefix.view_tokens(layer)
    patches = PI0_MICRO.patches_per_view
    assert [tuple(view.shape) for view in tokens] == [(4, patches, model.language_width)] * 2
    assert torch.equal(torch.cat(tokens, dim=1), seen[0][:, : 2 * patches])
    plain = model.losses(batch(), targets(), flow)["flow_mse"]
    assert torch.equal(model.losses_of(output)["flow_mse"], plain), "the tap changes nothing"


def test_a_missing_view_gives_and_takes_nothing(model: Pi0) -> None:
    """Its pixels move neither loss nor gradients."""
    flow = model.draw_flow(4, torch.Generator().manual_seed(0))
    inputs = batch()
    inputs.present_BV[2, 1] = False
    inputs.pixels_BVCHW.requires_grad_()
    output = model.run_for_training(inputs, targets(), flow, keep_all=True)
    assert output.prefix.present_BV.tolist()[2] == [True, False]
    loss = model.losses_of(output)["flow_mse"]
    (gradient,) = torch.autograd.grad(loss, inputs.pixels_BVCHW)
    assert not gradient[2, 1].any()
    assert gradient[2, 0].any()
    assert gradient[1, 1].any()
    changed = batch()
    changed.present_BV[2, 1] = False
    changed.pixels_BVCHW[2, 1] = 0.3
    torch.testing.assert_close(model.losses(changed, targets(), flow)["flow_mse"], loss)


def test_a_micro_model_learns_a_batch() -> None:
    """Sampling after training reproduces the targets far better than noise does."""
    model = lively_model(PI0_MICRO, seed=4)
    inputs, wanted = batch(), targets() * 0.5
    generator = torch.Generator().manual_seed(2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    losses = []
    for _ in range(180):
        loss = model.losses(inputs, wanted, model.draw_flow(4, generator))["flow_mse"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:5])
    noise = model.draw_flow(4, generator).noise_BKN
    error = (model.sample(inputs, noise)[..., :16] - wanted).pow(2).mean().item()
    assert error < 0.4 * (noise[..., :16] - wanted).pow(2).mean().item()


def test_sizes() -> None:
    """A few million, and a few hundred thousand."""
    for architecture, low, high in ((PI0_MINI, 3e6, 9e6), (PI0_MICRO, 2e5, 6e5)):
        with torch.device("meta"):
            count = sum(value.numel() for value in Pi0(architecture).parameters())
        assert low < count < high
