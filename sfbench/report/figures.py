"""Figures in one style: vector, colour-blind safe, an arm has the same colour everywhere."""

import io
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from sfbench.report.curves import Curve
from sfbench.report.tables import percent, span
from sfbench.report.training import CurveSet

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "svg.fonttype": "none",
    # Ids in the file are drawn from this, so that equal figures are equal bytes.
    "svg.hashsalt": "sfbench",
}

# Okabe and Ito's palette; known arms keep their colour, others take the next.
_KNOWN = {"baseline": "#0072b2", "sf": "#d55e00"}
_OTHERS = ("#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_MARKERS = "osD^vPX"


def arm_colours(arms: Iterable[str]) -> dict[str, str]:
    """Colour by arm; does not depend on the order of `arms`."""
    others = sorted({arm for arm in arms if arm not in _KNOWN})
    return {**_KNOWN, **{arm: _OTHERS[i % len(_OTHERS)] for i, arm in enumerate(others)}}


def curve_figure(curves: CurveSet) -> Figure:
    """Success against steps or demonstrations, a band an arm."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.subplots()
        colours = arm_colours(curve.arm for curve in curves.curves)
        for index, curve in enumerate(curves.curves):
            _draw(axes, curve, colours[curve.arm], _MARKERS[index % len(_MARKERS)])
        words = {"steps": "training steps", "demos": "demonstrations"}
        axes.set_xlabel(words[curves.kind])
        axes.set_ylabel("success, % (mean over tasks)")
        axes.set_ylim(-2, 102)
        if curves.kind == "demos":
            axes.set_xscale("log")
        axes.set_title(f"{curves.policy} on {curves.suite}", loc="left")
        axes.legend(frameon=False, loc="lower right")
    return figure


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write `<name>.png` and `<name>.svg`; returns the SVG, with the numbers on hover."""
    text = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None})
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.png", dpi=200, metadata={"Software": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    for artist in figure.findobj(match=_has_title):
        gid = str(artist.get_gid())
        marked = f'<g id="{gid}">'
        svg = svg.replace(marked, f"{marked}<title>{escape(gid)}</title>", 1)
    (folder / f"{name}.svg").write_text(svg)
    return svg


def _draw(axes: Any, curve: Curve, colour: str, marker: str) -> None:  # noqa: ANN401 (Axes)
    estimates = [point.estimate for point in curve.points]
    xs = list(curve.xs)
    label = curve.arm or "(no arm)"
    low = [100 * estimate.low for estimate in estimates]
    high = [100 * estimate.high for estimate in estimates]
    axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(xs, [100 * e.value for e in estimates], color=colour, marker=marker, label=label)
    for x, estimate in zip(xs, estimates, strict=True):
        # An invisible, larger marker a point carries its numbers.
        (spot,) = axes.plot([x], [100 * estimate.value], marker="o", ms=12, alpha=0.0)
        spot.set_gid(f"{label} at {x:g}: {percent(estimate.value)} % ({span(estimate)})")


def _has_title(artist: Any) -> bool:  # noqa: ANN401 (any artist)
    return artist.get_gid() is not None
