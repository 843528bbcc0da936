"""Reading weights from published folders and from our own."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sfbench.errors import MissingError, UsageError

from .architecture import Architecture
from .keys import build_key_table, without_prefix
from .model import Pi0
from .network import rebuild_buffers

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"


def weight_files(folder: Path) -> list[Path]:
    """Every file that weights are read from. Raises MissingError."""
    return list(_shards(folder))


def load_model(architecture: Architecture, folder: Path, dtype: torch.dtype, device: str) -> Pi0:
    """Build a model and fill it with a checkpoint's weights.

    Raises:
        MissingError: a file is not there.
        UsageError: a file is damaged, or keys or shapes do not fit; the message lists every one.
    """
    with torch.device("meta"):
        model = Pi0(architecture)
    table = build_key_table(model)
    files = {file: _shapes(file, expected) for file, expected in _shards(folder).items()}
    names = without_prefix([key for shapes in files.values() for key in shapes])
    shapes = {names[key]: shape for found in files.values() for key, shape in found.items()}
    table.check(shapes, model, f"checkpoint {folder}")
    state: dict[str, Tensor] = {}
    for file, found in files.items():
        with safe_open(file, framework="pt") as reader:
            for key in found:
                name = table.to_own(names[key], shapes)
                if name is not None:
                    state[name] = reader.get_tensor(key).to(device=device, dtype=dtype)
    model.load_state_dict(state, assign=True)
    rebuild_buffers(model.core, device)
    return model.eval()


def _shards(folder: Path) -> dict[Path, list[str] | None]:
    """Weight files, each with the keys that the index expects in it (None: there is no index)."""
    index_file = folder / INDEX_FILE
    if index_file.is_file():
        index: Mapping[str, str] = json.loads(index_file.read_text(encoding="utf-8"))["weight_map"]
        by_file: dict[Path, list[str] | None] = {
            folder / name: sorted(key for key, file in index.items() if file == name)
            for name in sorted(set(index.values()))
        }
        if missing := [file.name for file in by_file if not file.is_file()]:
            raise MissingError(f"{folder}: {INDEX_FILE} names files that are not there: {missing}")
        return by_file
    single = folder / WEIGHTS_FILE
    if single.is_file():
        return {single: None}
    raise MissingError(f"{folder} has no weights: neither {INDEX_FILE} nor {WEIGHTS_FILE}")


def _shapes(file: Path, expected: list[str] | None) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(file, framework="pt") as reader:
            keys = list(reader.keys())
            shapes = {key: tuple(reader.get_slice(key).get_shape()) for key in keys}
    except SafetensorError as error:
        raise UsageError(f"{file}: damaged or cut short ({error})") from error
    if expected is not None and (wrong := sorted(set(expected) ^ set(shapes))):
        raise UsageError(f"{file}: {INDEX_FILE} disagrees on its keys:\n  " + "\n  ".join(wrong))
    return shapes
