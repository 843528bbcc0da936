"""The camera head: from each frame's camera token to its pose and field of view.

Legend: B batch, S frames, D width of the aggregator's outputs.
"""

import torch
from torch import Tensor, nn

from sfbench.spatial.vggt.blocks import Block, Mlp
from sfbench.spatial.vggt.config import VggtConfig

POSE_SIZE = 9
"""Translation in metres (3), quaternion x y z w (4), vertical and horizontal field of view in
rad (2), of the transform from the first frame's camera to this one (x right, y down, z ahead)."""
_ITERATIONS = 4
_LAYER_SCALE = 0.01


class CameraHead(nn.Module):
    """Refines a pose in a few rounds, each of which sees the one before."""

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        width = config.feature_width
        self.trunk = nn.Sequential(
            *(
                Block(
                    width,
                    config.camera_heads,
                    qk_norm=False,
                    layer_scale=_LAYER_SCALE,
                    norm_eps=1e-5,
                )
                for _ in range(config.camera_depth)
            )
        )
        self.token_norm = nn.LayerNorm(width)
        self.trunk_norm = nn.LayerNorm(width)
        self.empty_pose_tokens = nn.Parameter(torch.zeros(1, 1, POSE_SIZE))
        self.embed_pose = nn.Linear(POSE_SIZE, width)
        self.poseLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 3 * width))
        self.adaln_norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.pose_branch = Mlp(width, width // 2, POSE_SIZE)

    def forward(self, tokens_BSTD: Tensor) -> list[Tensor]:
        """Poses [B, S, 9] after each round, the last one best; see POSE_SIZE."""
        camera: Tensor = self.token_norm(tokens_BSTD[:, :, 0])
        pose = None
        poses = []
        for _ in range(_ITERATIONS):
            seen = self.empty_pose_tokens.expand(*camera.shape[:2], -1)
            if pose is not None:
                seen = pose.detach()
            shift, scale, gate = self.poseLN_modulation(self.embed_pose(seen)).chunk(3, dim=-1)
            modulated = gate * (self.adaln_norm(camera) * (1 + scale) + shift) + camera
            change = self.pose_branch(self.trunk_norm(self.trunk(modulated)))
            # The raw pose is not clamped between rounds, and no gradient runs through it.
            pose = change if pose is None else pose.detach() + change
            poses.append(torch.cat([pose[..., :7], pose[..., 7:].relu()], dim=-1))
        return poses
