"""Batches of scenes, and what the network ought to say about them.

Legend: B scenes, S views, C colours, H and W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from sfbench.rollout.seeds import derive_seed
from sfbench.spatial.pretraining.scenes import Scenes
from sfbench.spatial.vggt.camera import POSE_SIZE


@dataclass(frozen=True, slots=True)
class SceneBatch:
    """Views of scenes with their geometry; lengths are metres.

    Attributes:
        images_BSCHW: in [0, 1].
        depth_BSHW: along each camera's axis; inf where nothing is seen.
        points_BSHW3: what is seen at each pixel, in the first view's camera; not finite likewise.
        poses_BS9: see `camera.POSE_SIZE`.
    """

    images_BSCHW: Tensor
    depth_BSHW: Tensor
    points_BSHW3: Tensor
    poses_BS9: Tensor

    def to(self, device: torch.device) -> "SceneBatch":
        """The same, elsewhere."""
        return SceneBatch(
            self.images_BSCHW.to(device),
            self.depth_BSHW.to(device),
            self.points_BSHW3.to(device),
            self.poses_BS9.to(device),
        )


def draw_batch(scenes: Scenes, pictures: int, seed: int, step: int, alone: bool) -> SceneBatch:
    """The batch of a training step, the same for the teacher and its single-view control.

    Args:
        scenes: to draw from.
        pictures: at most this many; a step's scenes all have the same random number of views, from
            2 to all.
        seed: of the run.
        step: of the run.
        alone: every picture is a scene of its own.
    """
    random = np.random.default_rng(derive_seed("teacher batch", seed, step))
    views = int(random.integers(2, scenes.images.shape[1] + 1))
    rows = random.integers(len(scenes), size=pictures // views)
    chosen = np.stack([random.permutation(scenes.images.shape[1])[:views] for _ in rows])
    return make_batch(scenes, rows.tolist(), chosen.tolist(), alone)


def make_batch(
    scenes: Scenes, rows: Sequence[int], views: Sequence[Sequence[int]], alone: bool
) -> SceneBatch:
    """Some views of some scenes.

    Args:
        scenes: to take from.
        rows: B scenes.
        views: S views of each, in order; the first gives the frame of reference.
        alone: give B * S scenes of one view each instead.
    """
    at, which = np.repeat(rows, len(views[0])), np.concatenate([list(one) for one in views])
    shape = (len(at), 1) if alone else (len(rows), len(views[0]))
    focal = scenes.focal_px[at].reshape(shape)
    to_world = scenes.to_world[at, which].reshape(*shape, 4, 4)
    depth = scenes.depth_m[at, which].reshape(*shape, *scenes.depth_m.shape[2:])
    images = scenes.images[at, which].reshape(*shape, *scenes.images.shape[2:])
    to_first = np.linalg.inv(to_world[:, :1]) @ to_world
    return SceneBatch(
        torch.from_numpy(images).permute(0, 1, 4, 2, 3).float() / 255,
        torch.from_numpy(depth),
        _points(depth, focal, to_first),
        _poses(to_first, focal, depth.shape[-2], depth.shape[-1]),
    )


def _points(
    depth_BSHW: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
    focal_BS: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
    to_first: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
) -> Tensor:
    """In the first camera's frame, float32 [B, S, H, W, 3]."""
    height, width = depth_BSHW.shape[-2:]
    row, column = np.mgrid[:height, :width] + 0.5
    focal = focal_BS[..., None, None]
    z = np.where(np.isfinite(depth_BSHW), depth_BSHW.astype(np.float64), np.nan)
    own = np.stack([(column - width / 2) / focal * z, (row - height / 2) / focal * z, z], axis=-1)
    turned = np.einsum("bsij,bshwj->bshwi", to_first[..., :3, :3], own)
    points = turned + to_first[..., None, None, :3, 3]
    return torch.from_numpy(points.astype(np.float32))


def _poses(
    to_first: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
    focal_BS: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
    height: int,
    width: int,
) -> Tensor:
    """Float32 [B, S, 9]: from the first camera to each, and fields of view."""
    from_first = np.linalg.inv(to_first)
    shape = focal_BS.shape
    turn = Rotation.from_matrix(from_first[..., :3, :3].reshape(-1, 3, 3))
    poses = np.empty((*shape, POSE_SIZE), np.float32)
    poses[..., :3] = from_first[..., :3, 3]
    poses[..., 3:7] = turn.as_quat(canonical=True).reshape(*shape, 4)
    poses[..., 7] = 2 * np.arctan(height / 2 / focal_BS)
    poses[..., 8] = 2 * np.arctan(width / 2 / focal_BS)
    return torch.from_numpy(poses)
