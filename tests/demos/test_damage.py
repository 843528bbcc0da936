"""Damaged and missing files: named in one message, and the rest can still be read."""

import json
import shutil
from pathlib import Path

import pytest

from sfbench.demos import check, mend
from sfbench.demos.dataset import Dataset, open_dataset
from sfbench.demos.loader import DemoLoader, LoaderSettings
from sfbench.errors import DatasetError

from .small import LENGTHS, drain, written


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset with a video and a data file for each episode."""
    from sfbench.demos.lerobot import layout

    monkeypatch.setattr(layout, "VIDEO_FILE_MB", 0)
    monkeypatch.setattr(layout, "DATA_FILE_MB", 0)
    written(tmp_path / "split").close()
    return tmp_path / "split"


def read_all(dataset: Dataset, episode: int) -> None:
    dataset.source.vectors(episode)
    dataset.source.frames(episode, "head", range(LENGTHS[episode]))


def assert_only_damaged(path: Path, episode: int, name: str) -> None:
    dataset = open_dataset(path)
    with pytest.raises(DatasetError, match=name):
        read_all(dataset, episode)
    others = tuple(index for index in range(len(LENGTHS)) if index != episode)
    for index in others:
        read_all(dataset, index)
    with DemoLoader(
        dataset, LoaderSettings(batch_size=8, chunk_steps=2, episodes=others)
    ) as loader:
        for _ in range(10):
            next(loader)
    found = check.find_damage(open_dataset(path))
    assert [item.episode for item in found] == [episode]
    assert name in found[0].reason


def test_a_truncated_video(split: Path) -> None:
    path = split / "videos/observation.images.head/chunk-000/file-002.mp4"
    path.write_bytes(path.read_bytes()[:1000])
    assert_only_damaged(split, 2, "observation.images.head/chunk-000/file-002.mp4")


def test_a_missing_video(split: Path) -> None:
    (split / "videos/observation.images.head/chunk-000/file-001.mp4").unlink()
    assert_only_damaged(split, 1, "chunk-000/file-001.mp4 cannot be opened")


def test_a_corrupt_parquet_file(split: Path) -> None:
    path = split / "data/chunk-000/file-003.parquet"
    path.write_bytes(b"PAR1" + b"x" * 200 + b"PAR1")
    assert_only_damaged(split, 3, "data/chunk-000/file-003.parquet cannot be read")


def test_a_worker_names_the_damaged_file(split: Path) -> None:
    (split / "videos/observation.images.wrist/chunk-000/file-004.mp4").write_bytes(b"")
    settings = LoaderSettings(batch_size=8, chunk_steps=2, workers=2)
    with (
        DemoLoader(open_dataset(split), settings) as loader,
        pytest.raises(DatasetError, match=r"wrist/chunk-000/file-004\.mp4"),
    ):
        drain(loader, 10)


def test_another_picture_than_was_written(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that decodes well, but is not the one that was written."""
    videos = split / "videos/observation.images.head/chunk-000"
    shutil.copy(videos / "file-002.mp4", videos / "file-000.mp4")
    assert check.main([str(split)]) == 1
    shown = capsys.readouterr().out
    assert "episode 0: holds other data than was written" in shown
    assert "5 of 6 episodes can be read" in shown


def test_missing_statistics_and_the_way_to_mend_them(tmp_path: Path) -> None:
    expected = written(tmp_path / "set").statistics
    path = tmp_path / "set/meta/stats.json"
    stored = json.loads(path.read_text())
    del stored["action"]["q99"]
    path.write_text(json.dumps(stored))
    with pytest.raises(DatasetError, match=r"no statistics .*python -m sfbench\.demos\.mend"):
        assert open_dataset(tmp_path / "set").statistics
    assert mend.main([str(tmp_path / "set")]) == 0
    mended = open_dataset(tmp_path / "set").statistics
    assert mended.action.to_json() == expected.action.to_json()
    assert "observation.images.head" in json.loads(path.read_text())


def test_what_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no dataset at"):
        open_dataset(tmp_path / "absent")
    with pytest.raises(DatasetError, match=r"no meta/info\.json .* its own: libero"):
        open_dataset(tmp_path)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text("{")
    with pytest.raises(DatasetError, match=r"info\.json cannot be read"):
        open_dataset(tmp_path)
    info = {"codebase_version": "v1.6", "fps": 1, "features": {}, "data_path": ""}
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(DatasetError, match=r"version v1\.6; readable are v3\.0 and v2\.1"):
        open_dataset(tmp_path)


def test_unfinished_metadata(split: Path) -> None:
    (split / "meta/episodes/chunk-000/file-000.parquet").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"meta/episodes/chunk-000/file-000\.parquet"):
        open_dataset(split)


@pytest.mark.parametrize("at", [0.3, 0.5, 0.7])
def test_flipped_bytes_never_pass(tmp_path: Path, at: float) -> None:
    """Some decode without complaint into another picture; the content hash tells."""
    written(tmp_path / "set").close()
    path = tmp_path / "set/videos/observation.images.head/chunk-000/file-000.mp4"
    data = bytearray(path.read_bytes())
    place = int(at * len(data))
    for offset in range(8):
        data[place + offset] ^= 0x5A
    path.write_bytes(bytes(data))
    assert 1 <= len(check.find_damage(open_dataset(tmp_path / "set"))) <= 2
