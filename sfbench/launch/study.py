"""Studies that are shipped: sweep files of this package, each in several scales."""

from collections.abc import Sequence
from importlib.resources import as_file, files

from sfbench.errors import UnknownNameError
from sfbench.launch.sweep_file import SweepConfig, read_sweep

_PACKAGE = "sfbench.launch.studies"
DEFAULT_SCALE = "gpu"


def studies() -> list[str]:
    """Names of all studies."""
    return _names(_PACKAGE)


def scales() -> list[str]:
    """Names of all scales."""
    return _names(f"{_PACKAGE}.scale")


def read_study(name: str, scale: str = DEFAULT_SCALE, overrides: Sequence[str] = ()) -> SweepConfig:
    """The sweep file of a study, at a scale; it is called after both.

    Args:
        name: of the study.
        scale: `gpu`: a workstation or cluster with one or more; `cpu`: a few cores.
        overrides: as for `read_sweep`.

    Raises:
        UsageError: an unknown study or scale, or overrides that `read_sweep` refuses.
    """
    if name not in studies():
        raise UnknownNameError("study", name, studies())
    if scale not in scales():
        raise UnknownNameError("scale", scale, scales())
    with as_file(files(_PACKAGE)) as folder:
        named = [f"name={name}_{scale}", *overrides]
        return read_sweep(folder / f"{name}.yaml", named, [f"scale={scale}"])


def _names(package: str) -> list[str]:
    found = (item.name for item in files(package).iterdir())
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))
