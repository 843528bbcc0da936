"""Videos of a leaderboard's episodes: one row per initial state, the policies side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

import pandas as pd

from sfbench.contracts import Status
from sfbench.report.entries import Entry
from sfbench.report.tables import task_names

MAX_STATES_PER_TASK = 12
"""Initial states shown per task; all videos are in the folder."""


@dataclass(frozen=True, slots=True)
class Media:
    """Files of the report folder that the page shows, by paths relative to the page.

    Attributes:
        videos: by (index of the run, path in its run folder).
        key_frames: a picture by the path of its video.
        mosaic: path of the mosaic video, or ''.
    """

    videos: Mapping[tuple[int, str], str]
    key_frames: Mapping[str, str]
    mosaic: str


def gallery(entries: Sequence[Entry], media: Media) -> str:
    """All tasks of a section; '' without videos."""
    tasks = "".join(_task(task, entries, media) for task in task_names(entries))
    if not tasks:
        return ""
    policies = "".join(
        f"<option value={index}>{escape(entry.label)}</option>"
        for index, entry in enumerate(entries)
    )
    statuses = "".join(f"<option>{status.value}</option>" for status in Status)
    return (
        "<div class=gallery><h3>Videos</h3><div class=toolbar>"
        f"<label>left <select class=left><option value=''>all policies</option>{policies}</select>"
        "</label><label>right <select class=right><option value=''>none</option>"
        f"{policies}</select></label><label>ended as <select class=status>"
        f"<option value=''>anything</option>{statuses}</select></label></div>"
        "<p class=dim>A row is one initial state; its videos play in step. Choose two policies to "
        f"see them side by side.</p>{tasks}</div>"
    )


def _task(task: str, entries: Sequence[Entry], media: Media) -> str:
    """Per initial state a row of videos, one for each policy that has one."""
    by_state: dict[tuple[int, int, int], list[str]] = {}
    for index, entry in enumerate(entries):
        rows = entry.rows[(entry.rows["task"] == task) & entry.rows["video"].notna()]
        for row in rows.to_dict("records"):
            path = media.videos.get((row["run"], row["video"]))
            if path is not None:
                key = (row["init_state"], row["seed"], row["repeat"])
                frames = media.key_frames.get(path, "")
                figure = _figure((index, entry), row, path, frames)
                by_state.setdefault(key, []).append(figure)
    if not by_state:
        return ""
    shown = sorted(by_state)[:MAX_STATES_PER_TASK]
    rows = "".join(_state(key[0], "".join(by_state[key])) for key in shown)
    title = f"{escape(task)} <small>{len(shown)} of {len(by_state)} episodes with videos</small>"
    return f"<details open><summary>{title}</summary><div class=states>{rows}</div></details>"


def _state(init_state: int, figures: str) -> str:
    return (
        f"<div class=state><div class=videos>{figures}</div><div class=player>"
        "<button class=play type=button aria-pressed=false>play</button>"
        "<input class=seek type=range min=0 max=1 step=0.01 value=0 "
        f"aria-label='time in the videos of state {init_state}'></div></div>"
    )


def _figure(place: tuple[int, Entry], row: Mapping[str, object], path: str, frames: str) -> str:
    index, entry = place
    status = str(row["status"])
    steps = "" if pd.isna(row["success_step"]) else f", {row['success_step']} steps"
    caption = f"state {row['init_state']}: {status}{steps}"
    link = f" <a href='{quote(frames)}'>key frames</a>" if frames else ""
    what = escape(f"{entry.label}, {row['task']}, {caption}", quote=True)
    return (
        f"<figure class={escape(status)} data-policy={index} data-status={escape(status)}>"
        f"<video muted playsinline preload=none data-src='{quote(path)}' "
        f"aria-label='{what}'></video>"
        f"<figcaption><b>{escape(entry.label)}</b> {escape(caption)}{link}"
        f"<br><q>{escape(str(row['instruction']))}</q></figcaption></figure>"
    )
