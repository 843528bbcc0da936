"""What is minimised: depth, points and cameras, as in VGGT, in metres.

Source: Wang et al. 2025 (arXiv 2503.11651), section 3.4: errors weighted by a learned confidence c,
less its logarithm, and the camera's after every round. Different here: depth's error is that of its
logarithm (what AbsRel measures), lengths are metres instead of shares of the scene's size, errors
of gradients and of tracks are left out.
"""

import torch
from torch import Tensor

from sfbench.spatial.pretraining.batches import SceneBatch
from sfbench.spatial.vggt.model import Vggt

_CONFIDENCE_WEIGHT = 0.2
_ROUND_FACTOR = 0.6
"""Each earlier round of the camera head counts this much less than the next."""


def losses(model: Vggt, batch: SceneBatch, dtype: torch.dtype) -> dict[str, Tensor]:
    """Scalars by name; their sum is minimised.

    Args:
        model: in training.
        batch: what it sees, and the truth.
        dtype: of the passes; float32, or bfloat16 by autocast.
    """
    height, width = batch.images_BSCHW.shape[-2:]
    last = model.config.depth - 1
    with torch.autocast(batch.images_BSCHW.device.type, dtype, enabled=dtype != torch.float32):
        layers = model.aggregator(batch.images_BSCHW, {*model.config.dense.layers, last})
        depth, depth_confidence = model.depth_head(layers, height, width)
        points, points_confidence = model.point_head(layers, height, width)
        poses = model.camera_head(layers[last])
    known = torch.isfinite(batch.depth_BSHW)
    true_depth = torch.where(known, batch.depth_BSHW, 1.0)
    true_points = torch.where(known[..., None], batch.points_BSHW3, 0.0)
    depth_error = (depth[..., 0].float().log() - true_depth.log()).abs()
    points_error = (points.float() - true_points).abs().mean(dim=-1)
    factors = [_ROUND_FACTOR ** (len(poses) - 1 - index) for index in range(len(poses))]
    camera = [
        factor * (pose.float() - batch.poses_BS9).abs().mean()
        for factor, pose in zip(factors, poses, strict=True)
    ]
    return {
        "depth": _weighted(depth_error, depth_confidence.float(), known),
        "points": _weighted(points_error, points_confidence.float(), known),
        "camera": torch.stack(camera).sum() / sum(factors),
    }


def _weighted(error: Tensor, confidence: Tensor, known: Tensor) -> Tensor:
    value = confidence * error - _CONFIDENCE_WEIGHT * confidence.log()
    return torch.where(known, value, 0.0).sum() / known.sum().clamp(min=1)
