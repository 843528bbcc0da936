"""The report folder."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from sfbench.contracts import EpisodeKey
from sfbench.errors import UsageError
from sfbench.report.load import Entry, load_run, pool_runs
from sfbench.report.page import render_page
from sfbench.report.tables import leaderboard_csv, leaderboard_markdown, tasks_csv
from sfbench.rollout.run_folder import write_atomically


def write_report(run_folders: Sequence[Path], out: Path) -> list[Entry]:
    """Read runs and write `leaderboard.md`, `.csv`, `tasks.csv`, `index.html` and `videos/`.

    Returns:
        The leaderboard's entries.

    Raises:
        UsageError: no runs, runs that cannot be read, or an `out` that cannot be written.
    """
    entries = pool_runs([load_run(folder) for folder in run_folders])
    try:
        out.mkdir(parents=True, exist_ok=True)
        videos = _gather_videos(entries, out)
        write_atomically(out / "leaderboard.md", leaderboard_markdown(entries))
        write_atomically(out / "leaderboard.csv", leaderboard_csv(entries))
        write_atomically(out / "tasks.csv", tasks_csv(entries))
        write_atomically(out / "index.html", render_page(entries, videos))
    except OSError as error:
        raise UsageError(f"-o {out}: cannot be written: {error.strerror}") from error
    return entries


def _gather_videos(entries: Iterable[Entry], out: Path) -> dict[tuple[str, EpisodeKey], str]:
    """Bring every video below the report folder; linked where the file system allows."""
    videos: dict[tuple[str, EpisodeKey], str] = {}
    for entry in entries:
        for row in entry.rows:
            for run in entry.runs:
                if row.video is None or not (run.folder / row.video).exists():
                    continue
                target = out / "videos" / run.folder.name / Path(row.video).relative_to("videos")
                _link_or_copy(run.folder / row.video, target)
                videos[entry.label, row.key] = target.relative_to(out).as_posix()
    return videos


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
