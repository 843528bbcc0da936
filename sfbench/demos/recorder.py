"""Records episodes as they are played, from beside the Env."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Env, EpisodeKey, EpisodeSpec, PrivilegedEnv, Split, Status
from sfbench.demos import extras
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import DatasetSpec
from sfbench.demos.staging import EpisodeWriter, Moment
from sfbench.errors import UsageError
from sfbench.rollout.episode_loop import check_frames


def staging_folder(root: Path, key: EpisodeKey) -> Path:
    """Where an episode waits to become part of a dataset."""
    return root / key.task / f"{key.init_state}_{key.seed}_{key.repeat}"


@dataclass(frozen=True, slots=True)
class RecorderRecipe:
    """A recorder as data; implements `sfbench.rollout.episode_loop.SubscriberRecipe`.

    Attributes:
        root: under which solved episodes are left.
        spec: which cameras and extras.
    """

    root: Path
    spec: DatasetSpec

    def make(self, warn: Callable[[str], None]) -> "Recorder":
        """The recorder."""
        return Recorder(self.root, self.spec)


class Recorder:
    """Leaves a staged episode for every success, and nothing for the rest.

    Frame t is what is seen before action t; what is seen after the last action is not kept.
    """

    def __init__(self, root: Path, spec: DatasetSpec) -> None:
        self._root, self._spec = root, spec
        self._cameras = tuple(camera.name for camera in spec.cameras)
        self._writer: EpisodeWriter | None = None
        self._moment: Moment | None = None
        self._episode: EpisodeSpec | None = None
        self._state_hash = ""
        self._object_names: tuple[str, ...] = ()

    def on_reset(self, env: Env, episode: EpisodeSpec) -> None:
        """See EpisodeSubscriber.

        Raises:
            UsageError: the episode is not of the `train` split; or an extra was asked for that
                the Env cannot give.
        """
        if episode.split is not Split.TRAIN:
            raise UsageError(f"demonstrations come from split train, not from {episode.split}")
        asked = {name.split("/")[0] for name in self._spec.extras}
        if asked - {extras.SIM_STATE} and not isinstance(env, PrivilegedEnv):
            raise UsageError(
                f"suite '{episode.suite}' gives no depth, segmentation or camera matrices; leave "
                "depth=, segmentation= and matrices= out"
            )
        self._drop()
        self._episode = episode
        self._state_hash = hashlib.sha256(env.get_state().tobytes()).hexdigest()[:16]
        self._object_names = ()
        if extras.SEGMENTATION in asked and isinstance(env, PrivilegedEnv):
            self._object_names = env.object_names()
        self._writer = EpisodeWriter(staging_folder(self._root, episode.key), self._spec)
        self._moment = self._look(env)

    def on_step(self, env: Env, action: NDArray[np.float64], steps: int) -> None:
        """See EpisodeSubscriber."""
        assert self._writer is not None
        assert self._moment is not None
        spec = env.spec.action
        # What the Env executes: it clips to the bounds.
        self._writer.add(self._moment, np.clip(action, spec.low, spec.high))
        self._moment = self._look(env)

    def on_end(self, status: Status) -> str | None:
        """See EpisodeSubscriber."""
        if self._writer is None or self._episode is None or status is not Status.SUCCESS:
            self._drop()
            return None
        episode = self._episode
        info = EpisodeInfo(
            index=0,
            task=episode.task,
            instruction=episode.instruction,
            length=0,
            state_hash=self._state_hash,
            split=episode.split.value,
            init_state=episode.init_state,
            seed=episode.seed,
        )
        self._writer.finish(info, self._object_names)
        self._writer = None
        return None

    def _look(self, env: Env) -> Moment:
        seen = env.observe(self._cameras)
        check_frames(seen)
        return Moment(
            images=dict(seen.images),
            state=seen.state,
            extras=_extras(env, self._spec.extras, self._cameras),
        )

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.discard()
        self._writer = None


def _extras(env: Env, names: Sequence[str], cameras: Sequence[str]) -> dict[str, NDArray[Any]]:
    kinds = {name.split("/")[0] for name in names}
    found: dict[str, NDArray[Any]] = {}
    if extras.SIM_STATE in kinds:
        found[extras.SIM_STATE] = env.get_state()
    if not isinstance(env, PrivilegedEnv):
        return found
    if extras.DEPTH in kinds:
        found |= _named(extras.DEPTH, env.depth_m(cameras))
    if extras.SEGMENTATION in kinds:
        labels = env.segmentation(cameras)
        found |= _named(extras.SEGMENTATION, {name: labels[name] for name in labels})
    if extras.TO_WORLD in kinds:
        matrices = env.camera_matrices(cameras)
        found |= _named(extras.INTRINSICS, {name: matrices[name].intrinsics for name in matrices})
        found |= _named(extras.TO_WORLD, {name: matrices[name].to_world for name in matrices})
    return found


def _named(kind: str, by_camera: Any) -> dict[str, NDArray[Any]]:  # noqa: ANN401 (any dtype)
    return {f"{kind}/{camera}": np.asarray(table) for camera, table in by_camera.items()}
