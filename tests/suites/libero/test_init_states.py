"""The published lists are read without torch, and without running what a file says."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sfbench_suites.libero import catalog, init_states

from sfbench.errors import MissingError


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch owned",)


def archive_of(content: bytes, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return path


@pytest.mark.parametrize("suite", catalog.SUITES)
def test_every_list_has_fifty_states_equal_to_torchs(suite: str) -> None:
    torch = pytest.importorskip("torch")
    for index, task in enumerate(catalog.tasks(suite).values()):
        states = init_states.load(task.init_states_path)
        assert len(states) == 50
        assert np.isfinite(states).all()
        if index % 10 == 0:
            theirs = torch.load(task.init_states_path, weights_only=False)  # The package's own.
            np.testing.assert_array_equal(states, theirs)


def test_states_cannot_be_changed_by_accident() -> None:
    task = next(iter(catalog.tasks("libero_goal").values()))
    with pytest.raises(ValueError, match="read-only"):
        init_states.load(task.init_states_path)[0, 0] = 1.0


def test_a_file_that_would_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = archive_of(pickle.dumps(Evil()), tmp_path / "evil.pruned_init")
    with pytest.raises(MissingError, match=r"system' is not allowed"):
        init_states.load(path)
    assert not (tmp_path / "owned").exists()


def test_damaged_files(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pruned_init"
    whole = next(iter(catalog.tasks("libero_goal").values())).init_states_path.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    text = archive_of(pickle.dumps("no array"), tmp_path / "text.pruned_init")
    infinite = archive_of(pickle.dumps(np.full((2, 3), np.inf), 2), tmp_path / "inf.pruned_init")
    for path in (cut, text, infinite, tmp_path / "absent.pruned_init"):
        with pytest.raises(MissingError, match="pip install --no-deps hf-libero"):
            init_states.load(path)
