"""The report folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sfbench.errors import UsageError
from sfbench.report.document import Document, latex, markdown, table_files
from sfbench.report.entries import Entry, final_entries, make_entries
from sfbench.report.figures import board_figure, curve_figure, loss_figure, probe_figure, save
from sfbench.report.inputs import sort_folders
from sfbench.report.load import Loaded, load, nothing_loaded
from sfbench.report.losses import losses_csv, read_losses
from sfbench.report.media import gather_media, gather_pictures
from sfbench.report.page import render_page
from sfbench.report.probe import probe_csv, read_probes
from sfbench.report.published import read_published
from sfbench.report.tables import leaderboard_csv, make_sections, pairs_csv, tasks_csv
from sfbench.report.training import (
    CurveSet,
    Matching,
    curves_csv,
    data_curves,
    ratios_csv,
    training_curves,
)
from sfbench.rollout.run_folder import write_atomically


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
class Report:
    """What was written.

    Attributes:
        entries: the leaderboard's lines.
        document: all that was printed.
    """

    entries: Sequence[Entry]
    document: Document


def write_report(folders: Sequence[Path], out: Path, options: Options) -> Report:
    """Read folders and write the report folder; see docs/design.md for its files.

    Args:
        folders: runs as made by `sfbench eval`, trainings with their evaluations, depth probes.
        out: the report folder.
        options: what a reader may wish for.

    Raises:
        UsageError: no folders, ones that cannot be read, or an `out` that cannot be written.
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
    try:
        out.mkdir(parents=True, exist_ok=True)
        texts = _tables(document, entries, curves)
        texts["index.html"] = _page(document, loaded, out)
        for name, text in texts.items():
            write_atomically(out / name, text)
        loaded.rows.drop(columns="run").to_parquet(out / "episodes.parquet", index=False)
    except OSError as error:
        raise UsageError(f"-o {out}: cannot be written: {error.strerror}") from error
    return Report(entries, document)


def _tables(
    document: Document, entries: Sequence[Entry], curves: dict[str, list[CurveSet]]
) -> dict[str, str]:
    """Text by file name."""
    texts = {
        "leaderboard.md": markdown(document),
        "leaderboard.csv": leaderboard_csv(document.sections),
        "leaderboard.tex": latex(document),
        "tasks.csv": tasks_csv(entries),
        "pairs.csv": pairs_csv(document.sections),
    }
    texts |= table_files(document)
    texts |= {f"{name}.csv": curves_csv(sets) for name, sets in curves.items() if sets}
    if document.curves:
        texts["ratios.csv"] = ratios_csv(document.curves)
    if document.losses:
        texts["losses.csv"] = losses_csv(document.losses)
    if document.probes:
        texts["probe.csv"] = probe_csv(document.probes)
    return texts


def _page(document: Document, loaded: Loaded, out: Path) -> str:
    figures = _draw_figures(document, out / "figures")
    pictures = gather_pictures(document.probes, out) if document.probes else {}
    return render_page(document, gather_media(loaded, out), figures, pictures)


def _draw_figures(document: Document, folder: Path) -> dict[str, str]:
    """SVG text by the name that the page knows it under."""
    figures = {}
    for section in document.sections:
        place = f"{section.suite} {section.card}"
        name = f"board_{section.suite}_{section.card}"
        figures[f"board {place}"] = save(board_figure(section), folder, name)
    for group in document.curves:
        name = f"{group.kind}_{group.policy}_{group.suite}_{group.card}"
        figures[f"curves {group.title}"] = save(curve_figure(group), folder, name)
    if any(losses.series for losses in document.losses):
        figures["losses"] = save(loss_figure(document.losses), folder, "losses")
    splits = {group.key.split for group in document.probes.groups} if document.probes else set()
    for split in sorted(splits):
        assert document.probes is not None
        figure = probe_figure(document.probes, split)
        figures[f"probe {split}"] = save(figure, folder, f"probe_{split}")
    return figures
