"""A dataset that many tests share."""

from pathlib import Path

import pytest

from tests.training.demos import make_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("demos") / "toy")
