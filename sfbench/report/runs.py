"""What a report knows of a run besides its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sfbench.contracts import ProtocolCard


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder, without its rows.

    Attributes:
        folder: where it is, or was before its rows were stored with those of others.
        planned: planned episodes by task.
        card: its protocol card.
        command: what was typed to make it.
    """

    folder: Path
    planned: Mapping[str, int]
    card: ProtocolCard
    command: str
