"""Assets are checked file by file; anything else than the two known trees is refused."""

import tarfile
from pathlib import Path

import pytest
from sfbench_suites.libero import assets
from sfbench_suites.libero.assets import AssetKind

from sfbench.errors import MissingError, UsageError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no assets named."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SFBENCH_CACHE", str(folder))
    monkeypatch.delenv(assets.VARIABLE, raising=False)
    return folder


def test_without_assets_the_error_says_what_to_type(cache: Path) -> None:
    with pytest.raises(MissingError, match="sfbench assets libero"):
        assets.find()


def test_install_from_the_archive_then_find(archive: Path, cache: Path) -> None:
    installed = assets.install(archive)
    assert installed.kind is AssetKind.LITE
    assert installed.root.is_relative_to(cache)
    assert assets.find() == installed
    assert assets.install(installed.root) == installed  # From a folder, over itself.


def test_a_changed_and_an_absent_file_are_named(archive: Path, cache: Path) -> None:
    root = assets.install(archive).root
    (root / "wall.xml").write_text("<mujoco/>")
    (root / "serving_region.xml").unlink()
    with pytest.raises(MissingError) as caught:
        assets.find()
    message = str(caught.value)
    assert "not the lite tree: 2 of 353 files" in message
    assert "differs: wall.xml" in message
    assert "absent: serving_region.xml" in message


def test_named_by_the_variable(
    archive: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(assets.VARIABLE, str(archive))
    assert assets.find().root.is_relative_to(cache)
    monkeypatch.setenv(assets.VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(MissingError, match="does not exist"):
        assets.find()
    monkeypatch.setenv(assets.VARIABLE, str(tmp_path))
    with pytest.raises(MissingError, match="no folder `scenes`"):
        assets.find()


def test_damaged_archives(archive: Path, cache: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tar.xz"
    cut.write_bytes(archive.read_bytes()[:100_000])
    with pytest.raises(MissingError, match="cannot unpack"):
        assets.install(cut)
    other = tmp_path / "assets.rar"
    other.write_bytes(b"")
    with pytest.raises(UsageError, match=r"neither a folder nor an archive \(\.tar\.xz"):
        assets.install(other)
    with pytest.raises(MissingError, match="no such file"):
        assets.install(tmp_path / "nothing.zip")


def test_an_archive_cannot_write_outside(cache: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil.tar"
    (tmp_path / "x").write_text("x")
    with tarfile.open(evil, "w") as tarred:
        tarred.add(tmp_path / "x", arcname="../../outside")
    with pytest.raises(MissingError, match="cannot unpack"):
        assets.install(evil)
    assert not list(tmp_path.rglob("outside"))


def test_the_official_list_is_the_published_one() -> None:
    """585 files; 261 of the stand-in's 353 are the official ones, byte for byte."""
    official, lite = (assets.listed(kind) for kind in AssetKind)
    assert (len(official), len(lite)) == (585, 353)
    assert official["wall.xml"] != lite["wall.xml"]  # A Git blob id, not a plain hash.
    assert all(len(digest) == 40 for digest in official.values())


def test_official_files_pass_as_official(archive: Path, cache: Path) -> None:
    """The unchanged part of the stand-in fulfils the official list; the rest is named."""
    root = assets.install(archive).root
    wrong = assets.differences(root, AssetKind.OFFICIAL)
    assert len(wrong) == 585 - 261
    assert "differs: textures/gray_wall.png" in wrong
