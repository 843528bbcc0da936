"""What a loader and its workers say to each other over a pipe."""

from dataclasses import dataclass

from sfbench.demos.dataset import Dataset
from sfbench.demos.reading import LoaderSettings


@dataclass(frozen=True, slots=True)
class Assignment:
    """Main to worker: make batches `first`, `first + stride`, ... until the pipe closes."""

    dataset: Dataset
    settings: LoaderSettings
    first: int
    stride: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Worker to main: the batch cannot be made."""

    error: str
