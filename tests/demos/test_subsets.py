"""Subsets: nested, balanced over tasks, named by content, the same for everyone who asks."""

import json
from pathlib import Path

import pytest

from sfbench.demos.dataset import Dataset
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.subsets import SHARES_PCT, choose, nested_order
from sfbench.errors import DatasetError

from .small import memory


def infos(*counts: int) -> list[EpisodeInfo]:
    tasks = [f"task{number}" for number, count in enumerate(counts) for _ in range(count)]
    return [
        EpisodeInfo(index=index, task=task, instruction="", length=1)
        for index, task in enumerate(tasks)
    ]


def test_nested_and_balanced() -> None:
    episodes = infos(*[50] * 10)
    smaller: set[int] = set()
    for pct in SHARES_PCT:
        chosen = set(choose(episodes, f"{pct}%"))
        assert smaller <= chosen
        smaller = chosen
        per_task = [
            sum(episodes[index].task == f"task{number}" for index in chosen) for number in range(10)
        ]
        assert max(per_task) - min(per_task) <= 1
        assert min(per_task) >= 1
        assert len(chosen) == max(10, 5 * pct)
    assert smaller == set(range(500))


def test_tasks_of_unequal_size_keep_their_proportion() -> None:
    episodes = infos(80, 16, 4)
    chosen = choose(episodes, "50%")
    assert [
        sum(episodes[index].task == f"task{number}" for index in chosen) for number in range(3)
    ] == [40, 8, 2]
    assert len({episodes[index].task for index in choose(episodes, "1%")}) == 3


def test_the_order_is_seeded() -> None:
    episodes = infos(20, 20)
    assert nested_order(episodes) == nested_order(list(reversed(episodes)))
    assert nested_order(episodes) != nested_order(episodes, seed=1)
    assert choose(episodes, "10%") == (16, 17, 21, 30)


def test_a_folder_lists_them(folder: Path, dataset: Dataset) -> None:
    stored = json.loads((folder / "meta/subsets.json").read_text())["subsets"]
    assert list(stored) == [f"{pct}%" for pct in SHARES_PCT]
    for name, item in stored.items():
        found = dataset.subset(name)
        assert list(found.episodes) == item["episodes"]
        assert found.hash == item["hash"] == memory().subset(name).hash
    assert dataset.subset(0.5) == dataset.subset("50%")
    assert dataset.subset("all").episodes == tuple(range(6))
    assert len(dataset.subset(4).episodes) == 4
    assert len(dataset.subset("33%").episodes) == 2


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (7, "subset=7: the dataset has only 6 episodes; allowed 2 to 6"),
        ("150%", "subset=150%: the dataset has only 6 episodes"),
        (1, "2 tasks, and a subset has at least one episode of each"),
        ("half", "subset=half: write a share such as 10%"),
        ("-5%", "write a share such as 10%"),
        ("nan%", "write a share such as 10%"),
        (0.0, "write a share such as 10%"),
    ],
)
def test_what_is_refused(dataset: Dataset, wanted: str | float, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        dataset.subset(wanted)
