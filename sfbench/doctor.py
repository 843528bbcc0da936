"""Checks of this machine, each with what to type to mend it. No check changes anything."""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from packaging.requirements import Requirement

from sfbench.errors import SfbenchError
from sfbench.rollout.provenance import gpu_names
from sfbench.sim.gl import GlBackend
from sfbench.sim.probe import INSTALL_HINT, probe

MIN_DISK_GB = 2.0
"""Videos of a full suite take about 1 GB."""

GB_PER_WORKER = 0.6
"""Resident memory that a worker may take."""


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    NOTE = "note"
    """Works, but worth knowing."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked thing.

    Attributes:
        what: its name.
        verdict: how it came out.
        detail: what was found.
        mend: what to type; empty where there is nothing to mend.
    """

    what: str
    verdict: Verdict
    detail: str
    mend: str = ""


def examine(extra: Sequence[Callable[[], Iterator[Finding]]] = ()) -> Iterator[Finding]:
    """Run all checks in order; `extra` are a suite's own."""
    checks = (check_python, check_packages, check_gl, check_gpu, check_memory, check_disk, *extra)
    for check in checks:
        yield from check()


def check_python() -> Iterator[Finding]:
    """The interpreter's version against what the package asks for."""
    version = platform.python_version()
    good = version.startswith(("3.11.", "3.12."))
    mend = "" if good else "install Python 3.11 or 3.12, delete .venv and type `make setup`"
    yield Finding("python", Verdict.OK if good else Verdict.BAD, version, mend)


def check_packages() -> Iterator[Finding]:
    """Every requirement of the installed package."""
    for text in importlib.metadata.requires("sfbench") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        mend = f"pip install '{requirement.name}{requirement.specifier}'"
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(requirement.name, Verdict.BAD, "not installed", mend)
            continue
        good = requirement.specifier.contains(version, prereleases=True)
        detail = version if good else f"{version}, but {requirement.specifier} is needed"
        yield Finding(
            requirement.name, Verdict.OK if good else Verdict.BAD, detail, "" if good else mend
        )


def check_gl() -> Iterator[Finding]:
    """Each GL backend, tried in a process of its own."""
    found = [probe(backend) for backend in GlBackend]
    any_works = any(item.renderer for item in found)
    for item in found:
        if item.renderer is not None:
            yield Finding(f"gl {item.backend}", Verdict.OK, item.renderer)
        else:
            verdict = Verdict.NOTE if any_works else Verdict.BAD
            yield Finding(f"gl {item.backend}", verdict, item.problem, INSTALL_HINT)


def check_gpu() -> Iterator[Finding]:
    """GPUs, and which EGL device index draws on which of them."""
    names = gpu_names()
    if not names:
        yield Finding("gpu", Verdict.NOTE, "none found; cameras are rendered in software")
        return
    for index, name in enumerate(names):
        yield Finding(f"gpu {index}", Verdict.OK, name)
    for index in range(len(names)):
        item = probe(GlBackend.EGL, index)
        detail = item.renderer or item.problem
        good = item.renderer is not None and item.family != "software"
        yield Finding(
            f"egl device {index}",
            Verdict.OK if good else Verdict.NOTE,
            f"{detail} (CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', '(unset)')})",
            "" if good else "use egl_device=N with an N that names a GPU, or gl=osmesa",
        )


def check_memory() -> Iterator[Finding]:
    """Free memory against one worker per core."""
    fields = dict(_meminfo())
    free_gb = fields.get("MemAvailable", 0) / 1e6
    cores = len(os.sched_getaffinity(0))
    good = free_gb >= GB_PER_WORKER * cores
    detail = f"{free_gb:.1f} GB free, {cores} cores"
    fits = max(1, int(free_gb / GB_PER_WORKER))
    mend = "" if good else f"use workers={fits}"
    yield Finding("memory", Verdict.OK if good else Verdict.NOTE, detail, mend)


def check_disk() -> Iterator[Finding]:
    """Free space where runs go by default."""
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    good = free_gb >= MIN_DISK_GB
    mend = "" if good else "make room, or use out= on another disk and video=none"
    yield Finding("disk", Verdict.OK if good else Verdict.BAD, f"{free_gb:.1f} GB free here", mend)


def check_suite(name: str, preflight: Callable[[], None]) -> Iterator[Finding]:
    """A suite's own preflight: versions and assets."""
    try:
        preflight()
    except SfbenchError as error:
        yield Finding(f"suite {name}", Verdict.BAD, str(error))
    else:
        yield Finding(f"suite {name}", Verdict.OK, "ready")


def _meminfo() -> Mapping[str, int]:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
