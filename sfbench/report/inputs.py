"""What the folders given to a report are: episodes, trainings, depth probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sfbench.report.stored import ROWS

METRICS = "metrics.jsonl"
PROBE_FILES = ("probe.jsonl", "probe.parquet")
PROBES = "probes"
"""Where stored rows have the depth probes that belong to them."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Folders by kind.

    Attributes:
        runs: folders of episode rows, also stored ones; a training's evaluations are among them.
        trainings: folders with a METRICS file.
        probes: folders with one of PROBE_FILES; those in a folder's PROBES are among them.
    """

    runs: Sequence[Path]
    trainings: Sequence[Path]
    probes: Sequence[Path]


def sort_folders(folders: Sequence[Path]) -> Inputs:
    """Tell folders apart by what they hold; what is nothing else counts as a run."""
    runs: list[Path] = []
    trainings: list[Path] = []
    probes: list[Path] = []
    for folder in folders:
        evaluations = sorted(path.parent for path in folder.glob("evals/*/plan.json"))
        is_training = (folder / METRICS).exists()
        found = [
            place for place in (folder, *sorted(folder.glob(f"{PROBES}/*")))
            if any((place / name).exists() for name in PROBE_FILES)
        ]  # fmt: skip
        trainings += [folder] if is_training else []
        probes += found
        runs += evaluations
        has_rows = (folder / "plan.json").exists() or (folder / ROWS).exists()
        if has_rows or not (evaluations or is_training or found):
            runs.append(folder)
    return Inputs(runs, sorted(trainings, key=str), sorted(probes, key=str))
