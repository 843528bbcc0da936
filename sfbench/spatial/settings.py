"""The choices of the method, each a setting. No torch here: the command line reads this."""

from dataclasses import dataclass
from enum import StrEnum

from sfbench.errors import UnknownNameError, UsageError

IMAGES = ("policy", "clean")
CACHES = ("none", "float32", "bfloat16", "float16", "int8")


class Resampling(StrEnum):
    """How a teacher's grid becomes the policy's."""

    BILINEAR = "bilinear"
    """Corners on corners, as the method does it."""
    BICUBIC = "bicubic"
    """The same with a smoother kernel."""
    AREA = "area"
    """Means over the cells that a token covers."""


@dataclass
class AlignSettings:
    """What `align.KEY=` can be; the defaults are the published OpenVLA-OFT ones but for the shift.

    Attributes:
        weight: of the alignment loss in the total loss; 0 runs everything and changes nothing.
        layer: hidden state of the policy to align: its index (1 is the first layer's output), or a
            module's name; empty is three quarters of the depth.
        norm: LayerNorm in front of the projector.
        position_scale: of the position embedding that is added to the teacher's features.
        resampling: from the teacher's grid to the policy's: bilinear, bicubic or area.
        shift: read each visual token that many positions later.
        images: `policy`: the teacher sees the policy's own crops and colours; `clean`: it sees the
            images before these.
        cache: `none`: the teacher runs in every step; else its features are computed once and
            stored as float32, bfloat16, float16 or int8.
    """

    weight: float = 0.5
    layer: str = ""
    norm: bool = True
    position_scale: float = 0.1
    resampling: str = "bilinear"
    shift: int = 0
    images: str = "policy"
    cache: str = "none"

    def check(self) -> None:
        """Refuse values that mean nothing. Raises UsageError."""
        if not 0 <= self.weight < float("inf"):
            raise UsageError(f"align.weight={self.weight}: allowed 0 or more")
        if not 0 <= self.position_scale < float("inf"):
            raise UsageError(f"align.position_scale={self.position_scale}: allowed 0 or more")
        if self.images not in IMAGES:
            raise UnknownNameError("align.images", self.images, IMAGES)
        if self.cache not in CACHES:
            raise UnknownNameError("align.cache", self.cache, CACHES)
        if self.resampling not in list(Resampling):
            raise UnknownNameError("align.resampling", self.resampling, Resampling)

    def default_layer(self, layers: int) -> str:
        """The layer to tap in a policy with that many."""
        return self.layer or str(max(1, round(0.75 * layers)))
