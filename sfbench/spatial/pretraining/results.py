"""How far depths are from true ones on held-out scenes, against a constant and a single view."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfbench.report.intervals import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, Estimate
from sfbench.spatial.pretraining.batches import make_batch
from sfbench.spatial.pretraining.data import UNSEEN, Data
from sfbench.spatial.pretraining.pictures import draw_bars, draw_scenes
from sfbench.spatial.pretraining.scenes import Scenes
from sfbench.spatial.pretraining.settings import MODELS
from sfbench.spatial.probe.metrics import depth_error
from sfbench.spatial.vggt.model import Vggt

CONSTANT = "constant"
ALIGNMENTS = ("metric", "median")
METRICS = ("absrel", "rmse_m", "delta1")
ROWS, SCORES, TABLE = "held_out.jsonl", "scores.json", "table.md"
_DRAWN = 5


@dataclass(frozen=True, slots=True)
class DepthRow:
    """One held-out scene under one model.

    Attributes:
        test: name of the test set.
        scene: name.
        model: one of MODELS, or CONSTANT.
        views: that it saw at a time.
        alignment: `metric`: predictions as they are; `median`: each view scaled to the true median.
        absrel: mean of |error| / true depth over all views of the scene.
        rmse_m: root mean square error.
        delta1: share within a factor of 1.25.
    """

    test: str
    scene: str
    model: str
    views: int
    alignment: str
    absrel: float
    rmse_m: float
    delta1: float


@dataclass(frozen=True, eq=False)
class Results:
    """Everything that was measured.

    Attributes:
        rows: one a scene, model, number of views and alignment.
        constant_m: the constant depth.
        views: of a scene.
    """

    rows: Sequence[DepthRow]
    constant_m: float
    views: int

    def values(self, row: "Line", metric: str) -> NDArray[np.float64]:
        """A metric of every scene, in order."""
        return np.array(
            [getattr(one, metric) for one in self.rows if Line.of(one) == row], np.float64
        )

    def lines(self) -> list["Line"]:
        """What differs in more than the scene, in order of appearance."""
        return list(dict.fromkeys(Line.of(one) for one in self.rows))

    def holds(self) -> bool:
        """Whether the teacher's AbsRel beats both others on tasks that nobody trained on.

        Metric, with all views, by the 95 % interval of the paired difference.
        """
        mine = Line(UNSEEN, MODELS[0], self.views, "metric")
        others = [line for line in self.lines() if line.rivals(mine)]
        return bool(others) and all(difference(self, mine, one).high < 0 for one in others)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table."""

    test: str
    model: str
    views: int
    alignment: str

    @classmethod
    def of(cls, row: DepthRow) -> "Line":
        """Of a row."""
        return cls(row.test, row.model, row.views, row.alignment)

    def rivals(self, mine: "Line") -> bool:
        """Whether it is another model's on equal terms."""
        return (self.test, self.alignment) == (mine.test, mine.alignment) and (
            self.model != mine.model
        )


def mean_interval(values: NDArray[np.float64]) -> Estimate:
    """Mean over scenes with its 95 % bootstrap interval (percentiles, a fixed stream)."""
    random = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = random.integers(len(values), size=(BOOTSTRAP_DRAWS, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high))


def difference(results: Results, mine: Line, other: Line) -> Estimate:
    """Of AbsRel, scene by scene; below 0 where `mine` is better."""
    return mean_interval(results.values(mine, "absrel") - results.values(other, "absrel"))


def judge(models: Mapping[str, Vggt], data: Data) -> Results:
    """Ask every model about every held-out scene.

    The teacher also gets fewer views at a time, the control always one, and the constant is the one
    that has the least AbsRel on the scenes that were trained on.
    """
    constant_m = best_constant(data.train)
    rows = []
    for test, scenes in data.tests.items():
        for index, name in enumerate(scenes.names):
            true = torch.from_numpy(np.array(scenes.depth_m[index]))
            flat = torch.full_like(true, constant_m)
            rows += _rows(test, name, CONSTANT, 1, (flat, true))
            for model in models:
                for views in _sizes(model, scenes.images.shape[1]):
                    found = predict(models[model], scenes, index, views)
                    rows += _rows(test, name, model, views, (found, true))
    return Results(rows, constant_m, data.train.images.shape[1])


@torch.no_grad()
def predict(model: Vggt, scenes: Scenes, index: int, views: int) -> Tensor:
    """Depth [S, H, W] in metres of a scene's views, seen in groups of `views`."""
    total = scenes.images.shape[1]
    groups = [list(range(start, start + views)) for start in range(0, total, views)]
    batch = make_batch(scenes, [index] * len(groups), groups, alone=False)
    device = model.aggregator.camera_token.device
    depth: Tensor = model(batch.images_BSCHW.to(device)).depth_BSHW
    return depth.flatten(0, 1).float().cpu()


