"""`index.html`: one self-contained page beside the `videos/` folder."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template

from sfbench.contracts import EpisodeKey, EpisodeRow
from sfbench.report.groups import Tally
from sfbench.report.load import Entry, Run
from sfbench.report.tables import NOTE, interval, percent

MAX_VIDEOS_PER_TASK = 12
"""Initial states shown per task; all videos are in the folder."""


def render_page(entries: Sequence[Entry], videos: Mapping[tuple[str, EpisodeKey], str]) -> str:
    """The page's HTML.

    Args:
        entries: as ordered in the leaderboard.
        videos: path relative to the page, by (entry label, episode).
    """
    sections = []
    for suite, card in dict.fromkeys((entry.key.suite, entry.key.card) for entry in entries):
        some = [entry for entry in entries if (entry.key.suite, entry.key.card) == (suite, card)]
        sections.append(_section(suite, card, some, videos))
    template = Template(files("sfbench.report").joinpath("page.html").read_text())
    return template.substitute(note=escape(NOTE.replace("`", "")), sections="\n".join(sections))


def _section(
    suite: str, card: str, entries: Sequence[Entry], videos: Mapping[tuple[str, EpisodeKey], str]
) -> str:
    tasks = sorted({task for entry in entries for task in entry.tasks})
    gallery = "".join(_gallery(task, entries, videos) for task in tasks)
    if gallery:
        gallery = f"<h3>Videos</h3>{gallery}"
    return (
        f"<section><h2>{escape(suite)} <small>card {escape(card)}</small></h2>"
        f"{_leaderboard(entries)}<h3>Success per task</h3>{_task_table(tasks, entries)}"
        f"{gallery}<h3>Protocol and commands</h3>{_runs(entries)}</section>"
    )


def _leaderboard(entries: Iterable[Entry]) -> str:
    rows = []
    for entry in entries:
        counts = entry.total
        strict = "" if counts.complete else f"{percent(counts.strict)} %"
        cells = [
            f"{counts.rate.n} / {counts.planned}",
            f"{counts.policy_errors} policy, {counts.system_errors} system",
            str(counts.invalid),
            strict,
        ]
        rows.append(
            f"<tr><th scope=row>{escape(entry.label)}</th><td class=rate>{_bar(counts)}</td>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            + "</tr>"
        )
    headings = ("policy", "success, 95 % interval", "n / planned", "errors", "invalid", "strict")
    return _table(headings, rows)


def _task_table(tasks: Iterable[str], entries: Sequence[Entry]) -> str:
    rows = []
    for task in tasks:
        cells = "".join(
            f"<td class=rate>{_bar(entry.tasks[task]) if task in entry.tasks else ''}</td>"
            for entry in entries
        )
        rows.append(f"<tr><th scope=row>{escape(task)}</th>{cells}</tr>")
    return _table(["task", *(entry.label for entry in entries)], rows)


def _table(headings: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th scope=col>{escape(text)}</th>" for text in headings)
    body = "".join(rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class=scroll>{table}</div>"


def _bar(counts: Tally) -> str:
    rate = counts.rate
    if not rate.n:
        return "not measured"
    low, width = 100 * rate.low, 100 * (rate.high - rate.low)
    return (
        f"<b>{percent(rate)} %</b> <span class=interval>{interval(rate)}, n={rate.n}</span>"
        f"<span class=bar aria-hidden=true><i style='width:{100 * rate.value:.1f}%'></i>"
        f"<s style='left:{low:.1f}%;width:{width:.1f}%'></s></span>"
    )


def _gallery(
    task: str, entries: Sequence[Entry], videos: Mapping[tuple[str, EpisodeKey], str]
) -> str:
    """Per initial state a row of videos, one for each policy that has one."""
    by_state: dict[EpisodeKey, list[tuple[Entry, EpisodeRow]]] = {}
    for entry in entries:
        for row in entry.rows:
            if row.task == task and (entry.label, row.key) in videos:
                by_state.setdefault(row.key, []).append((entry, row))
    if not by_state:
        return ""
    shown = sorted(by_state)[:MAX_VIDEOS_PER_TASK]
    figures = "".join(
        _figure(entry, row, videos[entry.label, row.key])
        for key in shown
        for entry, row in by_state[key]
    )
    title = f"{escape(task)} <small>{len(shown)} of {len(by_state)} episodes with videos</small>"
    return f"<details open><summary>{title}</summary><div class=videos>{figures}</div></details>"


def _figure(entry: Entry, row: EpisodeRow, path: str) -> str:
    seconds = f", {row.success_step} steps" if row.success_step is not None else ""
    return (
        f"<figure class={row.status}><video controls muted loop preload=none "
        f"data-src='{escape(path, quote=True)}'></video>"
        f"<figcaption><b>{escape(entry.label)}</b> state {row.init_state}: {row.status}{seconds}"
        f"<br><q>{escape(row.instruction)}</q></figcaption></figure>"
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
