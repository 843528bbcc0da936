"""LIBERO's asset tree (meshes, textures, object files): found, checked, installed.

Two trees are known, each with a list of hashes: the official one, and a `lite` stand-in with equal
physics and plainer looks for machines that cannot download. Anything else is refused, because a
changed mesh or texture moves scores without a trace.
"""

import hashlib
import json
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path

from sfbench.contracts import stable_hash
from sfbench.errors import MissingError, UsageError
from sfbench.sim.cache import cache_folder, write_atomically

from .catalog import package_folder
from .locks import locked

VARIABLE = "SFBENCH_LIBERO_ASSETS"
HUB_REPOSITORY = "lerobot/libero-assets"
HUB_REVISION = "0b3ea86be5fe169d0fd036ae63d1070ec09e90f6"
"""The revision whose files have the blob ids of LIBERO's own repository at 8f1084e."""

INSTALL_HINT = (
    "Type `sfbench assets libero` (downloads about 420 MB), or "
    f"`sfbench assets libero --from FOLDER_OR_ARCHIVE`, or set {VARIABLE}."
)
_ARCHIVE_ENDINGS = (".tar.xz", ".tar.gz", ".tgz", ".tar", ".zip")
_SHOWN = 10


class AssetKind(StrEnum):
    """Which tree it is."""

    OFFICIAL = "official"
    LITE = "lite"
    """Equal physics, other looks: rates are not comparable with published ones."""


@dataclass(frozen=True, slots=True)
class AssetTree:
    """A checked asset tree.

    Attributes:
        root: the folder that holds `scenes/`, `textures/`, ...
        kind: which list of hashes it fulfils.
        hash: 16 hex digits over that list.
    """

    root: Path
    kind: AssetKind
    hash: str


def find() -> AssetTree:
    """The tree to use: the one named by SFBENCH_LIBERO_ASSETS, an installed one, the package's own.

    Raises:
        MissingError: there is none, or it is damaged; says which files.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _open(Path(named).expanduser())
    for kind in AssetKind:
        folder = _install_folder(kind)
        if folder.is_dir():
            return _check_remembered(folder)
    beside_code = package_folder() / "assets"
    if beside_code.is_dir():
        return _check_remembered(beside_code)
    raise MissingError(f"LIBERO's assets are not installed. {INSTALL_HINT}")


def install(source: Path | str | None = None) -> AssetTree:
    """Put a tree into the cache, where `find` looks.

    Args:
        source: a folder or an archive; None downloads the official tree.

    Raises:
        MissingError: the source is absent, damaged or incomplete, or the download failed.
    """
    with tempfile.TemporaryDirectory(dir=cache_folder("libero")) as scratch:
        if source is None:
            root = _download(Path(scratch))
        elif (path := Path(source).expanduser()).is_dir():
            root = path
        else:
            root = _unpack(path, Path(scratch))
        tree = check(_tree_root(root))
        with locked("assets"):
            _replace_folder(tree.root, _install_folder(tree.kind), tree.kind)
    return AssetTree(_install_folder(tree.kind), tree.kind, tree.hash)


def check(root: Path) -> AssetTree:
    """Compare every file with the list of the tree that it resembles most.

    Raises:
        MissingError: files are absent or differ; lists them.
    """
    problems = {kind: differences(root, kind) for kind in AssetKind}
    kind = min(AssetKind, key=lambda kind: len(problems[kind]))
    found = problems[kind]
    if found:
        lines = "\n  ".join(found[:_SHOWN])
        more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise MissingError(
            f"the LIBERO assets in {root} are not the {kind} tree: {len(found)} of "
            f"{len(listed(kind))} files are absent or differ.\n  {lines}{more}\n{INSTALL_HINT}"
        )
    return AssetTree(root, kind, list_hash(kind))


def list_hash(kind: AssetKind) -> str:
    """16 hex digits that stand for a tree's contents in the protocol card."""
    return stable_hash(listed(kind))


@cache
def listed(kind: AssetKind) -> Mapping[str, str]:
    """The tree's files and their hashes: Git blob ids (official), SHA-256 (lite)."""
    text = files(__package__).joinpath("data", f"assets_{kind}.json").read_text()
    listed: dict[str, str] = json.loads(text)
    return listed


