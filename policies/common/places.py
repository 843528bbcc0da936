"""Where weights are: folders, this package, the hub; and what identifies them."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from sfbench.errors import MissingError, UnknownNameError

SHIPPED = "shipped:"
_WEIGHTS = Path(__file__).parents[1] / "weights"


def locate(source: str, files: Sequence[str], revision: str = "") -> Path:
    """The local folder of a checkpoint.

    Args:
        source: a folder, a hub id such as `lerobot/pi0_libero_finetuned`, or `shipped:NAME` for
            weights that are installed with this package.
        files: patterns of the files to fetch from the hub.
        revision: of the hub id; empty is its newest.

    Raises:
        MissingError: it is not there, and cannot be fetched.
        UnknownNameError: no weights of that name are shipped.
    """
    if source.startswith(SHIPPED):
        name = source.removeprefix(SHIPPED)
        if name not in shipped():
            raise UnknownNameError("shipped checkpoint", name, shipped())
        return _WEIGHTS / name
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    try:
        path = snapshot_download(source, revision=revision or None, allow_patterns=list(files))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise MissingError(
            f"'{source}': no such folder, and not to be had from the hub ({error})"
        ) from error
    return Path(path)


def shipped() -> list[str]:
    """Names of the checkpoints that are installed with this package."""
    return sorted(file.parent.name for file in _WEIGHTS.glob("*/model.safetensors"))


def fingerprint(files: Iterable[Path]) -> str:
    """16 hex digits of the SHA-256 over the contents of files, in order of name."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda path: path.name):
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()[:16]