def best_constant(scenes: Scenes) -> float:
    """The constant depth in metres of least AbsRel: the median, weighted by 1 / depth."""
    depth = np.sort(scenes.depth_m[np.isfinite(scenes.depth_m)].astype(np.float64))
    weight = np.cumsum(1 / depth)
    return float(depth[np.searchsorted(weight, weight[-1] / 2)])


def write_results(results: Results, models: Mapping[str, Vggt], data: Data, folder: Path) -> None:
    """Rows, scores, table, figure and pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(asdict(row)) + "\n" for row in results.rows)
    (folder / ROWS).write_text(text, encoding="utf-8")
    (folder / TABLE).write_text(table(results) + "\n", encoding="utf-8")
    scores = json.dumps(_scores(results), indent=1)
    (folder / SCORES).write_text(scores + "\n", encoding="utf-8")
    bars = {
        test: {
            f"{line.model}, {line.views} view{'s' * (line.views > 1)}": mean_interval(
                results.values(line, "absrel")
            )
            for line in results.lines()
            if line.test == test and line.alignment == "metric" and line.model != CONSTANT
        }
        | {CONSTANT: mean_interval(results.values(Line(test, CONSTANT, 1, "metric"), "absrel"))}
        for test in data.tests
    }
    draw_bars(bars, folder / "absrel.png")
    scenes = data.tests[UNSEEN]
    # Evenly spread over the list, so over tasks; chosen by nothing else.
    chosen = [int(one) for one in np.linspace(0, len(scenes) - 1, min(_DRAWN, len(scenes)))]
    guesses = {
        name: [predict(model, scenes, one, _sizes(name, results.views)[-1]) for one in chosen]
        for name, model in models.items()
    }
    draw_scenes(scenes, chosen, guesses, folder / "scenes.png")


def table(results: Results) -> str:
    """Markdown: every line with intervals, then the differences."""
    heads = ["test set", "model", "views", "scale", "scenes", "AbsRel", "RMSE, m", "delta < 1.25"]
    rows = []
    for line in results.lines():
        found = [results.values(line, metric) for metric in METRICS]
        texts = [_text(mean_interval(values)) for values in found]
        named = [line.test, line.model, str(line.views), line.alignment, str(len(found[0]))]
        rows.append([*named, *texts])
    parts = [_markdown(heads, rows)]
    heads = ["test set", "scale", "AbsRel of vggt_mini less that of", "difference"]
    parts.append(_markdown(heads, [[*one[:3], _text(one[3], "+")] for one in _pairs(results)]))
    return "\n\n".join(parts)


def _pairs(results: Results) -> list[tuple[str, str, str, Estimate]]:
    """Differences between the teacher with all views and every other line on equal terms."""
    found = []
    for mine in results.lines():
        if (mine.model, mine.views) != (MODELS[0], results.views):
            continue
        for other in results.lines():
            fewer = other.model == mine.model and other.views < mine.views
            same = (other.test, other.alignment) == (mine.test, mine.alignment)
            if same and (fewer or other.rivals(mine)):
                name = f"{other.model}, {other.views} view{'s' * (other.views > 1)}"
                found.append((mine.test, mine.alignment, name, difference(results, mine, other)))
    return found


def _scores(results: Results) -> dict[str, object]:
    return {
        "constant_m": results.constant_m,
        "holds": results.holds(),
        "lines": [
            {
                **asdict(line),
                "scenes": len(results.values(line, "absrel")),
                **{name: asdict(mean_interval(results.values(line, name))) for name in METRICS},
            }
            for line in results.lines()
        ],
        "differences": [
            {"test": test, "alignment": alignment, "other": other, "absrel": asdict(found)}
            for test, alignment, other, found in _pairs(results)
        ],
    }


def _rows(
    test: str, scene: str, model: str, views: int, depths: tuple[Tensor, Tensor]
) -> list[DepthRow]:
    found, true = depths
    known = torch.isfinite(true)
    scaled = torch.stack(
        [
            one * (two[seen].median() / one[seen].median())
            for one, two, seen in zip(found, true, known, strict=True)
        ]
    )
    rows = []
    for alignment, depth in zip(ALIGNMENTS, (found, scaled), strict=True):
        error = depth_error(depth, true)
        rows.append(DepthRow(test, scene, model, views, alignment, **asdict(error)))
    return rows


def _sizes(model: str, views: int) -> list[int]:
    """Numbers of views that a model is asked with, the most last."""
    return [one for one in range(1, views + 1) if views % one == 0] if model == MODELS[0] else [1]


def _text(estimate: Estimate, sign: str = "") -> str:
    low, high = f"{estimate.low:{sign}.3f}", f"{estimate.high:{sign}.3f}"
    return f"{estimate.value:{sign}.3f} ({low} to {high})"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
