"""Checkpoint folders: written whole or not at all, and read back for an exact resume."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.optim import Optimizer

from sfbench.contracts import differences
from sfbench.errors import RunFolderError, StoppedError
from sfbench.training.weights_file import save_tensors

CHECKPOINTS = "checkpoints"
TRAINING_STATE = "training_state"
AUXILIARY = "auxiliary"
_STATE_FILE = "state.json"
_PARTIAL = ".partial-"
_SLOT = "|"
"""Between a parameter's name and the optimiser's name for one of its tensors."""


@dataclass(frozen=True, slots=True)
class TrainingState:
    """All that a resume needs besides the config.

    Attributes:
        step: finished steps; order, schedule and random streams follow from it.
        config: what losses depend on.
        tensors: by file name (without suffix): weights, their average, optimisers' moments.
    """

    step: int
    config: Mapping[str, Any]
    tensors: Mapping[str, Mapping[str, Tensor]]

    def write(self, folder: Path) -> None:
        """Write the folder `training_state`."""
        folder.mkdir()
        for name, tensors in self.tensors.items():
            save_tensors(tensors, folder / f"{name}.safetensors")
        text = json.dumps({"step": self.step, "config": self.config}, indent=1)
        (folder / _STATE_FILE).write_text(text + "\n", encoding="utf-8")


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A folder to fill that gets its name when the block has ended well.

    Raises:
        StoppedError: it could not be written (a full disk); what was written of it is removed.
    """
    partial = folder.with_name(f"{_PARTIAL}{folder.name}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        _flush(partial)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        good = _resumable(folder.parent)
        kept = f"the last good one is {good[-1]}" if good else "no earlier checkpoint was kept"
        raise StoppedError(
            f"checkpoint {folder} could not be written: {error}; {kept}. Make room on the disk, "
            "then type the same command again to resume"
        ) from error


def newest(checkpoints: Path) -> Path | None:
    """The latest checkpoint that training can be resumed from; None where there is none at all.

    Raises:
        RunFolderError: there are some, but none to resume from.
    """
    found = _resumable(checkpoints)
    if not found and (numbered := _numbered(checkpoints)):
        raise RunFolderError(
            f"none of the checkpoints in {checkpoints} has a {TRAINING_STATE} (the newest had the "
            "only one), so this run cannot go on; it is not begun anew over them. "
            + _instead(numbered)
        )
    return found[-1] if found else None


def read_state(folder: Path, config: Mapping[str, Any]) -> TrainingState:
    """Read a checkpoint's training state.

    Args:
        folder: the checkpoint.
        config: the present run's.

    Raises:
        RunFolderError: the config differs, or a file is damaged.
    """
    place = folder / TRAINING_STATE
    try:
        stored = json.loads((place / _STATE_FILE).read_text(encoding="utf-8"))
        present = json.loads(json.dumps(config))
        if lines := differences(stored["config"], present):
            raise RunFolderError(
                f"{folder} was trained with another config, so it cannot be resumed with this one "
                "(stored -> asked for):\n  "
                + "\n  ".join(lines)
                + "\nName another out=, or start from its weights with start="
                + str(folder)
            )
        tensors = {file.stem: load_file(file) for file in sorted(place.glob("*.safetensors"))}
        return TrainingState(int(stored["step"]), stored["config"], tensors)
    except (OSError, SafetensorError, json.JSONDecodeError, KeyError) as error:
        older = [other for other in _resumable(folder.parent) if other != folder]
        advice = (
            f"Remove {folder} to go on from {older[-1]}"
            if older
            else f"Earlier checkpoints keep none, so this run cannot go on. {_instead([folder])}"
        )
        raise RunFolderError(f"{place} is damaged ({error}). {advice}") from error


def tidy(checkpoints: Path, kept: set[int]) -> None:
    """Remove older checkpoints that nobody asked for, and older training states."""
    *older, _ = _numbered(checkpoints)
    for folder in older:
        if int(folder.name) in kept:
            shutil.rmtree(folder / TRAINING_STATE, ignore_errors=True)
        else:
            shutil.rmtree(folder)


def flat_moments(state: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """An optimiser's tensors under one name each."""
    return {
        f"{name}{_SLOT}{slot}": tensor
        for name, slots in state.items()
        for slot, tensor in slots.items()
    }


def nested_moments(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Inverse of `flat_moments`."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, slot = key.rpartition(_SLOT)
        found.setdefault(name, {})[slot] = tensor
    return found


def optimiser_moments(optimiser: Optimizer) -> dict[str, Tensor]:
    """The tensors of an optimiser whose parameters have no names but their numbers."""
    slots = optimiser.state_dict()["state"]
    return flat_moments({str(index): found for index, found in slots.items()})


def load_optimiser_moments(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Inverse of `optimiser_moments`."""
    slots = {int(index): found for index, found in nested_moments(tensors).items()}
    optimiser.load_state_dict({**optimiser.state_dict(), "state": slots})


def _numbered(checkpoints: Path) -> list[Path]:
    if not checkpoints.is_dir():
        return []
    found = [folder for folder in checkpoints.iterdir() if folder.name.isdecimal()]
    return sorted(found, key=lambda folder: int(folder.name))


def _resumable(checkpoints: Path) -> list[Path]:
    return [folder for folder in _numbered(checkpoints) if (folder / TRAINING_STATE).is_dir()]


def _instead(checkpoints: list[Path]) -> str:
    """What to type where a run cannot be resumed; `checkpoints` are in order, oldest first."""
    anew = "Name another out= to train from the beginning"
    weights = [folder for folder in checkpoints if any(folder.glob("*.safetensors"))]
    return f"{anew}, or from the weights reached, with start={weights[-1]}" if weights else anew


def _flush(folder: Path) -> None:
    """Make sure that the disk has the files before the folder gets its name."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
