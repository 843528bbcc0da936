"""Reading and writing the weights of a VGGT.

A folder is a published one (`model.safetensors` or `model.pt` of facebook/VGGT-1B), or one of ours,
which adds `vggt.json` with the sizes.
"""

import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sfbench.errors import MissingError, UsageError
from sfbench.spatial.vggt.config import VGGT_1B, VggtConfig
from sfbench.spatial.vggt.model import Vggt
from sfbench.training.weights_file import save_tensors

SAFETENSORS, PICKLED, SIZES = "model.safetensors", "model.pt", "vggt.json"
_SKIPPED = "track_head."
"""The published tracking head: nothing here follows points over time."""
_SHOWN = 10


def weight_file(folder: Path) -> Path:
    """The file in a folder that weights are read from. Raises MissingError."""
    for name in (SAFETENSORS, PICKLED):
        if (folder / name).is_file():
            return folder / name
    raise MissingError(f"{folder} has no VGGT weights: neither {SAFETENSORS} nor {PICKLED}")


def read_config(folder: Path) -> VggtConfig:
    """The sizes in a folder of ours; those of facebook/VGGT-1B where none are stated."""
    file = folder / SIZES
    if not file.is_file():
        return VGGT_1B
    try:
        return VggtConfig.from_json(json.loads(file.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise UsageError(f"{file}: no JSON ({error})") from error


def load_vggt(folder: Path, dtype: torch.dtype, device: str) -> Vggt:
    """Build the network and fill it.

    Raises:
        MissingError: no weights there.
        UsageError: a file is damaged, or keys or shapes do not fit; the message names them.
    """
    file = weight_file(folder)
    with torch.device("meta"):
        model = Vggt(read_config(folder))
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    shapes, read = _open(file)
    _check(shapes, wanted, file)
    # A copy, because the file's own memory is not aligned and the file may go away.
    state = {name: read(name).to(device=device, dtype=dtype, copy=True) for name in wanted}
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def save_vggt(model: Vggt, folder: Path, dtype: torch.dtype) -> None:
    """Write a folder that `load_vggt` reads, weights in that dtype."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()}
    save_tensors(state, folder / SAFETENSORS)
    text = json.dumps(model.config.to_json(), indent=1)
    (folder / SIZES).write_text(text + "\n", encoding="utf-8")


def _open(file: Path) -> tuple[dict[str, tuple[int, ...]], Callable[[str], Tensor]]:
    """Shapes by key, and a function that reads one tensor."""
    if file.name == SAFETENSORS:
        try:
            with safe_open(file, framework="pt") as reader:
                keys = list(reader.keys())
                shapes = {key: tuple(reader.get_slice(key).get_shape()) for key in keys}
        except SafetensorError as error:
            raise UsageError(f"{file}: damaged or cut short ({error})") from error

        def read(key: str) -> Tensor:
            with safe_open(file, framework="pt") as reader:
                tensor: Tensor = reader.get_tensor(key)
                return tensor

        return shapes, read
    try:
        state: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise UsageError(
            f"{file}: damaged, cut short, or more than weights ({error.__class__.__name__})"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UsageError(f"{file}: holds {type(state).__name__}, not tensors by name")
    return {key: tuple(tensor.shape) for key, tensor in state.items()}, state.__getitem__


def _check(
    shapes: Mapping[str, Sequence[int]], wanted: Mapping[str, Sequence[int]], file: Path
) -> None:
    problems = [f"missing: {key}" for key in wanted if key not in shapes]
    problems += [
        f"extra: {key}" for key in shapes if key not in wanted and not key.startswith(_SKIPPED)
    ]
    problems += [
        f"shape of {key}: got {tuple(shapes[key])}, needs {tuple(wanted[key])}"
        for key in wanted
        if key in shapes and tuple(shapes[key]) != tuple(wanted[key])
    ]
    if problems:
        rest = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise UsageError(
            f"teacher checkpoint {file} does not fit ({len(problems)} problems):\n  "
            + "\n  ".join([*problems[:_SHOWN], *rest])
        )
