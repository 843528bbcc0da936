"""Statistics of pixels, per channel: what the LeRobot layout keeps of every camera."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

EVERY_FRAMES = 10
"""Only every tenth frame counts; neighbours look alike."""


@dataclass(slots=True)
class ImageStatistics:
    """Running sums over pixels of the three channels, in levels of 0 to 255."""

    frames: int = 0
    pixels: int = 0
    total: list[float] = field(default_factory=lambda: [0.0] * 3)
    squares: list[float] = field(default_factory=lambda: [0.0] * 3)
    low: list[int] = field(default_factory=lambda: [255] * 3)
    high: list[int] = field(default_factory=lambda: [0] * 3)

    def add(self, image: NDArray[np.uint8], frame: int) -> None:
        """Count a frame [H, W, 3], if it is one of those that count."""
        if frame % EVERY_FRAMES:
            return
        table = image.reshape(-1, 3).astype(np.float64)
        self.merge(
            ImageStatistics(
                frames=1,
                pixels=len(table),
                total=table.sum(axis=0).tolist(),
                squares=(table**2).sum(axis=0).tolist(),
                low=image.reshape(-1, 3).min(axis=0).tolist(),
                high=image.reshape(-1, 3).max(axis=0).tolist(),
            )
        )

    def merge(self, other: "ImageStatistics") -> None:
        """Add another's sums."""
        self.frames += other.frames
        self.pixels += other.pixels
        self.total = [one + two for one, two in zip(self.total, other.total, strict=True)]
        self.squares = [one + two for one, two in zip(self.squares, other.squares, strict=True)]
        self.low = [min(pair) for pair in zip(self.low, other.low, strict=True)]
        self.high = [max(pair) for pair in zip(self.high, other.high, strict=True)]

    def to_lerobot(self) -> dict[str, Any]:
        """As LeRobot writes them: of values from 0 to 1, shaped [3, 1, 1]."""
        mean = np.array(self.total) / self.pixels
        std = np.sqrt(np.maximum(np.array(self.squares) / self.pixels - mean**2, 0.0))
        values = {"min": np.array(self.low), "max": np.array(self.high), "mean": mean, "std": std}
        shaped = {key: (value / 255.0).reshape(3, 1, 1).tolist() for key, value in values.items()}
        return {**shaped, "count": [self.frames]}
