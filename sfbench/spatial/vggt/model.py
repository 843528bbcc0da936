"""VGGT put together.

Legend: B batch, S frames, H and W pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfbench.spatial.vggt.aggregator import Aggregator
from sfbench.spatial.vggt.camera import CameraHead
from sfbench.spatial.vggt.config import VggtConfig
from sfbench.spatial.vggt.dense import DenseHead, signed_expm1


@dataclass(frozen=True, slots=True)
class Geometry:
    """What the network says about a scene.

    Attributes:
        depth_BSHW: along the optical axis; the unit of length is the scene's own.
        depth_confidence_BSHW: at least 1.
        points_BSHW3: in the first frame's camera.
        points_confidence_BSHW: at least 1.
        poses_BS9: see `camera.POSE_SIZE`.
    """

    depth_BSHW: Tensor
    depth_confidence_BSHW: Tensor
    points_BSHW3: Tensor
    points_confidence_BSHW: Tensor
    poses_BS9: Tensor


class Vggt(nn.Module):
    """Aggregator with depth, point and camera heads; the published tracking head is left out."""

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        self.config = config
        self.aggregator = Aggregator(config)
        self.camera_head = CameraHead(config)
        self.point_head = DenseHead(config, 3, signed_expm1)
        self.depth_head = DenseHead(config, 1, torch.exp)

    def forward(self, images_BSCHW: Tensor) -> Geometry:
        """Depth, points and cameras of images in [0, 1]."""
        height, width = images_BSCHW.shape[-2:]
        last = self.config.depth - 1
        layers = self.aggregator(images_BSCHW, {*self.config.dense.layers, last})
        depth, depth_confidence = self.depth_head(layers, height, width)
        points, points_confidence = self.point_head(layers, height, width)
        return Geometry(
            depth[..., 0],
            depth_confidence,
            points,
            points_confidence,
            self.camera_head(layers[last])[-1],
        )
