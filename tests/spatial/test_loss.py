"""The method's formula, against a computation of its own in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sfbench.errors import UsageError
from sfbench.spatial.alignment import Alignment, targets
from sfbench.spatial.grids import position_embedding
from sfbench.spatial.projector import Projector
from sfbench.spatial.settings import AlignSettings
from sfbench.spatial.teachers.contract import Features
from sfbench.spatial.tokens import ViewTokens, VisualTokens

B, V, D, W, LENGTH = 3, 2, 12, 16, 90
TEACHER, GRID = (7, 5), (4, 6)
STARTS = (1, 30)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


def layout(mask: Tensor | None = None) -> VisualTokens:
    views = tuple(ViewTokens(f"view {i}", start, *GRID) for i, start in enumerate(STARTS))
    return VisualTokens(views, mask)


def loss_of(align: Alignment, hidden: Tensor, tokens: VisualTokens, seen: Features) -> Tensor:
    return align(hidden, tokens, targets(seen, tokens, align.settings))


def features(seed: int = 1) -> Features:
    return Features(normal(B, V, TEACHER[0] * TEACHER[1], W, seed=seed), *TEACHER)


def alignment(**settings: object) -> Alignment:
    made = Alignment(AlignSettings(**settings), D, W, seed=3).double()
    with torch.no_grad():
        for index, parameter in enumerate(made.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=10 + index) * 0.5)
    return made


def expected(align: Alignment, hidden: Tensor, kept: np.ndarray, shift: int, scale: float) -> float:
    """The facts' formula, token by token."""
    named = {k: v.detach().numpy() for k, v in align.projector.named_parameters()}
    tokens = features().tokens_BVPD.numpy().reshape(B, V, *TEACHER, W)
    gelu = np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))
    (rows, columns), (out_rows, out_columns) = TEACHER, GRID
    span_x, span_y = columns / math.hypot(rows, columns), rows / math.hypot(rows, columns)
    place = np.zeros((rows, columns, W))
    for r in range(rows):
        for c in range(columns):
            x = span_x * (2 * c / (columns - 1) - 1) * (columns - 1) / columns
            y = span_y * (2 * r / (rows - 1) - 1) * (rows - 1) / rows
            for i in range(W // 4):
                f = 100 ** (-i / (W // 4))
                place[r, c, [i, W // 4 + i]] = math.sin(f * x), math.cos(f * x)
                place[r, c, [W // 2 + i, 3 * W // 4 + i]] = math.sin(f * y), math.cos(f * y)
    samples = []
    for b in range(B):
        losses = []
        for v in range(V):
            grid = tokens[b, v] + scale * place
            for r in range(out_rows):
                for c in range(out_columns):
                    if not kept[b, v, r, c]:
                        continue
                    h = hidden[b, STARTS[v] + shift + r * out_columns + c].detach().numpy()
                    h = (h - h.mean()) / np.sqrt(h.var() + 1e-5)
                    h = h * named["norm.weight"] + named["norm.bias"]
                    h = gelu(named["fc1.weight"] @ h + named["fc1.bias"])
                    h = named["fc2.weight"] @ h + named["fc2.bias"]
                    y, x = r * (rows - 1) / (out_rows - 1), c * (columns - 1) / (out_columns - 1)
                    r0, c0 = min(int(y), rows - 2), min(int(x), columns - 2)
                    dy, dx = y - r0, x - c0
                    t = (1 - dy) * ((1 - dx) * grid[r0, c0] + dx * grid[r0, c0 + 1])
                    t = t + dy * ((1 - dx) * grid[r0 + 1, c0] + dx * grid[r0 + 1, c0 + 1])
                    losses.append(1 - h @ t / np.linalg.norm(h) / np.linalg.norm(t))
        samples.append(np.mean(losses) if losses else 0.0)
    return float(np.mean(samples))


@pytest.mark.parametrize(("shift", "scale"), [(0, 0.1), (1, 0.1), (0, 0.0)])
def test_the_loss_is_the_formula(shift: int, scale: float) -> None:
    align = alignment(shift=shift, position_scale=scale)
    hidden = normal(B, LENGTH, D, seed=2)
    found = loss_of(align, hidden, layout(), features())
    want = expected(align, hidden, np.ones((B, V, *GRID), bool), shift, scale)
    # The position embedding is float32.
    assert found.item() == pytest.approx(want, abs=1e-8)
    assert found.dtype == torch.float64


def test_masked_tokens_and_samples_without_any() -> None:
    kept = np.random.RandomState(0).random_sample((B, V, *GRID)) < 0.7
    kept[1] = False
    kept[2, 1] = False
    align, hidden = alignment(), normal(B, LENGTH, D, seed=2)
    mask = torch.from_numpy(kept).flatten(1)
    found = loss_of(align, hidden, layout(mask), features())
    assert found.item() == pytest.approx(expected(align, hidden, kept, 0, 0.1), abs=1e-8)
    nothing = loss_of(align, hidden, layout(torch.zeros_like(mask)), features())
    assert nothing.item() == 0


def gradients(align: Alignment, hidden: Tensor, mask: Tensor, seen: Features) -> list[Tensor]:
    hidden = hidden.clone().requires_grad_()
    loss = loss_of(align, hidden, layout(mask), seen)
    return [loss.detach(), *torch.autograd.grad(loss, [hidden, *align.parameters()])]


def test_a_masked_view_adds_exactly_nothing_whatever_it_holds() -> None:
    mask = torch.ones(B, V, GRID[0] * GRID[1], dtype=torch.bool)
    mask[:, 1] = False
    mask = mask.flatten(1)
    align, hidden = alignment(), normal(B, LENGTH, D, seed=2)
    clean = gradients(align, hidden, mask, features())
    size = GRID[0] * GRID[1]
    assert not clean[1][:, STARTS[1] : STARTS[1] + size].any()
    assert clean[1][:, STARTS[0] : STARTS[0] + size].abs().sum(-1).min() > 0
    for foul in (1e30, float("nan"), float("inf")):
        spoilt, seen = hidden.clone(), features().tokens_BVPD.clone()
        spoilt[:, STARTS[1] : STARTS[1] + size] = foul
        seen[:, 1] = foul
        for got, want in zip(
            gradients(align, spoilt, mask, Features(seen, *TEACHER)), clean, strict=True
        ):
            assert torch.equal(got, want)


def test_gradient_reaches_policy_and_projector_and_descends() -> None:
    align, hidden = alignment(), normal(B, LENGTH, D, seed=2).requires_grad_()
    losses = []
    optimiser = torch.optim.Adam([hidden, *align.parameters()], lr=0.05)
    for _ in range(30):
        loss = loss_of(align, hidden, layout(), features())
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]


def test_settings_are_choices() -> None:
    hidden = normal(B, LENGTH, D, seed=2)
    losses = {
        how: loss_of(alignment(resampling=how), hidden, layout(), features()).item()
        for how in ("bilinear", "bicubic", "area")
    }
    assert len({round(value, 9) for value in losses.values()}) == 3
    assert not hasattr(alignment(norm=False).projector.norm, "weight")
    for bad in ({"resampling": "nearest"}, {"weight": -0.5}, {"position_scale": float("nan")}):
        with pytest.raises(UsageError, match=f"align.{next(iter(bad))}"):
            Alignment(AlignSettings(**bad), D, W)


def test_the_projector_starts_xavier_uniform_and_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = Projector(64, 32, norm=True, seed=1), Projector(64, 32, norm=True, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    bound = math.sqrt(6 / (64 + 32))
    assert 0.97 * bound < first.fc1.weight.abs().max().item() <= bound
    assert first.fc1.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not first.fc1.bias.any()
    assert not first.fc2.bias.any()


def test_views_and_widths_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match=r"features of 1 views.* tokens of 2: view 0, view 1"):
        targets(Features(normal(B, 1, 35, W), *TEACHER), layout(), AlignSettings())
    with pytest.raises(UsageError, match=r"shape \(3, 48, 8\), .* \(3, 48, 16\)"):
        alignment()(normal(B, LENGTH, D), layout(), normal(B, 48, 8))
    with pytest.raises(UsageError, match=r"18 wide.*align.position_scale=0"):
        position_embedding(4, 4, 18)
