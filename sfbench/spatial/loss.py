"""The alignment loss: one minus the cosine between projected tokens and a teacher's.

Legend: B batch, T visual tokens of all views, W width of the teacher's features.
"""

import torch
from torch import Tensor
from torch.nn import functional


def cosine_loss(projected_BTW: Tensor, target_BTW: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Mean of 1 - cos over each sample's kept tokens, then over the batch.

    Computed in float32 at least. A token that is not kept adds exactly nothing to loss and
    gradient; a sample without any kept token counts as 0.

    Args:
        projected_BTW: the projector's output.
        target_BTW: the teacher's features.
        mask_BT: bool, True where a token is kept; None keeps all.

    Source: `AlignProjector.compute_align_loss_cosine`, OpenHelix-Team/Spatial-Forcing at 4e9f66c.
    """
    dtype = torch.promote_types(projected_BTW.dtype, torch.float32)
    projected = functional.normalize(projected_BTW.to(dtype), dim=-1)
    target = functional.normalize(without_masked(target_BTW, mask_BT).to(dtype), dim=-1)
    distance_BT = 1 - (projected * target).sum(dim=-1)
    if mask_BT is None:
        return distance_BT.mean()
    kept = torch.where(mask_BT, distance_BT, torch.zeros_like(distance_BT))
    return (kept.sum(dim=1) / mask_BT.sum(dim=1).clamp(min=1)).mean()


def without_masked(tokens_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Zeros in place of tokens that do not count, even where these are not finite."""
    if mask_BT is None:
        return tokens_BTD
    return torch.where(mask_BT[..., None], tokens_BTD, torch.zeros_like(tokens_BTD))
