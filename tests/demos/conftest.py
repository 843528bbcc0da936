"""One dataset on disk for the tests that only read."""

from pathlib import Path

import pytest

from sfbench.demos.dataset import Dataset, open_dataset

from .small import written


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder; do not change it."""
    path = tmp_path_factory.mktemp("demos") / "dataset"
    written(path).close()
    return path


@pytest.fixture
def dataset(folder: Path) -> Dataset:
    """The folder, opened anew."""
    return open_dataset(folder)
