"""Scenes on disk: compiled models and their specs, built once per machine.

A scene's key covers all that it is made of. Big arrays (textures, meshes) lie apart, named by their
content, because tasks that share a room share most of their 60 to 90 MB.
"""

import hashlib
import json
import lzma
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path

import mujoco
import numpy as np

from sfbench.contracts import stable_hash
from sfbench.errors import MissingError, SystemFaultError
from sfbench.sim.cache import cache_folder, write_atomically

from .assets import AssetTree
from .catalog import LiberoTask
from .locks import locked
from .scene_spec import SceneSpec

_BUILD_TIMEOUT_S = 900
_BATCH = 10
"""Scenes built by one process: starting it takes as long as building one, its files 90 MB each."""
_MIN_SHARED_BYTES = 1 << 18
_BUILDER_FILES = ("build.py", "scene_spec.py", "upstream.py")


@dataclass(frozen=True, slots=True)
class StoredScene:
    """A scene in the cache.

    Attributes:
        folder: holds `spec.json`, `scene.xml.xz` and, written last, `model.json`: the list of the
            compiled model's parts.
    """

    folder: Path

    def exists(self) -> bool:
        """Whether it is complete."""
        return (self.folder / "model.json").is_file()

    def spec(self) -> SceneSpec:
        """The spec."""
        return SceneSpec.from_json(json.loads((self.folder / "spec.json").read_text()))

    def xml(self) -> str:
        """The scene's MJCF, fixtures as compiled."""
        return lzma.decompress((self.folder / "scene.xml.xz").read_bytes()).decode()

    def model(self) -> mujoco.MjModel:
        """A new copy of the compiled model.

        Raises:
            SystemFaultError: parts are missing; the scene has been removed and will be built again.
        """
        parts = json.loads((self.folder / "model.json").read_text())
        blobs = [_blob_path(name) for name in parts]
        try:
            content = b"".join(blob.read_bytes() for blob in blobs)
            return mujoco.MjModel.from_binary_path("scene.mjb", {"scene.mjb": content})
        except (OSError, ValueError) as error:
            (self.folder / "model.json").unlink(missing_ok=True)
            raise SystemFaultError(f"the cached scene {self.folder.name} is damaged") from error


def stored(task: LiberoTask, assets: AssetTree) -> StoredScene:
    """Where the task's scene is, or will be, kept."""
    key = stable_hash(
        [
            [f"{name} {version(name)}" for name in ("mujoco", "robosuite", "hf-libero")],
            platform.machine(),
            _builder_hash(),
            hashlib.sha256(task.bddl_path.read_bytes()).hexdigest(),
            assets.hash,
        ]
    )
    return StoredScene(cache_folder("libero/scenes") / f"{task.name[:80]}-{key}")


def ensure(tasks: Iterable[LiberoTask], assets: AssetTree) -> Mapping[str, StoredScene]:
    """Every task's scene by task name, built now where it is absent.

    Processes that want the same scene at once wait for the first of them.

    Raises:
        MissingError: LIBERO cannot build it; says why.
    """
    wanted = list(tasks)
    scenes = {task.name: stored(task, assets) for task in wanted}
    if any(not scene.exists() for scene in scenes.values()):
        with locked("scenes"):
            absent = [task for task in wanted if not scenes[task.name].exists()]
            for start in range(0, len(absent), _BATCH):
                _build(absent[start : start + _BATCH], assets, scenes)
    return scenes


def _build(tasks: list[LiberoTask], assets: AssetTree, scenes: Mapping[str, StoredScene]) -> None:
    with tempfile.TemporaryDirectory(dir=cache_folder("libero/scenes")) as scratch:
        files = [
            {
                "bddl": str(task.bddl_path),
                "spec": str(Path(scratch) / f"{index}.json"),
                "model": str(Path(scratch) / f"{index}.mjb"),
                "xml": str(Path(scratch) / f"{index}.xml.xz"),
            }
            for index, task in enumerate(tasks)
        ]
        path = Path(scratch) / "request.json"
        path.write_text(json.dumps({"assets": str(assets.root), "scenes": files}))
        _run_builder(path)
        for task, file in zip(tasks, files, strict=True):
            _store(scenes[task.name].folder, {name: Path(path) for name, path in file.items()})


def _run_builder(request: Path) -> None:
    command = [sys.executable, "-m", f"{__package__}.build", str(request)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BUILD_TIMEOUT_S,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise MissingError(f"building scenes took more than {_BUILD_TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise MissingError("LIBERO cannot build the scene:\n  " + "\n  ".join(lines[-8:]))


def _store(folder: Path, built: Mapping[str, Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = built["model"].read_bytes()
    names = []
    for start, end in _cuts(content, mujoco.MjModel.from_binary_path(str(built["model"]))):
        part = content[start:end]
        name = hashlib.sha256(part).hexdigest()
        if not _blob_path(name).is_file():
            write_atomically(_blob_path(name), part)
        names.append(name)
    write_atomically(folder / "spec.json", built["spec"].read_bytes())
    write_atomically(folder / "scene.xml.xz", built["xml"].read_bytes())
    write_atomically(folder / "model.json", json.dumps(names).encode())


def _cuts(content: bytes, model: mujoco.MjModel) -> Iterator[tuple[int, int]]:
    """Intervals that cover `content`, cut so that every big array is a part of its own."""
    edges = {0, len(content)}
    for name in dir(model):
        value = getattr(model, name) if not name.startswith("_") else None
        if not isinstance(value, np.ndarray) or value.nbytes < _MIN_SHARED_BYTES:
            continue
        start = content.find(value.tobytes())
        if start < 0:
            continue
        edges |= {start, start + value.nbytes}
        if name == "tex_data":
            edges |= {start + int(offset) for offset in model.tex_adr}
    ordered = sorted(edges)
    yield from pairwise(ordered)


def _blob_path(name: str) -> Path:
    return cache_folder("libero/parts") / name


@cache
def _builder_hash() -> str:
    folder = Path(__file__).parent
    return stable_hash([(folder / name).read_text() for name in _BUILDER_FILES])


def check_versions(wanted: Mapping[str, str]) -> None:
    """Compare installed packages with the pinned versions.

    Raises:
        MissingError: one is absent or of another version; says what to type.
    """
    for name, expected in wanted.items():
        try:
            got = version(name)
        except PackageNotFoundError:
            got = None
        if got != expected:
            state = "is not installed" if got is None else f"{got} is installed"
            raise MissingError(
                f"LIBERO needs {name} {expected}, but {name} {state}: other versions change looks "
                f"or physics. Type `pip install --no-deps {name}=={expected}`."
            )
