"""The stand-in assets, and episodes of the plain loop to compare with."""

import os
from pathlib import Path

import pytest
from sfbench_suites.libero import assets

from sfbench.errors import MissingError

SIBLING = Path(__file__).parents[4] / "shared" / "libero" / "libero_assets_lite.tar.xz"


def find_or_skip() -> assets.AssetTree:
    """The assets; without them a skip that says so, or a failure where CI=true."""
    if assets.VARIABLE not in os.environ and SIBLING.is_file():
        os.environ[assets.VARIABLE] = str(SIBLING)
    try:
        return assets.find()
    except MissingError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"LIBERO is not tested: {error}")


@pytest.fixture(scope="session")
def tree() -> assets.AssetTree:
    return find_or_skip()


@pytest.fixture
def needs_assets(tree: assets.AssetTree) -> None:
    """For tests that find the assets by themselves."""


@pytest.fixture(scope="session")
def archive() -> Path:
    """The stand-in archive itself, unpacked by nobody."""
    find_or_skip()
    named = Path(os.environ.get(assets.VARIABLE, SIBLING))
    if not named.is_file():
        pytest.skip(f"no archive: {named}")
    return named
