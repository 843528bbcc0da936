"""The protocol card: what a number depends on."""

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sfbench.contracts.specs import Json

_TASKS = "tasks"


def stable_hash(value: Json) -> str:
    """16 hex digits of the SHA-256 of the value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ProtocolCard:
    """Everything that can move a score, in two hashed parts.

    Attributes:
        env: suite and task versions, initial states, budgets, cameras, simulator versions, GL.
            Under the key `tasks`, if a suite has it, each task's name leads to what concerns that
            task alone. Only rows of equal `row_hash` are ranked together.
        policy: checkpoint, preset, executed steps, dtype; shown beside a row.
    """

    env: Mapping[str, Json]
    policy: Mapping[str, Json]

    @property
    def hash(self) -> str:
        """Hash of the whole `env` part."""
        return stable_hash(self.env)

    @property
    def tasks(self) -> Mapping[str, Json]:
        """What concerns one task alone, by its name; empty where `env` tells no tasks apart."""
        parts = self.env.get(_TASKS)
        return parts if isinstance(parts, Mapping) else {}

    def row_hash(self, task: str) -> str:
        """A row's `card` field: hash of `env` without what concerns other tasks.

        So rows of one task compare, whatever else their runs played and the suite has come to
        offer.
        """
        return self.of_tasks((task,)).hash

    def of_tasks(self, names: Container[str]) -> "ProtocolCard":
        """The card of a run of these tasks; the same where `env` tells no tasks apart."""
        return self._with({name: part for name, part in self.tasks.items() if name in names})

    def joined(self, other: "ProtocolCard") -> "ProtocolCard":
        """With the other's tasks, too; of a task of both, this card's part."""
        return self._with({**other.tasks, **self.tasks})

    def _with(self, tasks: Mapping[str, Json]) -> "ProtocolCard":
        return replace(self, env={**self.env, _TASKS: dict(tasks)}) if self.tasks else self

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {"env": dict(self.env), "policy": dict(self.policy), "hash": self.hash}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ProtocolCard":
        """Inverse of `to_json`."""
        return cls(env=data["env"], policy=data["policy"])


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """Every leaf in which two nested mappings differ, as `path: left -> right`."""
    mine, theirs = dict(_leaves(left, "")), dict(_leaves(right, ""))
    absent = object()
    lines = []
    for path in sorted(mine.keys() | theirs.keys()):
        one, two = mine.get(path, absent), theirs.get(path, absent)
        if one != two:
            texts = ["(absent)" if value is absent else repr(value) for value in (one, two)]
            lines.append(f"{path}: {texts[0]} -> {texts[1]}")
    return lines


def _leaves(value: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, item in value.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(item, Mapping) and item:
            found += _leaves(item, path)
        else:
            found.append((path, item))
    return found
