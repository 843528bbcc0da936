"""`index.html`: one self-contained page beside the `videos/` folder."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import quote

from sfbench.report.document import Document
from sfbench.report.entries import Entry
from sfbench.report.gallery import Media, gallery
from sfbench.report.probe import Probe
from sfbench.report.runs import Run
from sfbench.report.summaries import (
    curve_table,
    overview_table,
    pair_table,
    published_table,
    ratio_table,
    resolution_table,
)
from sfbench.report.tables import HEADINGS, NOTE, Section, cells, exact, span, task_cell, task_names
from sfbench.report.tabular import Table

MAX_SCENES = 24
"""Rows of the depth probe's picture grid; all pictures are in the folder."""


def render_page(
    document: Document, media: Media, figures: Mapping[str, str], pictures: Mapping[str, str]
) -> str:
    """The page's HTML.

    Args:
        document: all that is printed.
        media: videos and their pictures.
        figures: SVG text by name: `board <suite> <card>`, `curves <title>`, `losses`,
            `probe <split>`.
        pictures: of the depth probe: path relative to the page by path of origin.
    """
    parts = [_mosaic(media.mosaic)] if media.mosaic else []
    overview = overview_table(document.sections)
    parts += [_part(overview)] if overview else []
    parts += [
        _section(number, document, media, figures) for number in range(len(document.sections))
    ]
    parts.append(_curves(document, figures))
    if "losses" in figures:
        parts.append(_figure_part("Losses and alignment", figures["losses"]))
    if document.probes:
        parts.append(_probe(document.probes, figures, pictures))
    published = published_table(document.published)
    parts += [_part(published)] if published else []
    return _template("page.html").substitute(
        css=_text("page.css"), js=_text("page.js"), note=escape(NOTE), sections="\n".join(parts)
    )


def table(headings: Iterable[str], rows: Iterable[str]) -> str:
    """A table that sorts by a click on a heading and filters as one types."""
    head = "".join(
        f"<th scope=col aria-sort=none><button type=button>{escape(text)}</button></th>"
        for text in headings
    )
    body = "".join(rows)
    return (
        "<div class=table><input type=search placeholder=filter aria-label='filter rows'>"
        f"<div class=scroll tabindex=0><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div></div>"
    )


def _section(number: int, document: Document, media: Media, figures: Mapping[str, str]) -> str:
    section = document.sections[number]
    warnings = "".join(f"<p class=warning>{escape(text)}</p>" for text in section.warnings)
    figure = figures.get(f"board {section.suite} {section.card}", "")
    return (
        f"<section><h2>{escape(section.suite)} <small>card {escape(section.card)}</small></h2>"
        f"{warnings}{_leaderboard(number, section)}<div class=figure>{figure}</div>"
        f"<h3>Success per task</h3>{_task_table(section)}"
        f"{gallery(section.entries, media)}"
        f"{_folded(resolution_table(section, document.wished))}{_pairs(section)}"
        f"<h3>Protocol and commands</h3>{_runs(number, section.entries)}</section>"
    )


def _leaderboard(number: int, section: Section) -> str:
    rows = []
    for index, entry in enumerate(section.entries):
        texts = [escape(text) for text in cells(section, entry)]
        mean = entry.mean
        at = HEADINGS.index("mean %")
        texts[at] = f"<b>{texts[at]}</b>{_bar(mean.value, mean.low, mean.high) if mean else ''}"
        at = HEADINGS.index("policy")
        texts[at] = f"<a href='#run-{number}-{index}'>{texts[at]}</a>"
        rows.append("<tr>" + "".join(f"<td>{text}</td>" for text in texts) + "</tr>")
    return table(HEADINGS, rows)


def _task_table(section: Section) -> str:
    rows = []
    for task in task_names(section.entries):
        boxes = []
        for entry in section.entries:
            rate, bar, title = entry.task_rate(task), "", ""
            if rate is not None:
                bar = _bar(rate.value, rate.low, rate.high)
                exactly = span(exact(entry.tasks[task]))
                title = f" title='exact interval of independent episodes {exactly}'"
            boxes.append(f"<td{title}>{escape(task_cell(entry, task))}{bar}</td>")
        rows.append(f"<tr><th scope=row>{escape(task)}</th>{''.join(boxes)}</tr>")
    return table(["task", *(entry.label for entry in section.entries)], rows)


