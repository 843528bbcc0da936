"""The published initial states, read without torch.

`.pruned_init` files are torch archives whose pickle holds one NumPy array. Only what rebuilds an
array is allowed to be named by the pickle, so that a foreign file cannot run code.
"""

import hashlib
import io
import pickle
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.errors import MissingError

from .catalog import INSTALL_HINT


@lru_cache(maxsize=8)
def load(path: Path) -> NDArray[np.float64]:
    """Every state of a list, float64 [N, 1 + nq + nv]: time, positions, velocities. Read-only.

    Raises:
        MissingError: the file is absent or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            states = _ArrayUnpickler(io.BytesIO(archive.read(member))).load()
    except (OSError, StopIteration, zipfile.BadZipFile, pickle.UnpicklingError, EOFError) as error:
        raise MissingError(
            f"cannot read initial states from {path}: {error}. {INSTALL_HINT}"
        ) from error
    if not isinstance(states, np.ndarray) or states.ndim != 2 or states.dtype != np.float64:
        raise MissingError(f"{path} holds no table of float64 states. {INSTALL_HINT}")
    if not np.isfinite(states).all():
        raise MissingError(f"{path} holds states that are not finite. {INSTALL_HINT}")
    states.setflags(write=False)
    return states


def state_hash(state: NDArray[np.float64]) -> str:
    """16 hex digits that are equal exactly where two states are equal."""
    return hashlib.sha256(np.ascontiguousarray(state, dtype="<f8").tobytes()).hexdigest()[:16]


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds NumPy arrays and nothing else."""

    _ALLOWED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 (as in the base class)
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"'{module}.{name}' is not allowed in such a file")
        # numpy 2 moved this module; asking for the old name would warn.
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)
