"""The loop, with checkpoints to go on from."""

import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sfbench.contracts import Json
from sfbench.errors import StoppedError
from sfbench.spatial.pretraining.batches import draw_batch
from sfbench.spatial.pretraining.losses import losses
from sfbench.spatial.pretraining.scenes import Scenes
from sfbench.spatial.pretraining.settings import TeacherSettings
from sfbench.spatial.vggt.blocks import LayerScale
from sfbench.spatial.vggt.model import Vggt
from sfbench.training.checkpoint import (
    CHECKPOINTS,
    TRAINING_STATE,
    TrainingState,
    load_optimiser_moments,
    newest,
    optimiser_moments,
    read_state,
    tidy,
    written_whole,
)
from sfbench.training.metrics import MetricsLog
from sfbench.training.optimisation import clip, learning_rate, make_adamw, set_learning_rate
from sfbench.training.reporting import TrainReporter
from sfbench.training.settings import OptimiserConfig
from sfbench.training.streams import global_stream

_SPECIAL_STD = 0.5
_DTYPES = {"no": torch.float32, "bf16": torch.bfloat16}


def new_model(settings: TeacherSettings) -> Vggt:
    """Weights to start from; they depend on the seed alone.

    The published starting values suit a pretrained patch embedding: layers that begin as almost
    nothing, and camera and register tokens that hardly differ from zero. Nothing is pretrained
    here, so layers begin at full strength, and these tokens at the size of the others.
    """
    with global_stream("teacher", settings.seed):
        model = Vggt(settings.network())
        for module in model.modules():
            if isinstance(module, LayerScale):
                nn.init.ones_(module.gamma)
        for token in (model.aggregator.camera_token, model.aggregator.register_token):
            nn.init.normal_(token, std=_SPECIAL_STD)
    return model


class TeacherTraining:
    """One network in training."""

    def __init__(
        self,
        settings: TeacherSettings,
        scenes: Scenes,
        out: Path,
        device: torch.device,
        alone: bool,
    ) -> None:
        """`alone`: it is shown every picture as a scene of its own."""
        self._settings, self._scenes, self._out = settings, scenes, out
        self._device, self._alone = device, alone
        self.model = new_model(settings).to(device)
        self._rates = OptimiserConfig(
            lr=settings.lr, schedule="cosine", warmup_steps=max(settings.steps // 20, 1)
        )
        self._trained = [one for one in self.model.parameters() if one.requires_grad]
        self._optimiser = make_adamw(self._trained, self._rates)

    def run(self, config: Mapping[str, Json], reporter: TrainReporter) -> None:
        """Train to the end, from the newest checkpoint on if there is one.

        Args:
            config: what losses depend on; a checkpoint of another is refused.
            reporter: is told how it goes.

        Raises:
            RunFolderError: a checkpoint of another config, or a damaged one.
            StoppedError: a loss is not finite, or the disk is full.
        """
        settings, checkpoints = self._settings, self._out / CHECKPOINTS
        self._out.mkdir(parents=True, exist_ok=True)
        done = self._resume(checkpoints, config)
        log = MetricsLog(self._out, done, tensorboard=False)
        reporter.on_start(done, settings.steps)
        self.model.train()
        try:
            for step in range(done + 1, settings.steps + 1):
                start_s = time.perf_counter()
                values = self._step(step)
                line = {"step": step, "losses": values, "lr": self._optimiser.param_groups[0]["lr"]}
                log.write({**line, "step_s": time.perf_counter() - start_s})
                reporter.on_step(step, sum(values.values()))
                if step % settings.resume_every == 0 or step == settings.steps:
                    self._save(checkpoints, step, config)
        finally:
            log.close()
            reporter.on_end()

    def _step(self, step: int) -> dict[str, float]:
        settings = self._settings
        set_learning_rate((self._optimiser,), learning_rate(self._rates, step, settings.steps))
        batch = draw_batch(self._scenes, settings.batch_size, settings.seed, step, self._alone).to(
            self._device
        )
        # On a CPU the fused attention's backward pass costs a third of a step at these sizes.
        with sdpa_kernel(SDPBackend.MATH):
            found = losses(self.model, batch, _DTYPES[settings.precision])
            total = torch.stack(list(found.values())).sum()
        if not bool(torch.isfinite(total)):
            raise StoppedError(f"the loss of step {step} is not finite; lower lr")
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        clip(self._trained, self._rates.clip_norm)
        self._optimiser.step()
        return {name: float(value.detach()) for name, value in found.items()}

    def _resume(self, checkpoints: Path, config: Mapping[str, Json]) -> int:
        folder = newest(checkpoints)
        if folder is None:
            return 0
        state = read_state(folder, config)
        self.model.load_state_dict(dict(state.tensors["weights"]))
        load_optimiser_moments(self._optimiser, state.tensors["moments"])
        return state.step

    def _save(self, checkpoints: Path, step: int, config: Mapping[str, Json]) -> None:
        tensors = {
            "weights": self.model.state_dict(),
            "moments": optimiser_moments(self._optimiser),
        }
        with written_whole(checkpoints / str(step)) as folder:
            TrainingState(step, config, tensors).write(folder / TRAINING_STATE)
        tidy(checkpoints, set())
