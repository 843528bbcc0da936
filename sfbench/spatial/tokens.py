"""Where the visual tokens of each view stand in a policy's sequence.

Legend: B batch, V views, T visual tokens of all views, L positions of the sequence, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sfbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class ViewTokens:
    """One view's tokens: a grid that is written row by row from one position on.

    Attributes:
        name: of the view, for messages.
        start: position of its first token, the same in every sample.
        rows: of the patch grid.
        columns: of the patch grid.
    """

    name: str
    start: int
    rows: int
    columns: int

    @property
    def count(self) -> int:
        """How many tokens the view has."""
        return self.rows * self.columns


@dataclass(frozen=True, slots=True)
class VisualTokens:
    """All views' tokens in one batch: what a policy family has to say about its sequence.

    Attributes:
        views: in the order in which the teacher is given their images.
        mask_BT: bool, False at tokens that show nothing (a missing view, padding around an image),
            views one after the other; None where every token counts.
    """

    views: tuple[ViewTokens, ...]
    mask_BT: Tensor | None = None

    @classmethod
    def consecutive(
        cls, names: Sequence[str], start: int, rows: int, columns: int, present_BV: Tensor | None
    ) -> Self:
        """Views of one grid that follow each other without a gap.

        Args:
            names: of the views.
            start: position of the first view's first token.
            rows: of each grid.
            columns: of each grid.
            present_BV: bool, which sample has which view; None: all have all.
        """
        count = rows * columns
        views = tuple(
            ViewTokens(name, start + index * count, rows, columns)
            for index, name in enumerate(names)
        )
        mask = None if present_BV is None else present_BV.repeat_interleave(count, dim=1)
        return cls(views, mask)

    @property
    def count(self) -> int:
        """T."""
        return sum(view.count for view in self.views)

    def gather(self, hidden_BLD: Tensor, shift: int = 0) -> Tensor:
        """Hidden states of all visual tokens, [B, T, D].

        Args:
            hidden_BLD: of the whole sequence.
            shift: read each token that many positions later. The public code reads OpenVLA's one
                late (`gain_feat_1move`), so that its last one is the state token.

        Raises:
            UsageError: a position lies outside the sequence, or the mask has another size.
        """
        self.check(hidden_BLD.shape[0], hidden_BLD.shape[1], shift)
        parts = [
            hidden_BLD[:, view.start + shift : view.start + shift + view.count]
            for view in self.views
        ]
        return torch.cat(parts, dim=1)

    def check(self, batch: int, length: int, shift: int) -> None:
        """Compare with a sequence. Raises UsageError."""
        if not self.views:
            raise UsageError("the policy named no view, so there is nothing to align")
        for view in self.views:
            first, last = view.start + shift, view.start + shift + view.count - 1
            if first < 0 or last >= length or view.count < 1:
                raise UsageError(
                    f"visual tokens of view '{view.name}': {view.rows} x {view.columns} tokens at "
                    f"positions {first} to {last} (shift {shift}); the sequence has positions 0 to "
                    f"{length - 1}. Mend start, grid or align.shift"
                )
        if self.mask_BT is not None and tuple(self.mask_BT.shape) != (batch, self.count):
            raise UsageError(
                f"mask of visual tokens: got shape {tuple(self.mask_BT.shape)}, needs "
                f"({batch}, {self.count}): samples, tokens of all views"
            )
