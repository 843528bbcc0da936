"""Bringing hf-libero and robosuite into a process without their side effects.

Imported plainly, `libero.libero` asks a question and writes to the home folder, robosuite opens a
log file in /tmp that another user may own and sets environment variables. Here both are given what
they ask for, and the process's environment is put back. Only the scene builder (a process of its
own), tests and benchmarks call this: workers need neither package.
"""

import importlib
import importlib.util
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sfbench.errors import MissingError

from .catalog import INSTALL_HINT, package_folder
from .jit import kernels_cached

_lock = threading.Lock()
_config_folders: list[tempfile.TemporaryDirectory[str]] = []


def load_environments(assets: Path, *, rendering: bool) -> ModuleType:
    """Import `libero.libero.envs.env_wrapper`, with its assets taken from `assets`.

    Args:
        assets: root of the asset tree.
        rendering: whether robosuite may use GL, through the backend that MUJOCO_GL names.

    Raises:
        MissingError: hf-libero or robosuite is not installed, or cannot be imported.
    """
    with _lock, _variables_restored(), tempfile.TemporaryDirectory() as scratch:
        os.environ["LIBERO_CONFIG_PATH"] = str(_config_folder(assets))
        os.environ.setdefault("MPLCONFIGDIR", scratch)
        if not rendering:
            os.environ["MUJOCO_GL"] = "disabled"
        try:
            if "robosuite" not in sys.modules:
                _preset_macros(rendering)
            with kernels_cached():
                package: Any = importlib.import_module("libero.libero")
                # The package asks this variable first, before it would download.
                package._assets_path_cache = str(assets)  # noqa: SLF001
                return importlib.import_module("libero.libero.envs.env_wrapper")
        except ImportError as error:
            raise MissingError(
                f"LIBERO cannot be imported: {error}. {import_hint(error)}"
            ) from error


def import_hint(error: ImportError) -> str:
    """What to type: shared libraries come with the system, all else with pip."""
    if "cannot open shared object file" in str(error):
        return (
            "That library belongs to the system; OpenCV, which robosuite imports, needs it. On "
            "Debian or Ubuntu type, as root: apt-get install -y libglib2.0-0 libgl1. Without root: "
            "pip uninstall -y opencv-python && pip install opencv-python-headless"
        )
    return (
        f"{INSTALL_HINT} It needs robosuite==1.4.0, bddl==1.0.1, easydict, future, termcolor and "
        "cloudpickle beside it."
    )


def _config_folder(assets: Path) -> Path:
    """A folder with the configuration that the package would otherwise ask for; kept until exit."""
    holder = tempfile.TemporaryDirectory(prefix="sfbench-libero-")
    _config_folders.append(holder)
    root = package_folder()
    places = {
        "benchmark_root": root,
        "bddl_files": root / "bddl_files",
        "init_states": root / "init_files",
        "datasets": Path(holder.name),
        "assets": assets,
    }
    lines = [f"{key}: {str(place)!r}\n" for key, place in places.items()]
    (Path(holder.name) / "config.yaml").write_text("".join(lines))
    return Path(holder.name)


def _preset_macros(rendering: bool) -> None:
    """Load robosuite's settings module before the package, and set it: that is what it is for."""
    spec = importlib.util.find_spec("robosuite")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("robosuite is not installed")
    path = Path(spec.submodule_search_locations[0]) / "macros.py"
    macros_spec = importlib.util.spec_from_file_location("robosuite.macros", path)
    assert macros_spec is not None
    assert macros_spec.loader is not None
    macros = importlib.util.module_from_spec(macros_spec)
    macros_spec.loader.exec_module(macros)
    macros.CONSOLE_LOGGING_LEVEL = "ERROR"  # type: ignore[attr-defined]
    macros.FILE_LOGGING_LEVEL = None  # type: ignore[attr-defined]
    macros.MUJOCO_GPU_RENDERING = rendering  # type: ignore[attr-defined]
    sys.modules["robosuite.macros"] = macros


@contextmanager
def _variables_restored() -> Iterator[None]:
    """All of them: OpenCV, which robosuite imports, sets some of its own."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
