"""Aggregates mirrored to an experiment tracker. Off by default; a tracker never costs a report."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from sfbench.report.document import Document


@dataclass(frozen=True, slots=True)
class Aggregates:
    """Numbers of a report.

    Attributes:
        summary: final rates in percent by name.
        curves: by name, (step, value) in the order of steps.
    """

    summary: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, list[tuple[int, float]]] = field(default_factory=dict)


def mirror(tracker: str, document: Document, out: Path) -> None:
    """Send the aggregates to `wandb` or `tensorboard`; `none` does nothing.

    Whatever goes wrong is printed and forgotten: the report on disk is whole without it.
    """
    if tracker == "none":
        return
    send = {"wandb": _to_wandb, "tensorboard": _to_tensorboard}[tracker]
    try:
        send(aggregates(document), out)
    except Exception as error:  # noqa: BLE001 (a tracker may fail in any way)
        kind = type(error).__name__
        print(f"tracker={tracker} failed and was left out: {kind}: {error}", file=sys.stderr)


def aggregates(document: Document) -> Aggregates:
    """What is mirrored: means with their intervals, curves of success, losses."""
    summary: dict[str, float] = {}
    for section in document.sections:
        for entry in section.entries:
            name = f"{section.suite}/{section.card}/{entry.label}"
            if entry.mean is not None:
                summary[f"{name}/mean_pct"] = 100 * entry.mean.value
                summary[f"{name}/low_pct"] = 100 * entry.mean.low
                summary[f"{name}/high_pct"] = 100 * entry.mean.high
            summary[f"{name}/n"] = entry.total.rate.n
    curves: dict[str, list[tuple[int, float]]] = {}
    for group in document.curves:
        for curve in group.curves:
            name = f"{group.kind}/{group.suite}/{group.card}/{group.policy}/{curve.arm}"
            curves[name] = [(point.x, 100 * point.estimate.value) for point in curve.points]
    for losses in document.losses:
        for name, series in losses.series.items():
            points = zip(series.steps.tolist(), series.means.tolist(), strict=True)
            curves[f"losses/{losses.run}/{name}"] = list(points)
    return Aggregates(summary, curves)


def _to_tensorboard(found: Aggregates, out: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(out / "tensorboard")) as writer:
        for name, value in found.summary.items():
            writer.add_scalar(name, value, 0)
        for name, points in found.curves.items():
            for step, value in points:
                writer.add_scalar(name, value, step)


def _to_wandb(found: Aggregates, out: Path) -> None:
    wandb: Any = import_module("wandb")  # No stubs, and no dependency of ours.

    run = wandb.init(project="sfbench", name=out.resolve().name, dir=str(out))
    try:
        run.summary.update(dict(found.summary))
        for name, points in found.curves.items():
            # A number that has steps of its own: wandb's own step may never go back.
            run.define_metric(name, step_metric=f"{name}/step")
            for step, value in points:
                run.log({f"{name}/step": step, name: value})
    finally:
        run.finish()
