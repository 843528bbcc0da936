"""What a trainer is fed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoBatch:
    """B moments of demonstrations, each with the K actions that follow it.

    Attributes:
        images: camera name to uint8 [B, H, W, 3], RGB, oriented as the dataset's spec says.
        state: float32 [B, S], laid out as the spec says.
        actions: float32 [B, K, A], raw (not normalised); past the end of an episode its last action
            is repeated.
        actions_valid: bool [B, K]; False where an action is such a repetition.
        instructions: B wordings.
        episode: int64 [B], the dataset's episode ids.
        frame: int64 [B], index within the episode.
        extras: name to [B, ...]: `depth_m/<camera>` float32 [B, H, W] in m (inf: nothing seen),
            `segmentation/<camera>` int32 [B, H, W], `intrinsics/<camera>` float64 [B, 3, 3] in px,
            `to_world/<camera>` float64 [B, 4, 4]; only those asked for.
    """

    images: Mapping[str, NDArray[np.uint8]]
    state: NDArray[np.float32]
    actions: NDArray[np.float32]
    actions_valid: NDArray[np.bool_]
    instructions: tuple[str, ...]
    episode: NDArray[np.int64]
    frame: NDArray[np.int64]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        """B."""
        return len(self.episode)
