"""The parts of a study: grids that share what stands above them in the sweep file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfbench.errors import UnknownNameError, UsageError
from sfbench.launch.references import check_name

if TYPE_CHECKING:
    from sfbench.launch.sweep_file import SweepConfig

_MERGED = ("grid", "train", "eval", "probe")
_REPLACED = ("checkpoints", "shards")
PART_KEYS = (*_MERGED, *_REPLACED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One grid with all that it shares.

    Attributes:
        name: '' for a file without parts.
        grid: axes.
        train: keys of its trainings; None: nothing is trained.
        eval: keys of its evaluations.
        probe: keys of its trainings' depth probes; None: they are not probed.
        checkpoints: steps that are evaluated.
        shards: of each evaluation.
    """

    name: str
    grid: Mapping[str, Any]
    train: Mapping[str, Any] | None
    eval: Mapping[str, Any]
    probe: Mapping[str, Any] | None
    checkpoints: Sequence[int]
    shards: int

    @property
    def prefix(self) -> str:
        """Of its cells' ids."""
        return f"{self.name}-" if self.name else ""

    @property
    def title(self) -> str:
        """In front of a message; '' for a file without parts."""
        return f"parts.{self.name}: " if self.name else ""


def parts_of(config: "SweepConfig") -> list[Part]:
    """The parts of a sweep file, or the file as its only part.

    Raises:
        UsageError: an unknown key, a value of the wrong kind, or keys that do not go together.
    """
    named = config.parts or {"": {}}
    parts = [_part(config, str(name), own) for name, own in named.items()]
    for part in parts:
        _check(part, config)
    return parts


def _part(config: "SweepConfig", name: str, own: object) -> Part:
    if name or config.parts:
        check_name("part", name)
    if not isinstance(own, Mapping):
        raise UsageError(f"parts.{name}={own}: write a mapping with {', '.join(PART_KEYS)}")
    for key in own:
        if key not in PART_KEYS:
            raise UnknownNameError(f"key of parts.{name}", str(key), PART_KEYS)
    values = {key: own.get(key, getattr(config, key)) for key in _REPLACED}
    for key in _MERGED:
        values[key] = getattr(config, key)
        if key in own:
            values[key] = _merged(f"parts.{name}.{key}", values[key], own[key])
    return Part(name=name, **values)


def _merged(key: str, shared: Mapping[str, Any] | None, own: object) -> dict[str, Any] | None:
    """The part's keys over the shared ones; `null` leaves the whole thing out."""
    if own is None and key.endswith((".train", ".probe")):
        return None
    if not isinstance(own, Mapping):
        raise UsageError(f"{key}={own}: write a mapping")
    # The part's own first: its axes come first in the names of cells, such as arm before seed.
    return {**own, **{name: value for name, value in (shared or {}).items() if name not in own}}


def _check(part: Part, config: "SweepConfig") -> None:
    steps = part.checkpoints
    # A bool is an int for Python.
    if not isinstance(steps, list) or any(type(step) is not int or step < 1 for step in steps):
        raise UsageError(f"{part.title}checkpoints={steps}: write a list of steps, such as [500]")
    if type(part.shards) is not int or part.shards < 1:
        raise UsageError(f"{part.title}shards={part.shards}: allowed 1 or more")
    if part.train is not None and not steps:
        raise UsageError(
            f"{part.title}train without checkpoints: name the training steps that are evaluated"
        )
    if part.train is None and steps:
        raise UsageError(
            f"{part.title}checkpoints are steps of a training: add train, or use grid.checkpoint"
        )
    if part.train is not None and config.server is not None:
        raise UsageError(
            f"{part.title}train and server in one sweep: train first, then serve the checkpoints"
        )
    for stage, keys, reserved in (
        ("train", part.train, ("out",)),
        ("eval", part.eval, ("out", "shard")),
        ("probe", part.probe, ("out", "start")),
    ):
        for key in reserved:
            if key in (keys or {}):
                raise UsageError(f"{part.title}{stage}.{key} is set by the sweep; leave it out")