def differences(root: Path, kind: AssetKind) -> list[str]:
    """Every listed file that is absent or differs, as `absent: NAME` or `differs: NAME`."""
    found = []
    for name, expected in listed(kind).items():
        path = root / name
        if not path.is_file():
            found.append(f"absent: {name}")
        elif _digest(path, kind) != expected:
            found.append(f"differs: {name}")
    return found


def _digest(path: Path, kind: AssetKind) -> str:
    content = path.read_bytes()
    if kind is AssetKind.LITE:
        return hashlib.sha256(content).hexdigest()
    # The official list holds Git's blob ids.
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def _open(path: Path) -> AssetTree:
    if path.is_dir():
        return _check_remembered(_tree_root(path))
    if not path.is_file():
        raise MissingError(f"{VARIABLE} names {path}, which does not exist. {INSTALL_HINT}")
    stat = path.stat()
    key = stable_hash([str(path.resolve()), stat.st_size, stat.st_mtime_ns])
    folder = cache_folder("libero") / f"unpacked-{key}"
    if not folder.is_dir():
        with locked("assets"), tempfile.TemporaryDirectory(dir=cache_folder("libero")) as scratch:
            if not folder.is_dir():
                tree = check(_tree_root(_unpack(path, Path(scratch))))
                tree.root.replace(folder)
    return _check_remembered(folder)


def _check_remembered(root: Path) -> AssetTree:
    """`check`, but skipped where no file's size or time has changed since it last passed."""
    stats = [
        (name, stat.st_size, stat.st_mtime_ns)
        for name, stat in sorted(
            (str(path.relative_to(root)), path.stat()) for path in root.rglob("*") if path.is_file()
        )
    ]
    key = stable_hash([str(root.resolve()), stats, [list_hash(kind) for kind in AssetKind]])
    note = cache_folder("libero") / f"checked-{key}"
    if note.is_file():
        kind = AssetKind(note.read_text())
        return AssetTree(root, kind, list_hash(kind))
    tree = check(root)
    write_atomically(note, str(tree.kind).encode())
    return tree


def _unpack(path: Path, into: Path) -> Path:
    """Unpack an archive and return the folder. No member may lie outside of it."""
    if not path.is_file():
        raise MissingError(f"no such file or folder: {path}")
    if not path.name.endswith(_ARCHIVE_ENDINGS):
        endings = ", ".join(_ARCHIVE_ENDINGS)
        raise UsageError(f"{path} is neither a folder nor an archive ({endings})")
    target = into / "unpacked"
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as zipped:
                zipped.extractall(target)  # noqa: S202 (zipfile drops absolute and .. parts)
        else:
            with tarfile.open(path) as tarred:
                tarred.extractall(target, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, EOFError, OSError) as error:
        raise MissingError(f"cannot unpack {path}: {error}") from error
    return target


def _tree_root(folder: Path) -> Path:
    """The folder with `scenes/` in it: the one given, or one below it."""
    for candidate in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if (candidate / "scenes").is_dir():
            return candidate
    raise MissingError(f"no LIBERO assets in {folder}: it has no folder `scenes`. {INSTALL_HINT}")


def _download(into: Path) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingError(
            "downloading needs the package huggingface_hub: type `pip install huggingface_hub`, or "
            "give an archive with `--from`"
        ) from error
    try:
        return Path(
            snapshot_download(
                HUB_REPOSITORY, repo_type="dataset", revision=HUB_REVISION, local_dir=into / "hub"
            )
        )
    except Exception as error:
        raise MissingError(
            f"cannot download {HUB_REPOSITORY}@{HUB_REVISION[:12]}: {error}. Without network, "
            "fetch it elsewhere and type `sfbench assets libero --from FOLDER_OR_ARCHIVE`."
        ) from error


def _install_folder(kind: AssetKind) -> Path:
    return cache_folder("libero") / f"assets-{kind}"


def _replace_folder(source: Path, target: Path, kind: AssetKind) -> None:
    """Copy the listed files beside the target, then swap: a reader sees the old tree or the new."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        fresh = Path(scratch) / "fresh"
        for name in listed(kind):
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, fresh / name)
        if target.is_dir():
            target.replace(Path(scratch) / "old")
        fresh.replace(target)
