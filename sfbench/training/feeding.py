"""From the loader's batches to what a model is trained on."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from sfbench.demos.batch import DemoBatch
from sfbench.demos.loader import DemoLoader, LoaderSettings
from sfbench.training.augmentation import Augmentation
from sfbench.training.processes import Processes
from sfbench.training.settings import TrainSettings, passes
from sfbench.training.setup import Demonstrations
from sfbench.training.streams import sample_seed
from sfbench.training.trainable import Trainable, TrainingBatch


@dataclass(slots=True)
class FeedTimes:
    """Seconds since the last look: waiting for the loader, and making tensors of what it gave."""

    wait_s: float = 0.0
    prepare_s: float = 0.0


class Feed:
    """Delivers the micro-batches of every step, in an order fixed by seed and step."""

    def __init__(
        self,
        demos: Demonstrations,
        trainable: Trainable,
        settings: TrainSettings,
        processes: Processes,
        extras: tuple[str, ...],
    ) -> None:
        micro, self._passes = passes(settings, processes.count)
        self._loader = DemoLoader(
            demos.dataset,
            LoaderSettings(
                batch_size=micro,
                chunk_steps=trainable.needs.chunk_steps,
                cameras=trainable.needs.cameras,
                episodes=demos.subset.episodes,
                seed=settings.seed,
                workers=settings.loader_workers,
                rank=processes.rank,
                world_size=processes.count,
                extras=extras,
            ),
        )
        self.frames = sum(demos.dataset.episodes[index].length for index in demos.subset.episodes)
        self._trainable, self._seed = trainable, settings.seed
        self._device = processes.device
        self._augment = Augmentation(settings.augment)
        self.times = FeedTimes()

    def start_at(self, step: int) -> None:
        """Go on after that many finished steps."""
        self._loader.seek(step * self._passes)

    def next(self, step: int) -> TrainingBatch:
        """The next micro-batch of a step. Raises DatasetError for a damaged file."""
        start_s = time.perf_counter()
        demos = next(self._loader)
        loaded_s = time.perf_counter()
        batch = self._made(demos, step)
        self.times.wait_s += loaded_s - start_s
        self.times.prepare_s += time.perf_counter() - loaded_s
        return batch

    def close(self) -> None:
        """End the loader's workers."""
        self._loader.close()

    def _made(self, demos: DemoBatch, step: int) -> TrainingBatch:
        views = torch.from_numpy(np.ascontiguousarray(self._trainable.views(demos.images)))
        clean = views.to(self._device).permute(0, 1, 4, 2, 3).float() / 255
        pairs = [(int(one), int(two)) for one, two in zip(demos.episode, demos.frame, strict=True)]
        seeds = tuple(sample_seed(self._seed, step, *pair) for pair in pairs)
        return TrainingBatch(
            images_BVCHW=self._augment(clean, seeds),
            clean_BVCHW=clean,
            instructions=demos.instructions,
            states_BS=demos.state.astype(np.float64),
            actions_BKA=demos.actions.astype(np.float64),
            valid_BK=torch.from_numpy(demos.actions_valid).to(self._device),
            episodes=tuple(one for one, _ in pairs),
            frames=tuple(two for _, two in pairs),
            seeds=seeds,
            extras=demos.extras,
        )
