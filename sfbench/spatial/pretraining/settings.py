"""What `sfbench train teacher` can be told. No torch here: the command line reads this."""

from dataclasses import dataclass, field

from sfbench.errors import UnknownNameError, UsageError
from sfbench.spatial.vggt.config import DenseHeadConfig, VggtConfig

CONTROLS = ("single_view", "none")
MODELS = ("vggt_mini", "single_view")
"""The teacher, and the same network trained and asked one view at a time."""


@dataclass
class SizesConfig:
    """Sizes of the network; see `VggtConfig`.

    Attributes:
        patch_px: side of a patch.
        width: of a token.
        depth: pairs of a frame block and a global block, 4 or more.
        heads: of every block.
        patch_depth: blocks of the patch embedding.
        features: channels in the depth and point heads, a multiple of 8.
    """

    patch_px: int = 8
    width: int = 96
    depth: int = 4
    heads: int = 4
    patch_depth: int = 1
    features: int = 16


@dataclass
class TeacherSettings:
    """Scenes, network and training.

    Attributes:
        scenes: rendered for each task that is trained on.
        test_scenes: of each of two test sets, from the `eval` split: of tasks trained on, and not.
        held_out: tasks that are not trained on; empty: every fifth.
        tasks: all others; empty: all that the suite has.
        views: pictures of a scene, 2 or more.
        image_px: side of a picture.
        model: sizes of the network.
        steps: of the optimiser.
        batch_size: pictures of a step; a step's scenes have 2 to `views` of them.
        lr: highest learning rate; it rises over a twentieth of the steps, falls as a cosine.
        seed: of scenes, weights and order.
        precision: `no` or `bf16`, of the passes; weights are float32.
        control: `single_view` trains that control as well, with equal budget; `none`.
        resume_every: steps between checkpoints.
        max_mb: larger weights (in half precision, millions of bytes) are refused.
        device: `auto`, `cpu` or `cuda`.
    """

    scenes: int = 80
    test_scenes: int = 160
    held_out: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    views: int = 4
    image_px: int = 64
    model: SizesConfig = field(default_factory=SizesConfig)
    steps: int = 1500
    batch_size: int = 24
    lr: float = 1e-3
    seed: int = 0
    precision: str = "no"
    control: str = "single_view"
    resume_every: int = 250
    max_mb: float = 10.0
    device: str = "auto"

    def check(self) -> None:
        """Refuse values that mean nothing. Raises UsageError."""
        for name in ("scenes", "test_scenes", "steps", "resume_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: allowed 1 or more")
        if self.views < 2:
            raise UsageError(f"views={self.views}: allowed 2 or more")
        if self.batch_size < self.views:
            raise UsageError(f"batch_size={self.batch_size}: allowed views={self.views} or more")
        if not self.lr > 0 or self.seed < 0:
            raise UsageError("lr must be above 0, and seed 0 or more")
        if self.precision not in ("no", "bf16"):
            raise UnknownNameError("precision", self.precision, ("no", "bf16"))
        if self.control not in CONTROLS:
            raise UnknownNameError("control", self.control, CONTROLS)
        if self.model.depth < 4 or self.model.features % 8 or self.model.features < 8:
            raise UsageError(
                f"model.depth={self.model.depth} model.features={self.model.features}: allowed 4 "
                "or more, and multiples of 8"
            )
        self.network()

    def network(self) -> VggtConfig:
        """The network's sizes. Raises UsageError where they do not fit each other."""
        sizes = self.model
        last = sizes.depth - 1
        return VggtConfig(
            image_px=self.image_px,
            patch_px=sizes.patch_px,
            width=sizes.width,
            depth=sizes.depth,
            heads=sizes.heads,
            patch_depth=sizes.patch_depth,
            patch_heads=sizes.heads,
            registers=2,
            camera_depth=1,
            camera_heads=sizes.heads,
            dense=DenseHeadConfig(
                layers=(last - 3, last - 2, last - 1, last),
                channels=(sizes.features,) * 4,
                features=sizes.features,
            ),
        )
