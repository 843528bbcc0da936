"""What can be set for each policy. Light: no torch is imported here."""

from dataclasses import dataclass, field


def _libero_cameras() -> list[str]:
    return ["agentview", "robot0_eye_in_hand"]


def _libero_steps() -> list[str]:
    return ["jpeg_95", "lanczos3", "centre_crop_90"]


@dataclass(kw_only=True)
class OpenVla7bConfig:
    """Base OpenVLA: one image, one action a call.

    Attributes:
        checkpoint: folder or hub id. Needed, unless `random_weights_seed` is set.
        revision: of a hub id; empty is the newest.
        base_checkpoint: folder or hub id of the model that `checkpoint`'s LoRA adapter changes;
            empty to use the weights in `checkpoint` itself.
        statistics_key: the data set whose statistics un-normalise actions; may be empty if the
            checkpoint knows only one.
        cameras: the suite's names of the cameras, in the model's order.
        image_steps: see ImageStep; leave out centre_crop_90 for models trained without crops.
        dtype: of weights and arithmetic.
        device: a torch device, or `auto`: a GPU where there is one.
        random_weights_seed: measure speed without a checkpoint; scores mean nothing.
    """

    checkpoint: str = ""
    revision: str = ""
    base_checkpoint: str = ""
    statistics_key: str = ""
    cameras: list[str] = field(default_factory=lambda: _libero_cameras()[:1])
    image_steps: list[str] = field(default_factory=_libero_steps)
    dtype: str = "bfloat16"
    device: str = "auto"
    random_weights_seed: int | None = None


@dataclass(kw_only=True)
class OpenVlaOft7bConfig(OpenVla7bConfig):
    """OpenVLA-OFT: two images and the state, eight actions a call. Keys as in OpenVla7bConfig."""

    cameras: list[str] = field(default_factory=_libero_cameras)


@dataclass(kw_only=True)
class SmallConfig:
    """Small models of the same code.

    Attributes:
        checkpoint: a folder that training wrote. Needed, unless `random_weights_seed` is set.
        cameras: for random weights only: the views; empty is all that the suite has.
        dtype: of weights and arithmetic.
        device: a torch device, or `auto`: a GPU where there is one.
        random_weights_seed: an untrained model, scaled by the suite's bounds.
    """

    checkpoint: str = ""
    cameras: list[str] = field(default_factory=list)
    dtype: str = "float32"
    device: str = "auto"
    random_weights_seed: int | None = None
