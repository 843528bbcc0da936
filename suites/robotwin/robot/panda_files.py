"""The Panda's files inside robosuite's installed package, read without importing robosuite."""

import hashlib
import io
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np

from sfbench.errors import MissingError
from sfbench.sim.cache import cache_folder, write_atomically

from . import decimation

LINKS = tuple(f"link{index}" for index in range(8))

# Grid cells of the simplification, m: at 128 px a pixel of the head camera is about 1 cm.
LINK_CELL_M, HAND_CELL_M, FINGER_CELL_M = 0.020, 0.010, 0.006
_CACHE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class VisualPart:
    """One mesh of a link, of one colour."""

    name: str
    rgba: tuple[float, float, float, float]
    triangles: decimation.Triangles


def assets_folder() -> Path:
    """Robosuite's folder of models.

    Raises:
        MissingError: robosuite is not installed.
    """
    # Importing robosuite would set up logging, compile numba kernels and write macros.
    spec = find_spec("robosuite")
    if spec is None or not spec.submodule_search_locations:
        raise MissingError("robosuite is not installed; type `pip install robosuite==1.4.0`")
    folder = Path(spec.submodule_search_locations[0]) / "models" / "assets"
    if not (folder / "robots/panda/robot.xml").is_file():
        raise MissingError(
            f"robosuite has no Panda at {folder}; type `pip install robosuite==1.4.0`"
        )
    return folder


def robot_xml() -> ET.Element:
    """The root of the arm's MJCF."""
    return ET.parse(assets_folder() / "robots/panda/robot.xml").getroot()  # noqa: S314


def gripper_xml() -> ET.Element:
    """The root of the gripper's MJCF."""
    return ET.parse(assets_folder() / "grippers/panda_gripper.xml").getroot()  # noqa: S314


@cache
def source_hash() -> str:
    """16 hex digits over robosuite's files that the robot is made from."""
    folder = assets_folder()
    paths = [folder / "robots/panda/robot.xml", folder / "grippers/panda_gripper.xml"]
    paths += [path for items in _sources().values() for path, _ in items]
    sha = hashlib.sha256()
    for path in paths:
        sha.update(path.read_bytes())
    return sha.hexdigest()[:16]


@cache
def visual_parts() -> dict[str, tuple[VisualPart, ...]]:
    """Simplified visual meshes by link name, and under `hand` and `finger`; kept on disk."""
    sources = _sources()
    sha = hashlib.sha256(f"{_CACHE_FORMAT} {LINK_CELL_M} {HAND_CELL_M} {FINGER_CELL_M}".encode())
    for path, _ in (item for items in sources.values() for item in items):
        sha.update(f"{path.name} {path.stat().st_size}".encode())
    path = cache_folder("robotwin") / f"panda-{sha.hexdigest()[:16]}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            return _unpack({name: stored[name] for name in stored.files})
    arrays = _simplified(sources)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())
    return _unpack(arrays)


_Colour = tuple[float, float, float]
_WHITE: _Colour = (0.93, 0.94, 0.95)
_DARK: _Colour = (0.17, 0.17, 0.19)


def _sources() -> dict[str, list[tuple[Path, _Colour]]]:
    folder = assets_folder()
    root = robot_xml()
    asset = root.find("asset")
    assert asset is not None
    file_of = {mesh.get("name"): mesh.get("file", "") for mesh in asset.iter("mesh")}
    grey_of = {
        material.get("name"): float(material.get("rgba", "1").split()[1])
        for material in asset.iter("material")
    }
    sources: dict[str, list[tuple[Path, _Colour]]] = {}
    for body in root.iter("body"):
        for geom in body.findall("geom"):
            material, mesh = geom.get("material"), geom.get("mesh")
            if material is None:
                continue
            # The files know white, light grey and dark grey, and a few coloured specks.
            colour = _DARK if grey_of[material] < 0.5 else _WHITE
            path = folder / "robots/panda" / file_of[mesh]
            sources.setdefault(body.get("name", ""), []).append((path, colour))
    gripper = folder / "grippers/meshes/panda_gripper"
    sources["hand"] = [(gripper / "hand_vis.stl", _WHITE)]
    sources["finger"] = [(gripper / "finger_vis.stl", _DARK)]
    return sources


def _simplified(sources: dict[str, list[tuple[Path, _Colour]]]) -> dict[str, np.ndarray]:
    cells = {"hand": HAND_CELL_M, "finger": FINGER_CELL_M}
    arrays: dict[str, np.ndarray] = {}
    for link, items in sources.items():
        for index, colour in enumerate((_WHITE, _DARK)):
            soups = [
                decimation.read_stl(path) if path.suffix == ".stl" else decimation.read_obj(path)
                for path, own in items
                if own == colour
            ]
            if not soups:
                continue
            merged = decimation.simplify(np.concatenate(soups), cells.get(link, LINK_CELL_M))
            if len(merged):
                arrays[f"{link}.{index}"] = merged.astype(np.float32)
    return arrays


def _unpack(arrays: dict[str, np.ndarray]) -> dict[str, tuple[VisualPart, ...]]:
    parts: dict[str, tuple[VisualPart, ...]] = {}
    for key in sorted(arrays):
        link, index = key.split(".")
        rgba = (*(_WHITE, _DARK)[int(index)], 1.0)
        part = VisualPart(key, rgba, arrays[key].astype(np.float64))
        parts[link] = (*parts.get(link, ()), part)
    return parts
