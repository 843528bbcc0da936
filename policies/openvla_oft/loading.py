"""Reading weights: from published folders, from our own, with or without a LoRA adapter."""

import json
import pickle
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sfbench.errors import MissingError, UsageError

from .architecture import ActionHead, Architecture
from .heads import RegressionHead, StateProjector
from .initial import initialise_part
from .keys import HEAD_PREFIX, STATE_PREFIX, KeyTable, build_key_table
from .lora import LoraAdapter, check_covered, read_lora
from .model import OpenVla

INDEX_FILE = "model.safetensors.index.json"
ADAPTER_FOLDER = "lora_adapter"


@dataclass(frozen=True, slots=True)
class WeightSources:
    """Which folders a model is put together from.

    Attributes:
        folder: the checkpoint: action head, state projector, and main weights or adapter.
        base: None, or a folder whose main weights are used, with the adapter in `folder` merged
            onto them.
    """

    folder: Path
    base: Path | None = None

    def files(self) -> list[Path]:
        """Every file that weights are read from."""
        main = list(_shards(self.base or self.folder))
        heads = [
            *self.folder.glob("action_head--*.pt"),
            *self.folder.glob("proprio_projector--*.pt"),
        ]
        adapter = [] if self.base is None else sorted((self.folder / ADAPTER_FOLDER).glob("*"))
        return main + sorted(heads) + [file for file in adapter if file.is_file()]


def load_model(
    architecture: Architecture,
    sources: WeightSources,
    dtype: torch.dtype,
    device: str,
    new_heads_seed: int | None = None,
) -> OpenVla:
    """Build a model and fill it with a checkpoint's weights.

    With `new_heads_seed`, an action head or state projector that the checkpoint lacks gets random
    weights: where fine-tuning from the base model starts.

    Raises:
        MissingError: a file is not there.
        UsageError: keys or shapes do not fit; the message lists every one.
    """
    with torch.device("meta"):
        model = OpenVla(architecture)
    table = build_key_table(architecture, model)
    main = _shards(sources.base or sources.folder)
    shapes = _shapes(main)
    parts = _separate_parts(sources.folder, shapes, model, new_heads_seed is not None)
    if new_heads_seed is not None:
        parts |= _new_parts(table, shapes.keys() | parts.keys(), architecture, new_heads_seed)
    adapter = _adapter(sources, shapes)
    shapes |= {key: tuple(tensor.shape) for key, tensor in parts.items()}
    table.check(shapes, model, f"checkpoint {sources.folder}")
    state: dict[str, Tensor] = {}
    for key, tensor in _tensors(main, parts):
        if key in table.targets:
            merged = tensor if adapter is None else adapter.merge(key, tensor)
            for name, part in table.to_own(key, merged).items():
                # A copy, because the file's own memory is not aligned, which changes the rounding
                # of matrix products, and because the file may go away.
                state[name] = part.to(device=device, dtype=dtype, copy=True)
    model.load_state_dict(state, assign=True)
    model.language.rebuild_buffers(device)
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
    single = folder / "model.safetensors"
    if single.is_file():
        return {single: None}
    hint = ""
    if (folder / ADAPTER_FOLDER).is_dir():
        hint = (
            f". It has a {ADAPTER_FOLDER}: name the model it was trained on with "
            "base_checkpoint=openvla/openvla-7b"
        )
    raise MissingError(f"{folder} has no weights: neither {INDEX_FILE} nor {single.name}{hint}")


def _shapes(main: Mapping[Path, list[str] | None]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for file, expected in main.items():
        try:
            with safe_open(file, framework="pt") as reader:
                keys = list(reader.keys())
                shapes |= {key: tuple(reader.get_slice(key).get_shape()) for key in keys}
        except SafetensorError as error:
            raise UsageError(f"{file}: damaged or cut short ({error})") from error
        if expected is not None and (wrong := sorted(set(expected) ^ set(keys))):
            raise UsageError(
                f"{file}: {INDEX_FILE} disagrees on its keys:\n  " + "\n  ".join(wrong)
            )
    return shapes


def _separate_parts(
    folder: Path, shapes: Mapping[str, object], model: OpenVla, optional: bool
) -> dict[str, Tensor]:
    """Action head and state projector from files of their own, unless the main file has them."""
    parts: dict[str, Tensor] = {}
    wanted = (
        (model.action_head, HEAD_PREFIX, "action_head"),
        (model.state_projector, STATE_PREFIX, "proprio_projector"),
    )
    for module, prefix, stem in wanted:
        if module is None or any(key.startswith(prefix) for key in shapes):
            continue
        found = sorted(folder.glob(f"{stem}--*checkpoint.pt"))
        if not found and optional:
            continue
        if len(found) != 1:
            raise MissingError(
                f"{folder}: needs exactly one file {stem}--*checkpoint.pt; it has "
                f"{[file.name for file in found] or 'none'}"
            )
        # Distributed training puts `module.` before every key.
        parts |= {
            prefix + key.removeprefix("module."): part
            for key, part in _plain_tensors(found[0]).items()
        }
    return parts


def _new_parts(
    table: KeyTable, present: Collection[str], architecture: Architecture, seed: int
) -> dict[str, Tensor]:
    """Random heads, under published names, for those of which nothing is present."""
    parts: dict[str, nn.Module] = {}
    if architecture.action_head is ActionHead.L1:
        parts[HEAD_PREFIX] = RegressionHead(architecture)
    if architecture.proprio_dim:
        width = architecture.language.hidden
        parts[STATE_PREFIX] = StateProjector(architecture.proprio_dim, width)
    own_names = {HEAD_PREFIX: "action_head.", STATE_PREFIX: "state_projector."}
    found: dict[str, Tensor] = {}
    for prefix, part in parts.items():
        if any(key.startswith(prefix) for key in present):
            continue
        initialise_part(part, seed)
        own = {f"{own_names[prefix]}{name}": value for name, value in part.state_dict().items()}
        found |= {
            key: own[names[0]] for key, names in table.targets.items() if key.startswith(prefix)
        }
    return found


def _plain_tensors(file: Path) -> dict[str, Tensor]:
    """A .pt file's tensors; nothing else is unpickled."""
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"{file}: cannot be read as plain tensors, and nothing else is unpickled ({reason})"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise UsageError(f"{file}: holds something else than a mapping of names to plain tensors")
    return found


def _adapter(sources: WeightSources, shapes: Mapping[str, tuple[int, ...]]) -> LoraAdapter | None:
    if sources.base is None:
        return None
    adapter = read_lora(sources.folder / ADAPTER_FOLDER)
    check_covered(adapter, shapes, f"{sources.folder / ADAPTER_FOLDER} on {sources.base}")
    return adapter


def _tensors(
    main: Mapping[Path, object], parts: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    for file in main:
        with safe_open(file, framework="pt") as reader:
            for key in list(reader.keys()):
                yield key, reader.get_tensor(key)
    yield from parts.items()
