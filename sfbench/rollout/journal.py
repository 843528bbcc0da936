"""The journal: rows on disk, appended when an episode ends and never rewritten."""

import fcntl
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sfbench.contracts import EpisodeKey, EpisodeRow
from sfbench.errors import RunFolderError, StoppedError

_LOCK_TRIES = 5


class Journal:
    """Append-only rows of one shard, locked against a second writer.

    A torn last line (the writer was killed while writing) is cut off when the journal is opened;
    its episode is then simply missing and runs again.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            RunFolderError: it is in use, or a line that is not the last cannot be read.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab+")
        try:
            _lock(self._file)
        except OSError as error:
            self._file.close()
            raise RunFolderError(
                f"{path} is being written by another process; wait for it, or use another out="
            ) from error
        text = read_journal(path)
        if text.torn_at is not None:
            self._file.truncate(text.good_bytes)
        self.rows = text.rows

    def append(self, row: EpisodeRow) -> None:
        """Write one row.

        Raises:
            StoppedError: the disk refused it; the rows so far are intact.
        """
        line = json.dumps(row.to_json(), allow_nan=False).encode() + b"\n"
        before = os.fstat(self._file.fileno()).st_size
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            self._undo(before)
            raise StoppedError(
                f"cannot write to {self.path}: {error.strerror}. The {len(self.rows)} rows so far "
                "are intact; make room and run the same command again to resume"
            ) from error
        self.rows.append(row)

    def close(self) -> None:
        """Release the file and its lock."""
        self._file.close()

    def _undo(self, size: int) -> None:
        # A buffered writer would try its unwritten rest again at close: reopen without it.
        descriptor = os.dup(self._file.fileno())
        with suppress(OSError):
            self._file.close()
        self._file = os.fdopen(descriptor, "ab+")
        self._file.truncate(size)


@dataclass(frozen=True, slots=True)
class JournalText:
    """A journal file as read.

    Attributes:
        rows: the complete ones.
        torn_at: line number of an incomplete last line, or None.
        good_bytes: length of the file up to the end of the last complete row.
    """

    rows: list[EpisodeRow]
    torn_at: int | None
    good_bytes: int


def _lock(file: IO[bytes]) -> None:
    """Whoever looks whether a journal is in use holds its lock for a moment. Raises OSError."""
    for _ in range(_LOCK_TRIES - 1):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            time.sleep(0.05)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def read_journal(path: Path) -> JournalText:
    """Read one journal file.

    Raises:
        RunFolderError: naming file and line, if a line other than an unfinished last one is no row.
    """
    rows: list[EpisodeRow] = []
    good_bytes = 0
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            return JournalText(rows, number, good_bytes)
        try:
            rows.append(EpisodeRow.from_json(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunFolderError(
                f"{path}, line {number}: not an episode row ({error}). The file was changed by "
                "something else; restore it, or delete that line to run its episode again"
            ) from error
        good_bytes += len(line)
    return JournalText(rows, None, good_bytes)


def read_rows(run_folder: Path) -> list[EpisodeRow]:
    """The union of all shards of a run folder.

    Raises:
        RunFolderError: no rows at all, a torn file, or an episode that stands there twice.
    """
    paths = sorted((run_folder / "episodes").glob("*.jsonl"))
    rows: list[EpisodeRow] = []
    for path in paths:
        text = read_journal(path)
        if text.torn_at is not None:
            raise RunFolderError(
                f"{path}, line {text.torn_at}: the last row is incomplete; run the evaluation "
                "again to resume it (the row is dropped and its episode rerun)"
            )
        rows += text.rows
    if not rows:
        raise RunFolderError(f"{run_folder}: no episode rows under episodes/*.jsonl")
    check_unique(rows, str(run_folder))
    return rows


def check_unique(rows: Iterable[EpisodeRow], where: str) -> None:
    """Refuse two rows of one episode. Raises RunFolderError."""
    seen: set[tuple[EpisodeKey, str | None]] = set()
    for row in rows:
        identity = (row.key, row.checkpoint)
        if identity in seen:
            raise RunFolderError(f"{where}: duplicate row for {tuple(row.key)}")
        seen.add(identity)
