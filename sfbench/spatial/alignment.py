"""The method put together: tapped tokens, a teacher's features, the loss between them.

Legend: B batch, V views, T visual tokens of all views, L positions, D width of the policy, W width
of the teacher.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

from sfbench.errors import UsageError
from sfbench.spatial.grids import position_embedding, resample
from sfbench.spatial.loss import cosine_loss, without_masked
from sfbench.spatial.projector import Projector
from sfbench.spatial.settings import AlignSettings, Resampling
from sfbench.spatial.teachers.contract import Features
from sfbench.spatial.tokens import ViewTokens, VisualTokens


class Alignment(nn.Module):
    """Projector and loss. Its parameters are the projector's; no teacher is among them."""

    def __init__(
        self, settings: AlignSettings, policy_width: int, teacher_width: int, seed: int = 0
    ) -> None:
        super().__init__()
        settings.check()
        self.settings = settings
        self.projector = Projector(policy_width, teacher_width, settings.norm, seed)

    def forward(self, hidden_BLD: Tensor, tokens: VisualTokens, target_BTW: Tensor) -> Tensor:
        """The loss, a scalar in float32 at least; not yet times the weight.

        Args:
            hidden_BLD: of the tapped layer, whole sequences.
            tokens: where its visual tokens stand.
            target_BTW: the teacher's features for them; see `targets`.
        """
        hidden = tokens.gather(hidden_BLD, self.settings.shift)
        mask = None if tokens.mask_BT is None else tokens.mask_BT.to(hidden.device)
        projected = self.projector(without_masked(hidden, mask).to(self.projector.fc1.weight.dtype))
        if target_BTW.shape != projected.shape:
            raise UsageError(
                f"the teacher's features have shape {tuple(target_BTW.shape)}, the policy's "
                f"projected tokens {tuple(projected.shape)}: samples, tokens of all views, width"
            )
        return cosine_loss(projected, target_BTW.to(hidden.device), mask)


def targets(features: Features, tokens: VisualTokens, settings: AlignSettings) -> Tensor:
    """The teacher's features on the policy's grids, [B, T, W], position embedding included.

    Raises:
        UsageError: another number of views.
    """
    grids = features.grids()
    if grids.shape[1] != len(tokens.views):
        raise UsageError(
            f"the teacher has features of {grids.shape[1]} views, the policy has tokens of "
            f"{len(tokens.views)}: {', '.join(view.name for view in tokens.views)}"
        )
    grids = grids.to(torch.promote_types(grids.dtype, torch.float32))
    if settings.position_scale:
        size = (features.rows, features.columns, grids.shape[-1])
        embedding = _kept_embedding(size, grids.device, grids.dtype)
        grids = grids + settings.position_scale * embedding
    how = Resampling(settings.resampling)
    parts = [_on_view(grids[:, index], view, how) for index, view in enumerate(tokens.views)]
    return torch.cat(parts, dim=1)


@lru_cache(maxsize=4)
def _kept_embedding(size: tuple[int, int, int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """The same in every step, so it is computed and moved once."""
    return position_embedding(*size).to(device, dtype)


def _on_view(grids_BRCW: Tensor, view: ViewTokens, how: Resampling) -> Tensor:
    return resample(grids_BRCW, view.rows, view.columns, how).flatten(1, 2)
