"""The run folder: plan, card, config, provenance and rows of one run, on disk."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfbench.contracts import EpisodeKey, EpisodeRow, ProtocolCard, differences
from sfbench.errors import RunFolderError, StoppedError
from sfbench.rollout.journal import Journal, read_journal
from sfbench.rollout.plan import Plan


class RunFolder:
    """Opens a folder for writing; a folder that holds another protocol is refused.

    Attributes:
        path: the folder.
        shard: name of this process's share, such as `0-of-1`.
    """

    def __init__(self, path: Path, shard: str) -> None:
        """Create the folder if need be. Raises RunFolderError if it cannot be written."""
        self.path = path
        self.shard = shard
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"out={path} is a file; name a folder, new or of an earlier run")
        try:
            (path / "episodes").mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise RunFolderError(
                f"out={path} cannot be written: {error.strerror}; name another folder"
            ) from error

    def check_card(self, card: ProtocolCard) -> None:
        """Refuse to add rows of another protocol, or of another policy; other tasks are welcome.

        Raises:
            RunFolderError: listing every field that differs.
        """
        path = self.path / "card.json"
        if not path.exists():
            return
        now = ProtocolCard.from_json(json.loads(json.dumps(card.to_json())))
        stored = ProtocolCard.from_json(_read_json(path))
        shared = stored.tasks.keys() & now.tasks.keys()
        stored, now = stored.of_tasks(shared), now.of_tasks(shared)
        changed = differences(
            {"env": stored.env, "policy": stored.policy}, {"env": now.env, "policy": now.policy}
        )
        if changed:
            raise RunFolderError(
                f"{self.path} holds a run with another protocol card; use another out=. "
                "Differences (stored -> now):\n  " + "\n  ".join(changed)
            )

    def write_start(
        self, plan: Plan, card: ProtocolCard, config_yaml: str, provenance: Mapping[str, Any]
    ) -> None:
        """Write all that stands beside the rows. A larger plan extends the stored one and its card.

        Raises:
            StoppedError: no room.
        """
        stored = self.path / "plan.json"
        if stored.exists():
            plan = _merged(Plan.from_json(_read_json(stored)), plan)
        # A sweep writes the plan alone, before any run.
        if (self.path / "card.json").exists():
            card = card.joined(read_card(self.path))
        self._write("card.json", _json_text(card.to_json()))
        self._write("plan.json", json.dumps(plan.to_json()) + "\n")
        self._write("config.yaml", config_yaml)
        self._write(f"provenance/{self.shard}.json", _json_text(provenance))

    def open_journal(self) -> Journal:
        """This shard's journal, locked."""
        return Journal(self.path / "episodes" / f"{self.shard}.jsonl")

    def finished(self) -> dict[EpisodeKey, EpisodeRow]:
        """The rows of all shards by episode; a torn last line of another shard is not there yet."""
        rows: dict[EpisodeKey, EpisodeRow] = {}
        for path in sorted((self.path / "episodes").glob("*.jsonl")):
            for row in read_journal(path).rows:
                if row.key in rows:
                    raise RunFolderError(f"{path}: episode {tuple(row.key)} has two rows")
                rows[row.key] = row
        return rows

    def _write(self, name: str, text: str) -> None:
        try:
            write_atomically(self.path / name, text)
        except OSError as error:
            raise StoppedError(f"cannot write {self.path / name}: {error.strerror}") from error


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.chmod(partial, 0o644)  # noqa: PTH101 (mkstemp gives a plain name)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def read_plan(run_folder: Path) -> Plan:
    """The stored plan. Raises RunFolderError where there is none."""
    return Plan.from_json(_read_json(run_folder / "plan.json"))


def read_card(run_folder: Path) -> ProtocolCard:
    """The stored card. Raises RunFolderError where there is none."""
    return ProtocolCard.from_json(_read_json(run_folder / "card.json"))


def read_provenance(run_folder: Path) -> dict[str, dict[str, Any]]:
    """Provenance by shard; empty where there is none."""
    return {path.stem: _read_json(path) for path in sorted(run_folder.glob("provenance/*.json"))}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise RunFolderError(f"{path.parent} is no run folder: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error
    return data


def _json_text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def _merged(stored: Plan, new: Plan) -> Plan:
    known = {episode.key for episode in stored.episodes}
    added = tuple(episode for episode in new.episodes if episode.key not in known)
    return Plan(stored.episodes + added)
