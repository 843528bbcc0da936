"""Reading the hidden states of any module inside a network, without editing the network."""

import difflib
from collections.abc import Sequence

from torch import Tensor, nn

from sfbench.errors import UsageError

_SHOWN = 5
_DIMENSIONS = 3


class FeatureTap:
    """Keeps what one named module returned last, until it is taken.

    A forward hook does it, so the network computes what it computes without the tap.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        """Tap `layer`, a name in `network.named_modules()`.

        Raises:
            UsageError: there is no such layer; the nearest names are shown.
        """
        self.layer = layer
        self._kept: object = None
        self._handle = find_module(network, layer).register_forward_hook(self._keep)

    def take(self) -> Tensor:
        """The hidden states [B, L, D] of the last pass, with their gradient graph; once.

        Raises:
            UsageError: the layer did not run since, or returned something else.
        """
        kept, self._kept = self._kept, None
        if kept is None:
            raise UsageError(f"layer '{self.layer}' did not run in this pass; align another one")
        first = kept[0] if isinstance(kept, tuple | list) else kept
        if not isinstance(first, Tensor) or first.ndim != _DIMENSIONS:
            got = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
            raise UsageError(
                f"layer '{self.layer}' returned {got}; alignment needs hidden states of shape "
                "[samples, positions, width]"
            )
        return first

    def remove(self) -> None:
        """Take the hook out again."""
        self._handle.remove()
        self._kept = None

    def _keep(self, _module: nn.Module, _inputs: object, output: object) -> None:
        self._kept = output


def find_module(network: nn.Module, layer: str) -> nn.Module:
    """The module of that name. Raises UsageError with the nearest names."""
    modules: dict[str, nn.Module] = dict(network.named_modules())
    modules.pop("")
    if layer not in modules:
        near = difflib.get_close_matches(layer, modules, n=_SHOWN, cutoff=0.0)
        raise UsageError(
            f"no layer '{layer}' among the {len(modules)} of {type(network).__name__}. "
            f"Nearest: {', '.join(near)}"
        )
    return modules[layer]


def resolve_layer(layer: str, names: Sequence[str]) -> str:
    """A module's name from what was typed: that name itself, or the index of a hidden state.

    Args:
        layer: `24`, or a module name.
        names: the modules whose outputs are hidden states 1, 2, ... (0 is the embeddings, which no
            layer computes).

    Raises:
        UsageError: no such hidden state.
    """
    if not layer.lstrip("-").isdigit():
        return layer
    index = int(layer)
    if not 1 <= index <= len(names):
        raise UsageError(
            f"align.layer={layer}: the policy has hidden states 1 to {len(names)} (the outputs of "
            f"'{names[0]}' to '{names[-1]}')"
        )
    return names[index - 1]
