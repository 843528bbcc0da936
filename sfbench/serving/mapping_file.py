"""Mapping files: what a peer calls things and what its numbers mean, as YAML that a user can write.

A plugin brings its own through the entry-point group `sfbench.mappings`: an entry names a package,
and each `NAME.yaml` in it is the mapping NAME.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sfbench.errors import MissingError, UnknownNameError, UsageError

GROUP = "sfbench.mappings"

NATIVE = "native"
"""The suite's own names and conventions; made from its EnvSpec, not from a file."""


@dataclass
class PartEntry:
    """A run of numbers in a state or an action; see VectorPart.

    Attributes:
        size: how many; left out: as many as the suite has there.
    """

    quantity: str = MISSING
    size: int | None = None
    frame: str = "joint"
    reference: str = "absolute"
    rotation: str | None = None
    rotation_sign: str | None = None
    gripper: str | None = None


@dataclass
class CameraEntry:
    """An image that is sent.

    Attributes:
        camera: the suite's name of it.
        key: where it stands in an observation; several names are nested maps.
        orientation: how it lies on the wire.
        height, width: its size on the wire; left out: as the suite renders it.
        layout: order of the axes.
        param: vla_eval only: it is sent to servers that ask for this observation parameter.
    """

    camera: str = MISSING
    key: list[str] = MISSING
    orientation: str = MISSING
    height: int | None = None
    width: int | None = None
    layout: str = "hwc"
    param: str | None = None


@dataclass
class StateEntry:
    """The state vector; `key` and `param` as in CameraEntry."""

    key: list[str] = MISSING
    parts: list[PartEntry] = MISSING
    param: str | None = None


@dataclass
class ActionEntry:
    """What comes back; `hz` left out: as the suite has it."""

    parts: list[PartEntry] = MISSING
    hz: float | None = None


@dataclass
class DimEntry:
    """One component as vla_eval's handshake declares it; `dims` 0: not an array of fixed size."""

    dims: int = MISSING
    format: str = MISSING


@dataclass
class HandshakeEntry:
    """What vla_eval's HELLO says.

    Attributes:
        params: observation parameters that this mapping implies, such as a rotation's sign.
        action_spec, observation_spec: components by name.
    """

    params: dict[str, Any] = field(default_factory=dict)
    action_spec: dict[str, DimEntry] = field(default_factory=dict)
    observation_spec: dict[str, DimEntry] = field(default_factory=dict)


@dataclass
class MappingFile:
    """A whole file.

    Attributes:
        source: where the conventions were read.
        protocols: openpi, vla_eval, or both.
        instruction: key of the instruction.
        cameras: in the order in which they are sent.
        resize: how images get their size.
        state: None: none is sent.
        vla_eval: for that protocol only.
    """

    source: str = MISSING
    protocols: list[str] = MISSING
    instruction: list[str] = MISSING
    cameras: list[CameraEntry] = MISSING
    resize: str = "none"
    state: StateEntry | None = None
    action: ActionEntry = MISSING
    vla_eval: HandshakeEntry | None = None


@cache
def known_mappings() -> Mapping[str, Path]:
    """Every installed mapping file by name."""
    found: dict[str, Path] = {}
    for entry in entry_points(group=GROUP):
        try:
            folder = Path(str(files(entry.value)))
        except ImportError as error:
            raise UsageError(
                f"the mappings of '{entry.name}' ({entry.value}) cannot be found: {error}; mend or "
                "uninstall the package that declares them"
            ) from error
        found |= {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return dict(sorted(found.items()))


def read_mapping(name: str) -> MappingFile:
    """The mapping of that name, or in the file of that path (ending in .yaml).

    Raises:
        UsageError: unknown name; the file is not there, has an unknown key, or lacks one.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise MissingError(f"mapping={name}: there is no such file")
    elif name in known_mappings():
        path = known_mappings()[name]
    else:
        hint = "Or name a file that ends in .yaml."
        raise UnknownNameError("mapping", name, [NATIVE, *known_mappings()], hint)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(MappingFile), OmegaConf.load(path))
        content = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, YAMLError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"mapping={name}: {path} cannot be used: {reason}") from error
    assert isinstance(content, MappingFile)
    keys = [content.instruction, *(entry.key for entry in content.cameras)]
    if not all(keys) or (content.state is not None and not content.state.key):
        raise UsageError(f"mapping={name}: {path} has an empty key; write [name], or [map, name]")
    return content
