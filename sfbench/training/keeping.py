"""Saving a run's checkpoints, and going on from the newest."""

from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from sfbench.training.adapters import merged
from sfbench.training.checkpoint import (
    AUXILIARY,
    CHECKPOINTS,
    TRAINING_STATE,
    TrainingState,
    flat_moments,
    nested_moments,
    newest,
    read_state,
    tidy,
    written_whole,
)
from sfbench.training.learning import POLICY_PREFIX, Learning
from sfbench.training.processes import Processes
from sfbench.training.settings import TrainSettings
from sfbench.training.setup import Paperwork
from sfbench.training.weights_file import save_tensors

RECIPE_FILE = "recipe.yaml"


class Keeper:
    """Writes and reads `checkpoints/<step>/` of a run folder."""

    def __init__(
        self,
        out: Path,
        learning: Learning,
        papers: Paperwork,
        processes: Processes,
        settings: TrainSettings,
    ) -> None:
        self._checkpoints = out / CHECKPOINTS
        self._learning, self._papers = learning, papers
        self._processes, self._settings = processes, settings

    def folder(self, step: int) -> Path:
        """Of the checkpoint after that many steps."""
        return self._checkpoints / str(step)

    def resume(self) -> int:
        """Read the newest checkpoint back, if there is one; returns how many steps are done.

        Raises:
            RunFolderError: it was trained with another config, or is damaged.
        """
        folder = newest(self._checkpoints)
        if folder is None:
            return 0
        state = read_state(folder, self._papers.config)
        learning, processes, tensors = self._learning, self._processes, state.tensors
        processes.load_module(learning.wrapped, dict(tensors["weights"]))
        moments = nested_moments(tensors["moments"])
        processes.load_moments(learning.wrapped, learning.optimisers, learning.names, moments)
        if learning.average is not None:
            learning.average.swap()
            processes.load_module(learning.wrapped, dict(tensors["average"]))
            learning.average.swap()
        for one in learning.auxiliaries:
            one.loss.load_state_dict(tensors[f"{AUXILIARY}-{one.name}"])
            one.load_moments(tensors[f"{AUXILIARY}-{one.name}-moments"])
        return state.step

    def save(self, step: int, kept: set[int]) -> None:
        """Write a checkpoint; every process helps to gather it, the first one writes.

        Args:
            step: finished steps.
            kept: steps whose checkpoints stay; of all others only the newest does.

        Raises:
            StoppedError: it could not be written; the one before is still there.
        """
        learning, processes = self._learning, self._processes
        weights = processes.module_state(learning.wrapped)
        moments = processes.moments(learning.wrapped, learning.optimisers)
        published = weights
        if learning.average is not None:
            learning.average.swap()
            published = processes.module_state(learning.wrapped)
            learning.average.swap()
        if processes.first:
            tensors = self._tensors(weights, moments, published)
            state = TrainingState(step, self._papers.config, tensors)
            with written_whole(self.folder(step)) as folder:
                self._write(folder, step, published)
                state.write(folder / TRAINING_STATE)
            tidy(self._checkpoints, kept)
        processes.wait()

    def _tensors(
        self, weights: dict[str, Tensor], moments: dict[str, Any], published: dict[str, Tensor]
    ) -> dict[str, dict[str, Tensor]]:
        learning = self._learning
        found = {
            "weights": {name: weights[name] for name in learning.names},
            "moments": flat_moments(moments),
        }
        if learning.average is not None:
            found["average"] = {name: published[name] for name in learning.names}
        for one in learning.auxiliaries:
            found[f"{AUXILIARY}-{one.name}"] = dict(one.loss.state_dict())
            found[f"{AUXILIARY}-{one.name}-moments"] = one.moments()
        return found

    def _write(self, folder: Path, step: int, published: dict[str, Tensor]) -> None:
        """What is there for others: the policy, its recipe, auxiliaries apart."""
        learning, papers = self._learning, self._papers
        own = {name.removeprefix(POLICY_PREFIX): value for name, value in published.items()}
        plain = merged(own, self._settings.lora)
        learning.trainable.save(folder, plain, papers.record(step))
        document = {"train_step": step, **papers.document}
        document["trained_states"] = sorted(papers.trained_states)
        text = yaml.safe_dump(document, sort_keys=False)
        (folder / RECIPE_FILE).write_text(text, encoding="utf-8")
        for one in learning.auxiliaries:
            place = folder / AUXILIARY
            place.mkdir(exist_ok=True)
            save_tensors(one.loss.state_dict(), place / f"{one.name}.safetensors")
