"""What a policy family implements so that its vision and language layers can be pretrained.

Legend: B batch, V views, C colours, H and W pixels, P patches of a view, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


class Reader(Protocol):
    """Vision and language layers without a robot: images and a question in, hidden states out.

    Attributes:
        module: the network.
        grid: rows and columns of a view's patches; tokens go row by row from the top left.
        width: D.
    """

    module: nn.Module
    grid: tuple[int, int]
    width: int

    def views(self, images: Mapping[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Resized: camera name to uint8 [B, H, W, 3], upright, to [B, V, px, px, 3]."""

    def read(self, images_BVCHW: Tensor, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Hidden states of the visual tokens [B, V, P, D], and of the text's last token [B, D].

        Args:
            images_BVCHW: float32 in [0, 1].
            texts: B questions.
        """

    def save(self, folder: Path) -> None:
        """Write a folder that `sfbench train start=` takes."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ReaderRequest:
    """What a family's factory is told.

    Attributes:
        config: instance of the policy plugin's config class.
        cameras: names of the views, in the model's order.
        texts: all that may be asked or instructed, from which the vocabulary is made.
        seed: of the weights.
    """

    config: Any
    cameras: tuple[str, ...]
    texts: tuple[str, ...]
    seed: int


class ReaderFactory(Protocol):
    """Named by `PolicyPlugin.reader`."""

    def __call__(self, request: ReaderRequest) -> Reader:
        """Build it, untrained, in float32 on the CPU. Raises UsageError."""
