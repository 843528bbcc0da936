"""How a run trains: every key that a recipe or the command line can set. Light: no torch."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from sfbench.demos.lerobot.foreign_images import ForeignImages
from sfbench.errors import UnknownNameError, UsageError

PRECISIONS = ("no", "bf16")
DISTRIBUTED = ("ddp", "fsdp")
SCHEDULES = ("constant", "step", "cosine")
OPTIMISERS = ("adamw", "muon")


@dataclass
class AugmentConfig:
    """Random changes of images, drawn anew for each view of each sample.

    Attributes:
        crop_area: share of the image's area that a random crop keeps; 1 crops nothing.
        brightness: added, at most this much either way, of values in [0, 1].
        contrast: factor about the mean, at most this much away from 1.
        saturation: likewise, about the grey image.
        hue: turn of the colour circle, at most this share of a full turn.
    """

    crop_area: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


@dataclass
class LoraConfig:
    """Low-rank adapters on all linear layers (Hu et al. 2021, arXiv 2106.09685).

    Attributes:
        rank: 0 trains all weights instead.
        alpha: the change is scaled by alpha / rank; null: OpenVLA's rule, min(rank, 16).
        dropout: of the adapters' input.
    """

    rank: int = 0
    alpha: int | None = None
    dropout: float = 0.0


@dataclass
class OptimiserConfig:
    """The optimiser and its learning rate.

    Attributes:
        kind: `adamw`; or `muon` (Jordan et al. 2024; scaled as in arXiv 2502.16982, so that rates
            mean what they do for AdamW) for the matrices inside the network, AdamW for the rest.
        lr: after warm-up.
        schedule: `constant`; `step`: divided by 10 at each of `decay_at`; `cosine`: down to a tenth
            at the last step, or at the one that `decay_at` names.
        warmup_steps: in which it rises linearly from 0.
        decay_at: steps, for `step`; one step or none for `cosine`.
        weight_decay: decoupled.
        beta1: of AdamW's first moment.
        beta2: of AdamW's second moment.
        clip_norm: longest gradient; 0 clips nothing.
    """

    kind: str = "adamw"
    lr: float = 5e-4
    schedule: str = "constant"
    warmup_steps: int = 0
    decay_at: list[int] = field(default_factory=list)
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    clip_norm: float = 1.0


@dataclass
class TrainSettings:
    """How long, in which portions, and what is kept.

    Attributes:
        steps: optimiser steps in all.
        batch_size: samples of a step, over all processes.
        micro_batch: samples of a pass in one process; null: the process's whole share.
        seed: of weights, order, augmentation, noise and dropout.
        subset: of the demonstrations: a share (10%), a number of episodes, or all.
        foreign: what demonstrations of another project do not say of their images.
        keep: steps whose checkpoints are kept; the last is always.
        resume_every: steps between checkpoints to resume from; only the newest is kept of these.
        log_every: steps between lines of metrics.jsonl.
        precision: `no` (float32) or `bf16` (autocast).
        distributed: how several processes share the work: `ddp`, or `fsdp` (weights in pieces).
        device: `auto`, `cpu` or `cuda`.
        loader_workers: processes that decode demonstrations; 0 decodes in the trainer.
        ema_decay: of an average of the weights, saved in place of the last ones; 0: none.
        tensorboard: also write event files, if tensorboard is installed.
        augment: random changes of images.
        lora: adapters.
        optimiser: which, and its learning rate.
    """

    steps: int = 1000
    batch_size: int = 16
    micro_batch: int | None = None
    seed: int = 0
    subset: str = "all"
    foreign: ForeignImages = field(default_factory=ForeignImages)
    keep: list[int] = field(default_factory=list)
    resume_every: int = 500
    log_every: int = 1
    precision: str = "no"
    distributed: str = "ddp"
    device: str = "auto"
    loader_workers: int = 0
    ema_decay: float = 0.0
    tensorboard: bool = False
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)


@dataclass
class RolloutConfig:
    """Evaluations while training; they need `suite=`.

    Attributes:
        steps: after which the checkpoint is rolled out; they are kept.
        tasks: null: all.
        split: initial states; `select` is there for choosing checkpoints.
        episodes: per task; null: all of the split.
        seed: of the rollout.
        workers: simulator processes; 0: in the trainer.
    """

    steps: list[int] = field(default_factory=list)
    tasks: list[str] | None = None
    split: str = "select"
    episodes: int | None = None
    seed: int = 0
    workers: int = 1


_FREE = (
    "keep",
    "resume_every",
    "log_every",
    "device",
    "distributed",
    "loader_workers",
    "tensorboard",
)
_OF_THE_DATA = "foreign"
"""Counts as a part of the demonstrations, and is in their hash."""
_OWN_FIELDS = ("seed", "subset", "steps", "micro_batch", _OF_THE_DATA, *_FREE)


def fixed_settings(settings: TrainSettings) -> dict[str, Any]:
    """What a resume may not change: all that losses depend on, the demonstrations apart."""
    left_out = (_OF_THE_DATA, *_FREE)
    found = {key: value for key, value in asdict(settings).items() if key not in left_out}
    if not _falls_to_the_end(settings.optimiser):
        found.pop("steps")
    return found


def recipe_settings(settings: TrainSettings) -> dict[str, Any]:
    """What makes two runs the same recipe; steps, seed and data have row fields of their own."""
    found = {key: value for key, value in asdict(settings).items() if key not in _OWN_FIELDS}
    if _falls_to_the_end(settings.optimiser):
        found["steps"] = settings.steps
    return found


def check_settings(settings: TrainSettings) -> None:
    """Raises UsageError for a number outside its range or a name that is none."""
    optimiser, augment, lora = settings.optimiser, settings.augment, settings.lora
    _known("precision", settings.precision, PRECISIONS)
    _known("distributed", settings.distributed, DISTRIBUTED)
    _known("optimiser.kind", optimiser.kind, OPTIMISERS)
    _known("optimiser.schedule", optimiser.schedule, SCHEDULES)
    for key, value in (
        ("steps", settings.steps),
        ("batch_size", settings.batch_size),
        ("resume_every", settings.resume_every),
        ("log_every", settings.log_every),
    ):
        _within(key, value, lambda number: number >= 1, "1 or more")
    for key, number in (
        ("seed", settings.seed),
        ("loader_workers", settings.loader_workers),
        ("lora.rank", lora.rank),
        ("optimiser.warmup_steps", optimiser.warmup_steps),
        ("optimiser.weight_decay", optimiser.weight_decay),
        ("optimiser.clip_norm", optimiser.clip_norm),
        ("augment.brightness", augment.brightness),
        ("augment.contrast", augment.contrast),
        ("augment.saturation", augment.saturation),
    ):
        _within(key, number, lambda value: value >= 0, "0 or more")
    _within("optimiser.lr", optimiser.lr, lambda value: value > 0, "more than 0")
    _within("ema_decay", settings.ema_decay, lambda value: 0 <= value < 1, "0 to below 1")
    _within("lora.dropout", lora.dropout, lambda value: 0 <= value < 1, "0 to below 1")
    _within("augment.crop_area", augment.crop_area, lambda value: 0 < value <= 1, "above 0 to 1")
    _within("augment.hue", augment.hue, lambda value: 0 <= value <= 0.5, "0 to 0.5")
    _check_decay(optimiser)
    if optimiser.kind == "muon" and settings.distributed == "fsdp":
        raise UsageError(
            "optimiser.kind=muon needs whole matrices in each process: use distributed=ddp, or "
            "optimiser.kind=adamw"
        )
    if out := [step for step in settings.keep if not 1 <= step <= settings.steps]:
        raise UsageError(f"keep={out}: allowed are steps from 1 to {settings.steps}")


def passes(settings: TrainSettings, processes: int) -> tuple[int, int]:
    """Samples of a pass in one process, and passes of a step. Raises UsageError."""
    share, rest = divmod(settings.batch_size, processes)
    if rest:
        raise UsageError(
            f"batch_size={settings.batch_size}: allowed multiples of the {processes} processes"
        )
    micro = settings.micro_batch or share
    if micro < 1 or share % micro:
        raise UsageError(
            f"micro_batch={micro}: allowed what divides each process's share of a step, {share}"
        )
    return micro, share // micro


def _falls_to_the_end(optimiser: OptimiserConfig) -> bool:
    """Whether the learning rate depends on how many steps there are."""
    return optimiser.schedule == "cosine" and not optimiser.decay_at


def _check_decay(optimiser: OptimiserConfig) -> None:
    steps, schedule = optimiser.decay_at, optimiser.schedule
    if steps and schedule == "constant":
        raise UsageError("optimiser.decay_at needs optimiser.schedule=step or cosine")
    if schedule == "cosine" and len(steps) > 1:
        raise UsageError(f"optimiser.decay_at={steps}: allowed for cosine is one step, or none")
    if schedule == "cosine" and steps and steps[0] <= optimiser.warmup_steps:
        raise UsageError(
            f"optimiser.decay_at={steps}: allowed is a step after "
            f"optimiser.warmup_steps={optimiser.warmup_steps}"
        )


def _known(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UnknownNameError(f"value of {key}", value, allowed)


def _within(key: str, value: float, holds: Callable[[float], bool], allowed: str) -> None:
    if not holds(value):
        raise UsageError(f"{key}={value}: allowed {allowed}")
