"""The keys of each teacher: light, because the command line reads them. No torch here."""

from dataclasses import dataclass

SHIPPED = "shipped"
"""In the place of a checkpoint: the weights that come with this project."""


@dataclass
class VggtTeacherConfig:
    """Keys under `teacher.`.

    Attributes:
        checkpoint: folder or hub id of the weights.
        layer: output of the aggregator to align with, counted from 0; -1 is the last.
        image_px: longer side of the images that it looks at; 0 is the size it was trained at.
        dtype: float32 or bfloat16.
    """

    checkpoint: str = "facebook/VGGT-1B"
    layer: int = -1
    image_px: int = 0
    dtype: str = "bfloat16"


@dataclass
class VggtMiniTeacherConfig(VggtTeacherConfig):
    """The same keys; `checkpoint` is `shipped`, or a folder that `sfbench train teacher` wrote."""

    checkpoint: str = SHIPPED
    dtype: str = "float32"


@dataclass
class FlatTeacherConfig:
    """Keys under `teacher.`.

    Attributes:
        checkpoint: folder or hub id, in the format of transformers.
        layer: hidden state to align with: 0 is the embeddings, -1 the last block's output.
        image_px: longer side of the images that it looks at; 0 is the size it was trained at.
        dtype: float32 or bfloat16.
    """

    checkpoint: str = ""
    layer: int = -1
    image_px: int = 0
    dtype: str = "bfloat16"


@dataclass
class Dinov2TeacherConfig(FlatTeacherConfig):
    """DINOv2 with registers, large."""

    checkpoint: str = "facebook/dinov2-with-registers-large"


@dataclass
class SiglipTeacherConfig(FlatTeacherConfig):
    """SigLIP, the shape-optimised one at 224 px."""

    checkpoint: str = "google/siglip-so400m-patch14-224"


@dataclass
class PointmapTeacherConfig:
    """Keys under `teacher.`.

    Attributes:
        side: rows (and columns) of its patch grid.
        waves: sine and cosine pairs for each coordinate; an even number.
        longest_m: the longest wave, in metres; each further one is half as long.
    """

    side: int = 16
    waves: int = 8
    longest_m: float = 4.0


@dataclass
class RandomTeacherConfig:
    """Keys under `teacher.`.

    Attributes:
        side: rows (and columns) of its patch grid.
        patch_px: pixels of a patch's side; images are resized to `side * patch_px`.
        width: of a feature, a multiple of 4.
        seed: of the weights.
    """

    side: int = 16
    patch_px: int = 14
    width: int = 256
    seed: int = 0
