"""`index.html`: one self-contained page beside the `videos/` folder."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template

import pandas as pd

from sfbench.report.entries import Entry
from sfbench.report.load import Run
from sfbench.report.published import Published
from sfbench.report.tables import HEADINGS, NOTE, Section, cells, percent, span, task_names
from sfbench.report.tally import Tally

MAX_STATES_PER_TASK = 12
"""Initial states shown per task; all videos are in the folder."""

Videos = Mapping[tuple[int, str], str]
"""Path relative to the page, by (index of the run, path in its run folder)."""


def render_page(
    made: Sequence[Section], published: Published, videos: Videos, figures: Mapping[str, str]
) -> str:
    """The page's HTML.

    Args:
        made: the leaderboard.
        published: numbers from papers, shown apart.
        videos: where the videos of the rows are.
        figures: SVG text by heading.
    """
    parts = [_section(section, videos) for section in made]
    parts += [
        f"<section><h2>{escape(heading)}</h2><div class=figure>{svg}</div></section>"
        for heading, svg in figures.items()
    ]
    if published.rows:
        parts.append(_published(published))
    template = Template(files("sfbench.report").joinpath("page.html").read_text())
    return template.substitute(note=escape(NOTE), sections="\n".join(parts))


def _section(section: Section, videos: Videos) -> str:
    tasks = task_names(section.entries)
    gallery = "".join(_gallery(task, section.entries, videos) for task in tasks)
    if gallery:
        gallery = f"<h3>Videos</h3><p class=dim>One row of videos plays in step.</p>{gallery}"
    warning = ""
    if section.not_comparable:
        text = escape(section.not_comparable)
        warning = f"<p class=warning>Not comparable with published numbers: {text}.</p>"
    return (
        f"<section><h2>{escape(section.suite)} <small>card {escape(section.card)}</small></h2>"
        f"{warning}{_leaderboard(section)}<h3>Success per task</h3>"
        f"{_task_table(tasks, section.entries)}{gallery}"
        f"<h3>Protocol and commands</h3>{_runs(section.entries)}</section>"
    )


def _leaderboard(section: Section) -> str:
    rows = []
    for entry in section.entries:
        texts = dict(zip(HEADINGS, cells(section, entry), strict=True))
        mean = entry.mean
        bar = _bar(mean.value, mean.low, mean.high) if mean else ""
        texts["mean %"] = f"<b>{escape(texts['mean %'])}</b>{bar}"
        marked = {"mean %"}
        rows.append(
            "<tr>"
            + "".join(
                f"<td>{text if name in marked else escape(text)}</td>"
                for name, text in texts.items()
            )
            + "</tr>"
        )
    return table(HEADINGS, rows)


def _task_table(tasks: Iterable[str], entries: Sequence[Entry]) -> str:
    rows = []
    for task in tasks:
        boxes = "".join(f"<td>{_task_cell(entry.tasks.get(task))}</td>" for entry in entries)
        rows.append(f"<tr><th scope=row>{escape(task)}</th>{boxes}</tr>")
    return table(["task", *(entry.label for entry in entries)], rows)


def _task_cell(counts: Tally | None) -> str:
    if counts is None or not counts.rate.n:
        return "not measured"
    rate = counts.rate
    return (
        f"<b>{percent(rate.value)}</b> <span class=dim>{span(rate)}, n={rate.n}</span>"
        f"{_bar(rate.value, rate.low, rate.high)}"
    )


def table(headings: Iterable[str], rows: Iterable[str]) -> str:
    """A table that sorts by a click on a heading and filters as one types."""
    head = "".join(
        f"<th scope=col aria-sort=none><button>{escape(text)}</button></th>" for text in headings
    )
    body = "".join(rows)
    return (
        "<div class=scroll><input type=search placeholder=filter aria-label='filter rows'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _bar(value: float, low: float, high: float) -> str:
    title = f"{percent(value)} %, 95 % interval {percent(low)} to {percent(high)}"
    return (
        f"<span class=bar title='{title}'><i style='width:{100 * value:.1f}%'></i>"
        f"<s style='left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%'></s></span>"
    )


def _gallery(task: str, entries: Sequence[Entry], videos: Videos) -> str:
    """Per initial state a row of videos, one for each policy that has one."""
    by_state: dict[tuple[int, int, int], list[str]] = {}
    for entry in entries:
        rows = entry.rows[(entry.rows["task"] == task) & entry.rows["video"].notna()]
        for row in rows.to_dict("records"):
            path = videos.get((row["run"], row["video"]))
            if path is not None:
                key = (row["init_state"], row["seed"], row["repeat"])
                by_state.setdefault(key, []).append(_figure(entry, row, path))
    if not by_state:
        return ""
    shown = sorted(by_state)[:MAX_STATES_PER_TASK]
    rows = "".join(f"<div class=videos>{''.join(by_state[key])}</div>" for key in shown)
    title = f"{escape(task)} <small>{len(shown)} of {len(by_state)} episodes with videos</small>"
    return f"<details open><summary>{title}</summary><div class=states>{rows}</div></details>"


def _figure(entry: Entry, row: Mapping[str, object], path: str) -> str:
    status = str(row["status"])
    steps = "" if pd.isna(row["success_step"]) else f", {row['success_step']} steps"
    caption = f"state {row['init_state']}: {status}{steps}"
    return (
        f"<figure class={escape(status)}><video controls muted loop preload=none "
        f"data-src='{escape(path, quote=True)}'></video>"
        f"<figcaption><b>{escape(entry.label)}</b> {escape(caption)}"
        f"<br><q>{escape(str(row['instruction']))}</q></figcaption></figure>"
    )


def _runs(entries: Iterable[Entry]) -> str:
    return "".join(
        f"<details><summary>{escape(entry.label)}: {escape(run.folder.name)}</summary>"
        f"<pre>{escape(run.command)}</pre><pre>{escape(_card_text(run))}</pre></details>"
        for entry in entries
        for run in entry.runs
    )


def _card_text(run: Run) -> str:
    return json.dumps(run.card.to_json(), indent=2, sort_keys=True)


def _published(published: Published) -> str:
    headings = ("method", "suite", "task", "success %", "n", "source", "protocol")
    rows = []
    for line in published.rows:
        texts = [line.method, line.suite, line.task, line.success_pct, line.n]
        texts += [f"{line.source}, {line.where_in_source}", line.protocol]
        rows.append("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in texts) + "</tr>")
    return (
        "<section><h2>Published <small>numbers from papers, not measured here</small></h2>"
        f"{table(headings, rows)}</section>"
    )
