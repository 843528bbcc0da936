"""All that a report says, computed from rows; nothing is written here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sfbench.report.document import Document
from sfbench.report.entries import Entry, final_entries, make_entries
from sfbench.report.inputs import sort_folders
from sfbench.report.load import Loaded, load, nothing_loaded
from sfbench.report.losses import read_losses
from sfbench.report.probe import read_probes
from sfbench.report.published import read_published
from sfbench.report.tables import make_sections
from sfbench.report.training import CurveSet, Matching, data_curves, training_curves


@dataclass(frozen=True, slots=True)
class Options:
    """What a reader may wish for.

    Attributes:
        published: folder of CSV files with numbers from papers; may be absent.
        matching: at what success arms are compared, and with which arm.
        wished: a difference of rates to detect; tables say how many episodes it takes.
    """

    published: Path
    matching: Matching = field(default_factory=Matching)
    wished: float = 0.05


@dataclass(frozen=True, slots=True)
class Content:
    """What rows say.

    Attributes:
        loaded: the rows.
        measured: lines of every kept training step.
        entries: the leaderboard's lines, of the last steps.
        curves: by the name of their table, `curves` and `data_efficiency`.
        document: all that is printed.
    """

    loaded: Loaded
    measured: Sequence[Entry]
    entries: Sequence[Entry]
    curves: Mapping[str, list[CurveSet]]
    document: Document


def read_content(folders: Sequence[Path], options: Options) -> Content:
    """Read folders and compute all tables.

    Args:
        folders: runs as made by `sfbench eval`, trainings with their evaluations, stored rows,
            depth probes.
        options: what a reader may wish for.

    Raises:
        UsageError: no folders, or ones that cannot be read.
    """
    inputs = sort_folders(folders)
    only_others = not inputs.runs and (inputs.trainings or inputs.probes)
    loaded = nothing_loaded() if only_others else load(inputs.runs)
    measured = make_entries(loaded)
    entries = final_entries(measured)
    curves = {
        "curves": training_curves(measured, options.matching),
        "data_efficiency": data_curves(measured, options.matching),
    }
    document = Document(
        sections=make_sections(entries),
        curves=[group for sets in curves.values() for group in sets],
        losses=[read_losses(folder) for folder in inputs.trainings],
        probes=read_probes(inputs.probes),
        published=read_published(options.published, {entry.key.suite for entry in entries}),
        wished=options.wished,
    )
    return Content(loaded, measured, entries, curves, document)
