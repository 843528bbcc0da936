"""Videos and pictures of a report folder."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from sfbench.report.gallery import Media
from sfbench.report.load import Loaded
from sfbench.report.mosaic import MAX_TILES, write_key_frames, write_mosaic
from sfbench.report.probe import Probe


def gather_media(loaded: Loaded, out: Path) -> Media:
    """Bring every video below the report folder, and write the mosaic and key frames."""
    videos = _gather_videos(loaded, out)
    chosen = _chosen(loaded, videos)
    if chosen:
        write_mosaic([(out / path, status) for path, status in chosen], out / "mosaic.mp4")
    key_frames = {}
    for path, _ in chosen:
        picture = "figures/frames/" + path.removeprefix("videos/").removesuffix(".mp4") + ".png"
        write_key_frames(out / path, out / picture)
        key_frames[path] = picture
    return Media(videos, key_frames, "mosaic.mp4" if chosen else "")


def gather_pictures(probe: Probe, out: Path) -> dict[str, str]:
    """Bring the depth probe's pictures below the report folder; new path by old."""
    names: dict[Path, str] = {}
    found = {}
    for picture in probe.pictures:
        folder = picture.path.parents[2]
        name = names.setdefault(folder, f"{len(names)}-{folder.resolve().name}")
        target = out / "pictures" / name / picture.scene / picture.path.name
        link_or_copy(picture.path, target)
        found[str(picture.path)] = target.relative_to(out).as_posix()
    return found


def link_or_copy(source: Path, target: Path) -> None:
    """The same file at another place; linked where the file system allows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _gather_videos(loaded: Loaded, out: Path) -> dict[tuple[int, str], str]:
    videos: dict[tuple[int, str], str] = {}
    with_video = loaded.rows[loaded.rows["video"].notna()]
    names = _distinct_names(loaded)
    for run, video in zip(with_video["run"], with_video["video"], strict=True):
        source = loaded.runs[run].folder / video
        if source.exists():
            target = out / "videos" / names[run] / Path(video).relative_to("videos")
            link_or_copy(source, target)
            videos[run, video] = target.relative_to(out).as_posix()
    return videos


def _chosen(loaded: Loaded, videos: Mapping[tuple[int, str], str]) -> list[tuple[str, str]]:
    """Path and status of one episode per policy and task in turn, as many as fit the mosaic."""
    rows = loaded.rows[loaded.rows["video"].notna()]
    place = rows.groupby(["task", "policy", "arm"], dropna=False).cumcount()
    ordered = rows.assign(place=place).sort_values(["place", "task", "policy"], kind="stable")
    return [
        (videos[row["run"], row["video"]], str(row["status"]))
        for row in ordered.head(MAX_TILES).to_dict("records")
        if (row["run"], row["video"]) in videos
    ]


def _distinct_names(loaded: Loaded) -> list[str]:
    names = [run.folder.resolve().name for run in loaded.runs]
    return [
        name if names.count(name) == 1 else f"{index}-{name}" for index, name in enumerate(names)
    ]