def _pairs(section: Section) -> str:
    pairs = pair_table(section)
    return _folded(pairs) if pairs else ""


def _curves(document: Document, figures: Mapping[str, str]) -> str:
    parts = [
        f"<section><h2>{escape(group.title)}</h2>"
        f"<div class=figure>{figures[f'curves {group.title}']}</div>{_folded(curve_table(group))}"
        "</section>"
        for group in document.curves
    ]
    ratios = ratio_table(document.curves)
    return "".join(parts) + (_part(ratios) if ratios else "")


def _probe(probe: Probe, figures: Mapping[str, str], pictures: Mapping[str, str]) -> str:
    plots = "".join(
        f"<h3>Split {escape(name.removeprefix('probe '))}</h3><div class='figure wide'>{svg}</div>"
        for name, svg in figures.items()
        if name.startswith("probe ")
    )
    return (
        f"<section><h2>Depth probe</h2>{plots}{_grid(probe, pictures)}{_folded(probe.table)}"
        "</section>"
    )


def _grid(probe: Probe, pictures: Mapping[str, str]) -> str:
    """Per scene a row: image, true depth, and each model's predictions."""
    by_scene: dict[str, dict[tuple[str, str], str]] = {}
    for picture in probe.pictures:
        path = pictures[str(picture.path)]
        by_scene.setdefault(picture.scene, {}).setdefault((picture.model, picture.name), path)
    rows = []
    for scene, found in sorted(by_scene.items())[:MAX_SCENES]:
        boxes = "".join(
            f"<figure><img loading=lazy src='{quote(found[key])}' "
            f"alt='{escape(_picture_name(key), quote=True)}'>"
            f"<figcaption>{escape(_picture_name(key))}</figcaption></figure>"
            for key in sorted(found)
        )
        rows.append(f"<h4>{escape(scene)}</h4><div class=pictures>{boxes}</div>")
    if not rows:
        return ""
    shown = f"{len(rows)} of {len(by_scene)} scenes"
    return (
        f"<details open><summary>Pictures <small>{shown}</small></summary>{''.join(rows)}</details>"
    )


def _picture_name(key: tuple[str, str]) -> str:
    model, name = key
    if not model:
        return {"image": "image", "true": "true depth"}[name]
    layer, _, head = name.partition("_")
    return f"{model}, layer {layer}, {head}"


def _part(made: Table) -> str:
    return f"<section><h2>{escape(made.title)}</h2>{_noted(made)}</section>"


def _folded(made: Table) -> str:
    return f"<details><summary>{escape(made.title)}</summary>{_noted(made)}</details>"


def _noted(made: Table) -> str:
    rows = [
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in line) + "</tr>"
        for line in made.lines
    ]
    return f"<p class=note>{escape(made.note)}</p>{table(made.headings, rows)}"


def _figure_part(heading: str, svg: str) -> str:
    return f"<section><h2>{escape(heading)}</h2><div class='figure wide'>{svg}</div></section>"


def _mosaic(path: str) -> str:
    return (
        f"<video class=mosaic controls muted loop playsinline preload=none data-src='{path}' "
        "aria-label='many episodes at once; green frames were solved'></video>"
    )


def _bar(value: float, low: float, high: float) -> str:
    return (
        f"<span class=bar aria-hidden=true><i style='width:{100 * value:.1f}%'></i>"
        f"<s style='left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%'></s></span>"
    )


def _runs(number: int, entries: Sequence[Entry]) -> str:
    return "".join(
        f"<details id=run-{number}-{index}><summary>{escape(entry.label)}</summary>"
        + "".join(_run(run) for run in entry.runs)
        + "</details>"
        for index, entry in enumerate(entries)
    )


def _run(run: Run) -> str:
    card = json.dumps(run.card.to_json(), indent=2, sort_keys=True)
    return (
        f"<h4>{escape(run.folder.name)}</h4><pre>{escape(run.command)}</pre>"
        f"<pre>{escape(card)}</pre>"
    )


def _text(name: str) -> str:
    return files("sfbench.report").joinpath(name).read_text()


def _template(name: str) -> Template:
    return Template(_text(name))
