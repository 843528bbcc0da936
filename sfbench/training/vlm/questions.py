"""Questions about a picture, and their answers, from its pixels alone."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfbench.training.vlm.pictures import Picture

COLOURS = {
    "red": (0.75, 0.12, 0.12),
    "orange": (0.85, 0.45, 0.15),
    "yellow": (0.85, 0.78, 0.20),
    "green": (0.18, 0.60, 0.22),
    "blue": (0.15, 0.25, 0.75),
    "purple": (0.50, 0.20, 0.60),
    "brown": (0.40, 0.26, 0.15),
    "white": (0.90, 0.90, 0.90),
    "grey": (0.50, 0.50, 0.50),
    "black": (0.08, 0.08, 0.08),
}
"""Names of colours, by red, green and blue in [0, 1]; a thing has the nearest one's name."""
_NUMBERS = ("zero", "one", "two", "three", "four", "five")
_SIDES = ("left", "right")
ANSWERS = (*COLOURS, *_NUMBERS, *_SIDES)
WORDS = ("where is the which colour how many are there left or right of the : ?",)
"""What questions are made of, besides names of things; a vocabulary has to hold all of it."""

_LEAST_PX = 6
"""Things of fewer pixels count as not seen."""


@dataclass(frozen=True, eq=False)
class Question:
    """A question about one picture.

    Attributes:
        text: as asked.
        answer: index into ANSWERS, or -1 for a question about places.
        places: for `where`: the share of each cell's pixels that show the thing, float32
            [V, rows, columns]; else None.
    """

    text: str
    answer: int
    places: NDArray[np.float32] | None


def ask(
    picture: Picture, cameras: Sequence[str], grid: tuple[int, int], random: np.random.Generator
) -> Question:
    """One question, drawn at random: `where` twice as often as each of the others.

    Args:
        picture: what is asked about.
        cameras: the views, in the model's order; `which colour`, `how many` and `left or right`
            are about the first of them.
        grid: rows and columns of a view's cells.
        random: the stream to draw from.
    """
    first = cameras[0]
    seen = _seen(picture, first)
    kinds: list[Callable[[], Question]] = [lambda: _where(picture, cameras, grid, random)] * 2
    kinds.append(lambda: _how_many(picture, first, random))
    if seen:
        kinds.append(lambda: _colour(picture, first, seen, random))
    if len(seen) > 1:
        kinds.append(lambda: _side(picture, first, seen, random))
    return kinds[int(random.integers(len(kinds)))]()


def spoken(name: str) -> str:
    """A thing's name as words: `left_arm` is `left arm`."""
    return name.replace("_", " ")


def kind_of(name: str) -> str:
    """What a thing is one of: `block2` and `block1` are blocks."""
    return re.sub(r"[_ ]?\d+$", "", name)


def cell_shares(mask: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Share of each cell's pixels that are set: [H, W] to [rows, columns].

    Pixels of an image whose size is no multiple of the grid go to the cell that their first corner
    lies in.
    """
    (height, width), (rows, columns) = mask.shape, grid
    row = np.arange(height) * rows // height
    column = np.arange(width) * columns // width
    shares = np.zeros(grid, np.float64)
    np.add.at(shares, (row[:, None], column[None, :]), mask)
    counts = np.bincount(row, minlength=rows)[:, None] * np.bincount(column, minlength=columns)
    return (shares / counts).astype(np.float32)


def colour_of(pixels: NDArray[np.uint8]) -> str:
    """The name that fits the median of pixels [N, 3] best."""
    middle = np.median(pixels, axis=0) / 255
    distances = {name: np.linalg.norm(middle - rgb) for name, rgb in COLOURS.items()}
    return min(distances, key=lambda name: distances[name])


def _where(
    picture: Picture, cameras: Sequence[str], grid: tuple[int, int], random: np.random.Generator
) -> Question:
    index = int(random.integers(len(picture.names)))
    shares = [cell_shares(picture.seen[camera] == index, grid) for camera in cameras]
    return Question(f"where is the {spoken(picture.names[index])} ?", -1, np.stack(shares))


def _colour(
    picture: Picture, camera: str, seen: Sequence[int], random: np.random.Generator
) -> Question:
    index = int(random.choice(seen))
    name = colour_of(picture.images[camera][picture.seen[camera] == index])
    return _answered(f"which colour is the {spoken(picture.names[index])} ?", name)


def _how_many(picture: Picture, camera: str, random: np.random.Generator) -> Question:
    kinds = sorted({kind_of(name) for name in picture.names})
    chosen = kinds[int(random.integers(len(kinds)))]
    count = sum(kind_of(picture.names[index]) == chosen for index in _seen(picture, camera))
    number = _NUMBERS[min(count, len(_NUMBERS) - 1)]
    return _answered(f"how many {spoken(chosen)} are there ?", number)


def _side(
    picture: Picture, camera: str, seen: Sequence[int], random: np.random.Generator
) -> Question:
    one, two = (int(index) for index in random.choice(seen, 2, replace=False))
    columns = [float(np.nonzero(picture.seen[camera] == index)[1].mean()) for index in (one, two)]
    text = f"left or right : where is the {spoken(picture.names[one])} of the "
    return _answered(f"{text}{spoken(picture.names[two])} ?", _SIDES[columns[0] > columns[1]])


def _answered(text: str, answer: str) -> Question:
    return Question(text, ANSWERS.index(answer), None)


def _seen(picture: Picture, camera: str) -> list[int]:
    counts = np.bincount(picture.seen[camera].ravel() + 1, minlength=len(picture.names) + 1)[1:]
    return [index for index, count in enumerate(counts) if count >= _LEAST_PX]
