"""The report folder."""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from sfbench.errors import UsageError
from sfbench.report.entries import Entry, final_entries, make_entries
from sfbench.report.figures import curve_figure, save
from sfbench.report.latex import leaderboard_latex
from sfbench.report.load import Loaded, load
from sfbench.report.mosaic import MAX_TILES, write_key_frames, write_mosaic
from sfbench.report.page import render_page
from sfbench.report.published import read_published
from sfbench.report.tables import (
    leaderboard_csv,
    leaderboard_markdown,
    make_sections,
    pairs_csv,
    tasks_csv,
)
from sfbench.report.training import (
    CurveSet,
    curves_csv,
    data_curves,
    ratios_csv,
    training_curves,
)
from sfbench.rollout.run_folder import write_atomically


def write_report(run_folders: Sequence[Path], out: Path, published: Path) -> list[Entry]:
    """Read runs and write the report folder; see docs/design.md for its files.

    Args:
        run_folders: as made by `sfbench eval`.
        out: the report folder.
        published: folder of CSV files with numbers from papers; may be absent.

    Returns:
        The leaderboard's entries.

    Raises:
        UsageError: no runs, runs that cannot be read, or an `out` that cannot be written.
    """
    loaded = load(run_folders)
    measured = make_entries(loaded)
    entries = final_entries(measured)
    curves = {"curves": training_curves(measured), "data_efficiency": data_curves(measured)}
    made = make_sections(entries)
    from_papers = read_published(published, {entry.key.suite for entry in entries})
    texts = {
        "leaderboard.md": leaderboard_markdown(made),
        "leaderboard.csv": leaderboard_csv(made),
        "leaderboard.tex": leaderboard_latex(made),
        "tasks.csv": tasks_csv(entries),
        "pairs.csv": pairs_csv(made),
    }
    texts |= {f"{name}.csv": curves_csv(sets) for name, sets in curves.items() if sets}
    if any(curves.values()):
        texts["ratios.csv"] = ratios_csv(chain(*curves.values()))
    try:
        out.mkdir(parents=True, exist_ok=True)
        videos = _gather_videos(loaded, out)
        figures = _draw_figures(chain(*curves.values()), out / "figures")
        texts["index.html"] = render_page(made, from_papers, videos, figures)
        for name, text in texts.items():
            write_atomically(out / name, text)
        _write_pictures(loaded, videos, out)
        loaded.rows.drop(columns="run").to_parquet(out / "episodes.parquet", index=False)
    except OSError as error:
        raise UsageError(f"-o {out}: cannot be written: {error.strerror}") from error
    return entries


def _draw_figures(sets: Iterable[CurveSet], folder: Path) -> dict[str, str]:
    figures = {}
    for group in sets:
        words = {"steps": "Training steps", "demos": "Data efficiency"}[group.kind]
        heading = f"{words}: {group.policy} on {group.suite} (card {group.card})"
        name = f"{group.kind}_{group.policy}_{group.suite}_{group.card}"
        figures[heading] = save(curve_figure(group), folder, name)
    return figures


def _gather_videos(loaded: Loaded, out: Path) -> dict[tuple[int, str], str]:
    """Bring every video below the report folder; linked where the file system allows."""
    videos: dict[tuple[int, str], str] = {}
    with_video = loaded.rows[loaded.rows["video"].notna()]
    names = _distinct_names(loaded)
    for run, video in zip(with_video["run"], with_video["video"], strict=True):
        source = loaded.runs[run].folder / video
        if source.exists():
            target = out / "videos" / names[run] / Path(video).relative_to("videos")
            _link_or_copy(source, target)
            videos[run, video] = target.relative_to(out).as_posix()
    return videos


def _write_pictures(loaded: Loaded, videos: Mapping[tuple[int, str], str], out: Path) -> None:
    """The mosaic of one episode per policy and task in turn, and key frames of the same."""
    rows = loaded.rows[loaded.rows["video"].notna()]
    place = rows.groupby(["task", "policy", "arm"], dropna=False).cumcount()
    ordered = rows.assign(place=place).sort_values(["place", "task", "policy"], kind="stable")
    chosen = [
        (out / videos[row["run"], row["video"]], str(row["status"]))
        for row in ordered.head(MAX_TILES).to_dict("records")
        if (row["run"], row["video"]) in videos
    ]
    if chosen:
        write_mosaic(chosen, out / "mosaic.mp4")
    for path, _ in chosen:
        name = path.relative_to(out / "videos").with_suffix(".png")
        write_key_frames(path, out / "figures" / "frames" / name)


def _distinct_names(loaded: Loaded) -> list[str]:
    names = [run.folder.resolve().name for run in loaded.runs]
    return [
        name if names.count(name) == 1 else f"{index}-{name}" for index, name in enumerate(names)
    ]


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
