"""The loader: what a batch holds, and an order that nothing but its settings can change."""

import subprocess
import sys

import numpy as np
import pytest

from sfbench.demos.batch import DemoBatch
from sfbench.demos.dataset import Dataset
from sfbench.demos.loader import DemoLoader, LoaderSettings
from sfbench.errors import DatasetError, SystemFaultError, UnknownNameError, UsageError

from .small import LENGTHS, SPEC, drain, memory


def take(dataset: Dataset, count: int, **settings: object) -> list[DemoBatch]:
    defaults: dict[str, object] = {"batch_size": 4, "chunk_steps": 3}
    with DemoLoader(dataset, LoaderSettings(**(defaults | settings))) as loader:
        return drain(loader, count)


def places(batches: list[DemoBatch]) -> list[tuple[int, int]]:
    return [
        (int(episode), int(frame))
        for batch in batches
        for episode, frame in zip(batch.episode, batch.frame, strict=True)
    ]


def assert_equal(left: DemoBatch, right: DemoBatch) -> None:
    assert left.instructions == right.instructions
    for name in left.images:
        np.testing.assert_array_equal(left.images[name], right.images[name])
    for field in ("state", "actions", "actions_valid", "episode", "frame"):
        np.testing.assert_array_equal(getattr(left, field), getattr(right, field))


def test_a_batch_holds_what_was_recorded(dataset: Dataset) -> None:
    source = memory().source
    for batch in take(dataset, 12):
        assert batch.images["head"].shape == (4, 24, 32, 3)
        assert batch.images["wrist"].dtype == np.uint8
        assert (batch.state.shape, batch.actions.shape) == ((4, 3), (4, 3, 2))
        for row, (episode, frame) in enumerate(places([batch])):
            for camera in SPEC.cameras:
                expected = source.frames(episode, camera.name, [frame])[0]
                np.testing.assert_array_equal(batch.images[camera.name][row], expected)
            state, actions = source.vectors(episode)
            np.testing.assert_array_equal(batch.state[row], state[frame])
            for step in range(3):
                last = min(frame + step, len(actions) - 1)
                np.testing.assert_array_equal(batch.actions[row, step], actions[last])
                assert batch.actions_valid[row, step] == (frame + step < len(actions))
            assert batch.instructions[row] == f"do thing {episode % 3}"


def test_an_epoch_has_every_frame_once_and_the_next_is_in_another_order() -> None:
    samples = sum(LENGTHS)
    seen = places(take(memory(), 2 * samples, batch_size=1))
    everything = {(index, at) for index, length in enumerate(LENGTHS) for at in range(length)}
    first, second = seen[:samples], seen[samples:]
    assert set(first) == set(second) == everything
    assert first != second
    assert first != sorted(first)
    assert places(take(memory(), samples, batch_size=1, seed=1)) != first


def test_the_order_is_pinned() -> None:
    """A change of the order would let old checkpoints resume with other data."""
    found = places(take(memory(), 2))
    assert found == [(2, 3), (1, 5), (5, 2), (5, 1), (5, 4), (2, 8), (0, 2), (1, 4)]


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_do_not_change_the_order(dataset: Dataset, workers: int) -> None:
    alone, many = take(dataset, 11), take(dataset, 11, workers=workers)
    for left, right in zip(alone, many, strict=True):
        assert_equal(left, right)


@pytest.mark.parametrize("workers", [0, 2])
def test_seek_resumes_bit_for_bit(dataset: Dataset, workers: int) -> None:
    expected = take(dataset, 25)
    settings = LoaderSettings(batch_size=4, chunk_steps=3, workers=workers)
    with DemoLoader(dataset, settings) as loader:
        for _ in range(5):
            next(loader)
        position = loader.position()
    assert position == 5
    with DemoLoader(dataset, settings) as resumed:
        resumed.seek(position)
        for batch in expected[5:9]:
            assert_equal(next(resumed), batch)
        resumed.seek(22)
        for batch in expected[22:]:
            assert_equal(next(resumed), batch)
        assert resumed.position() == 25


def test_two_ranks_see_the_batches_of_one_with_the_double_size() -> None:
    whole = take(memory(), 15, batch_size=6)
    ranks = [take(memory(), 15, batch_size=3, rank=rank, world_size=2) for rank in (0, 1)]
    for step, batch in enumerate(whole):
        assert places([batch]) == places([ranks[0][step], ranks[1][step]])


def test_only_the_chosen_episodes_and_cameras() -> None:
    batches = take(memory(), 20, episodes=(4, 1), cameras=("wrist",))
    assert {episode for episode, _ in places(batches)} == {1, 4}
    assert set(batches[0].images) == {"wrist"}
    assert places(batches) == places(take(memory(), 20, episodes=(1, 4)))


def test_what_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown camera of the dataset 'heat'.*'head'"):
        take(memory(), 1, cameras=("heat",))
    with pytest.raises(UnknownNameError, match=r"unknown extra .*'depth_m/head'.*depth=true"):
        take(memory(), 1, extras=("depth_m/head",))
    with pytest.raises(DatasetError, match="no episode 6; allowed 0 to 5"):
        take(memory(), 1, episodes=(6,))
    with pytest.raises(DatasetError, match="chosen twice"):
        take(memory(), 1, episodes=(1, 1))
    with pytest.raises(DatasetError, match="no episodes chosen"):
        take(memory(), 1, episodes=())
    with pytest.raises(UsageError, match="batch_size=0: allowed 1 or more"):
        take(memory(), 1, batch_size=0)
    with pytest.raises(UsageError, match="rank=2, world_size=2"):
        take(memory(), 1, rank=2, world_size=2)


def test_a_killed_worker_is_an_error_not_a_hang(dataset: Dataset) -> None:
    settings = LoaderSettings(batch_size=4, chunk_steps=3, workers=1)
    with DemoLoader(dataset, settings) as loader:
        next(loader)
        loader._pool._workers[0]._process.kill()
        with pytest.raises(SystemFaultError, match="loader worker ended with status -9"):
            drain(loader, 1000)  # What was made before may still come.


def test_reading_needs_no_torch(dataset: Dataset, folder: object) -> None:
    code = (
        "import sys; from sfbench.demos.dataset import open_dataset; "
        "from sfbench.demos.loader import *; "
        f"d = open_dataset({str(folder)!r}); "
        "next(DemoLoader(d, LoaderSettings(batch_size=2, chunk_steps=2))); "
        "assert not {'torch', 'mujoco', 'lerobot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
