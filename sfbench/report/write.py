"""The report folder."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from sfbench.errors import UsageError
from sfbench.report.entries import Entry, final_entries, make_entries
from sfbench.report.latex import leaderboard_latex
from sfbench.report.load import Loaded, load
from sfbench.report.page import render_page
from sfbench.report.published import read_published
from sfbench.report.tables import (
    leaderboard_csv,
    leaderboard_markdown,
    make_sections,
    pairs_csv,
    tasks_csv,
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
    entries = final_entries(make_entries(loaded))
    made = make_sections(entries)
    from_papers = read_published(published, {entry.key.suite for entry in entries})
    texts = {
        "leaderboard.md": leaderboard_markdown(made),
        "leaderboard.csv": leaderboard_csv(made),
        "leaderboard.tex": leaderboard_latex(made),
        "tasks.csv": tasks_csv(entries),
        "pairs.csv": pairs_csv(made),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        videos = _gather_videos(loaded, out)
        texts["index.html"] = render_page(made, from_papers, videos, {})
        for name, text in texts.items():
            write_atomically(out / name, text)
        loaded.rows.drop(columns="run").to_parquet(out / "episodes.parquet", index=False)
    except OSError as error:
        raise UsageError(f"-o {out}: cannot be written: {error.strerror}") from error
    return entries


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
