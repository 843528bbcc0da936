"""The loader: an endless stream of batches, in an order fixed by its settings."""

from collections.abc import Iterator
from typing import Self

from sfbench.demos.batch import DemoBatch
from sfbench.demos.dataset import Dataset
from sfbench.demos.reading import BatchReader, LoaderSettings
from sfbench.demos.worker_batches import WorkerBatches
from sfbench.errors import UsageError

__all__ = ["DemoLoader", "LoaderSettings"]


class DemoLoader:
    """Endless iterator of DemoBatch; `position` and `seek` resume it bit for bit.

    Close it (or use it in a `with`) to end its workers; they also end with this process.
    """

    def __init__(self, dataset: Dataset, settings: LoaderSettings) -> None:
        """Check the settings. Raises UsageError for an unknown camera, extra or episode."""
        self._reader = BatchReader(dataset, settings)
        self._dataset, self._settings = dataset, settings
        self._position = 0
        self._pool: WorkerBatches | None = None

    @property
    def batches_per_epoch(self) -> float:
        """Batches after which all ranks together have seen every frame once."""
        return self._reader.samples / (self._settings.batch_size * self._settings.world_size)

    def position(self) -> int:
        """How many batches were delivered; what a checkpoint stores."""
        return self._position

    def seek(self, position: int) -> None:
        """Deliver batch number `position` next. Raises UsageError for a negative one."""
        if position < 0:
            raise UsageError(f"loader position {position}: allowed 0 or more")
        self._position = position
        self.close()

    def __iter__(self) -> Iterator[DemoBatch]:
        """Itself."""
        return self

    def __next__(self) -> DemoBatch:
        """The next batch. Raises DatasetError for a damaged file."""
        if self._settings.workers == 0:
            batch = self._reader.batch(self._position)
        else:
            if self._pool is None:
                self._pool = WorkerBatches(self._dataset, self._settings, self._position)
            batch = self._pool.take(self._position)
        self._position += 1
        return batch

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End the workers; the next batch starts them again."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
