"""Recording the actions of episodes, so that `policy=replay` can execute them again."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Env, EpisodeKey, EpisodeSpec, Status
from sfbench.errors import MissingError, StoppedError, UsageError


def actions_path(run_folder: Path, key: EpisodeKey) -> Path:
    """Where an episode's actions stand in a run folder."""
    name = f"{key.init_state}_{key.seed}_{key.repeat}.npy"
    return run_folder / "actions" / key.suite / key.task / name


def load_actions(run_folder: Path, key: EpisodeKey) -> NDArray[np.float64]:
    """Recorded actions [T, A].

    Raises:
        MissingError: none were recorded for that episode.
        UsageError: the file is no array of actions.
    """
    path = actions_path(run_folder, key)
    try:
        actions = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise MissingError(
            f"{path} does not exist: no actions were recorded for that episode. Record with "
            "`sfbench eval ... record_actions=true`, and replay with the same seed and repeats"
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if actions.ndim != 2:
        raise UsageError(f"{path} holds an array of shape {list(actions.shape)}, not [T, A]")
    return np.asarray(actions, np.float64)


class ActionRecorder:
    """Writes every executed action of an episode when it ends."""

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._path = Path()
        self._actions: list[NDArray[np.float64]] = []

    def on_reset(self, env: Env, episode: EpisodeSpec) -> None:
        """See EpisodeSubscriber."""
        self._path = actions_path(self._run_folder, episode.key)
        self._actions = []

    def on_step(self, env: Env, action: NDArray[np.float64], steps: int) -> None:
        """See EpisodeSubscriber."""
        self._actions.append(action.copy())

    def on_end(self, status: Status) -> str | None:
        """See EpisodeSubscriber. Raises StoppedError where the actions cannot be written."""
        if self._actions:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                np.save(self._path, np.stack(self._actions), allow_pickle=False)
            except OSError as error:
                raise StoppedError(
                    f"cannot write {self._path}: {error.strerror or error}. Finished episodes are "
                    "kept; make room and run the same command again to resume"
                ) from error
        return None
