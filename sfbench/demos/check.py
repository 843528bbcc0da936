"""usage: python -m sfbench.demos.check DATASET

Decodes every frame and number of a dataset, and compares them with the stored content hashes where
there are some. Names what is damaged, and the episodes that can still be read. Exit status: 0 all
is well, 1 something is damaged, 2 no such dataset.
"""  # noqa: D415 (a usage text)

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from sfbench.demos.content import ContentHash
from sfbench.demos.dataset import Dataset, open_dataset
from sfbench.errors import DatasetError, SfbenchError

_AT_ONCE = 64
"""Frames decoded at a time."""


@dataclass(frozen=True, slots=True)
class Damage:
    """An episode that cannot be used, and why."""

    episode: int
    reason: str


def find_damage(dataset: Dataset) -> list[Damage]:
    """Every episode whose files are missing, cannot be decoded, or hold something else."""
    found = []
    for episode in dataset.episodes:
        try:
            content = content_of_episode(dataset, episode.index)
        except DatasetError as error:
            found.append(Damage(episode.index, str(error)))
            continue
        if episode.content not in (None, content):
            reason = f"holds other data than was written (hash {content}, not {episode.content})"
            found.append(Damage(episode.index, reason))
    return found


def content_of_episode(dataset: Dataset, episode: int) -> str:
    """Content hash of an episode as it is read now; every extra is read as well.

    Raises:
        DatasetError: part of it cannot be read.
    """
    source, info = dataset.source, dataset.episodes[episode]
    content = ContentHash()
    states, actions = source.vectors(episode)
    for name, table in (("state", states), ("actions", actions)):
        for row in table:
            content.add(name, row)
    for start in range(0, info.length, _AT_ONCE):
        frames = range(start, min(start + _AT_ONCE, info.length))
        for camera in dataset.spec.cameras:
            for image in source.frames(episode, camera.name, frames):
                content.add(f"images/{camera.name}", image)
        for name in dataset.spec.extras:
            source.extra_rows(episode, name, frames)
    return content.finish(info.instruction)


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    try:
        dataset = open_dataset(arguments[0])
        damage = find_damage(dataset)
    except SfbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    for item in damage:
        print(f"episode {item.episode}: {item.reason}")
    print(f"{len(dataset.episodes) - len(damage)} of {len(dataset.episodes)} episodes can be read")
    return 1 if damage else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
