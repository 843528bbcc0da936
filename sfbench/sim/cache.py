"""Where derived files are kept between runs."""

import os
import tempfile
from pathlib import Path


def cache_folder(name: str) -> Path:
    """A writable folder for files that can be made again at any time.

    `SFBENCH_CACHE` says where; without it, the user's cache folder; where that cannot be written,
    a temporary folder of this user.
    """
    chosen = os.environ.get("SFBENCH_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    roots = [Path(chosen)] if chosen else [Path(home) / "sfbench"]
    roots.append(Path(tempfile.gettempdir()) / f"sfbench-{os.getuid()}")
    for root in roots:
        folder = root / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="sfbench-"))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file at once, so that processes that race for it never read half of it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)
