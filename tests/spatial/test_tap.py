"""Reading hidden states from networks that know nothing of it."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from sfbench.errors import UsageError
from sfbench.spatial.tap import FeatureTap, resolve_layer
from sfbench.spatial.tokens import ViewTokens, VisualTokens


class Stack(nn.Module):
    """A few layers, one of which returns a tuple, as transformers' do."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.pair = nn.LSTM(6, 6, batch_first=True)
        self.unused = nn.Linear(6, 6)
        self.head = nn.Linear(6, 1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            hidden = checkpoint(layer, hidden, use_reentrant=False)
        return self.head(self.pair(hidden)[0].mean(dim=1))


@pytest.fixture
def network() -> Stack:
    torch.manual_seed(0)
    return Stack()


def test_hidden_states_with_their_gradient_and_the_same_output(network: Stack) -> None:
    inputs = torch.randn(2, 5, 6)
    want = network(inputs)
    tap, pair = FeatureTap(network, "layers.1"), FeatureTap(network, "pair")
    got = network(inputs)
    hidden = tap.take()
    assert torch.equal(got, want)
    assert torch.equal(hidden, network.layers[1](network.layers[0](inputs)))
    assert pair.take().shape == (2, 5, 6)
    (hidden.sum() + got.sum()).backward()
    assert network.layers[0].weight.grad is not None
    tap.remove()
    network(inputs)
    with pytest.raises(UsageError, match=r"'layers.1' did not run"):
        tap.take()


def test_a_state_is_handed_out_once_and_is_the_last(network: Stack) -> None:
    tap = FeatureTap(network, "layers.2")
    first, second = torch.randn(1, 4, 6), torch.randn(2, 4, 6)
    network(first)
    network(second)
    assert len(tap.take()) == 2
    with pytest.raises(UsageError, match="did not run"):
        tap.take()


def test_no_such_layer_names_the_nearest(network: Stack) -> None:
    with pytest.raises(UsageError, match=r"no layer 'layer.1' among the 7 of Stack.*'?layers.1"):
        FeatureTap(network, "layer.1")


def test_layers_that_give_no_hidden_states(network: Stack) -> None:
    unused, head = FeatureTap(network, "unused"), FeatureTap(network, "head")
    network(torch.randn(1, 4, 6))
    with pytest.raises(UsageError, match="'unused' did not run"):
        unused.take()
    with pytest.raises(UsageError, match=r"'head' returned \(1, 1\); alignment needs"):
        head.take()


def test_a_number_is_the_index_of_a_hidden_state() -> None:
    names = ["deep.0", "deep.1", "deep.2"]
    assert resolve_layer("3", names) == "deep.2"
    assert resolve_layer("deep.1.norm", names) == "deep.1.norm"
    for wrong in ("0", "4", "-1"):
        with pytest.raises(UsageError, match=rf"align.layer={wrong}: .* 1 to 3 .*'deep.2'"):
            resolve_layer(wrong, names)


def test_tokens_of_views_anywhere_in_the_sequence() -> None:
    hidden = torch.arange(20.0).reshape(1, 20, 1)
    tokens = VisualTokens((ViewTokens("a", 2, 2, 3), ViewTokens("b", 10, 1, 2)))
    assert tokens.gather(hidden).flatten().tolist() == [2, 3, 4, 5, 6, 7, 10, 11]
    assert tokens.gather(hidden, shift=1).flatten().tolist() == [3, 4, 5, 6, 7, 8, 11, 12]
    present = torch.tensor([[True, False]])
    both = VisualTokens.consecutive(("a", "b"), 1, 2, 2, present)
    assert [view.start for view in both.views] == [1, 5]
    assert both.mask_BT.tolist() == [[True] * 4 + [False] * 4]


@pytest.mark.parametrize(
    ("start", "shift", "message"),
    [
        (15, 0, r"view 'wrist': 2 x 3 tokens at positions 15 to 20 \(shift 0\).* 0 to 19"),
        (14, 1, r"positions 15 to 20 \(shift 1\)"),
        (-1, 0, r"positions -1 to 4"),
    ],
)
def test_positions_outside_the_sequence(start: int, shift: int, message: str) -> None:
    tokens = VisualTokens((ViewTokens("wrist", start, 2, 3),))
    with pytest.raises(UsageError, match=message):
        tokens.gather(torch.zeros(1, 20, 4), shift)


def test_masks_and_views_that_do_not_fit() -> None:
    view = ViewTokens("wrist", 0, 2, 3)
    with pytest.raises(UsageError, match=r"got shape \(1, 5\), needs \(2, 6\)"):
        VisualTokens((view,), torch.ones(1, 5, dtype=torch.bool)).gather(torch.zeros(2, 9, 4))
    with pytest.raises(UsageError, match="named no view"):
        VisualTokens(()).gather(torch.zeros(2, 9, 4))
