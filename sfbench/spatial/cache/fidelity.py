"""What a cache loses where images are cropped and recoloured, which the teacher then never sees."""

from dataclasses import dataclass

import numpy as np
import torch

from sfbench.spatial.cache.build import CacheRequest, policy_grids
from sfbench.spatial.cache.store import FeatureCache, cosine_distance
from sfbench.spatial.grids import resample
from sfbench.spatial.settings import Resampling
from sfbench.spatial.teachers.contract import Scene, checked_features
from sfbench.training.augmentation import Augmentation
from sfbench.training.settings import AugmentConfig

_SAMPLED = 16


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Mean cosine distances.

    Attributes:
        augmented: between cached features, resampled for a crop, and those that the teacher gives
            for the cropped and recoloured image.
        uncropped: the same where crops are ignored: what resampling is good for.
        neighbours: between a frame and the next: a yardstick.
    """

    augmented: float
    uncropped: float
    neighbours: float


def measure(cache: FeatureCache, request: CacheRequest, augment: AugmentConfig) -> Fidelity:
    """Compare on some frames, drawn with a fixed seed."""
    augmentation = Augmentation(augment)
    pairs = [(one, two) for one, count in request.lengths().items() for two in range(count)]
    chosen = np.random.default_rng(0).choice(len(pairs), min(_SAMPLED, len(pairs)), replace=False)
    some = [pairs[int(index)] for index in chosen]
    distances, ignored, done = [], [], 0
    for demos in request.frames(some):
        scene = request.scenes(demos)
        seeds = list(range(done, done + len(demos)))
        done += len(demos)
        seen = Scene(augmentation(scene.images_BVCHW, seeds), scene.points_BVHW3)
        features = checked_features(request.teacher, seen)
        grids = features.grids()
        online = resample(
            grids.flatten(0, 1).float(), *request.grid, Resampling(cache.key.resampling)
        ).reshape(*grids.shape[:2], *request.grid, -1)
        stored = cache.read(demos.episode.tolist(), demos.frame.tolist())
        px = scene.images_BVCHW.shape[-1]
        boxes = augmentation.boxes(seeds, grids.shape[1])
        cached = policy_grids(cache, stored, boxes, px)
        distances.append(cosine_distance(cached, online.cpu()).mean())
        whole = policy_grids(cache, stored, None, px)
        ignored.append(cosine_distance(whole, online.cpu()).mean())
    return Fidelity(
        float(torch.stack(distances).mean()),
        float(torch.stack(ignored).mean()),
        float(cache.index["neighbouring_frames_cosine_distance"]),
    )
