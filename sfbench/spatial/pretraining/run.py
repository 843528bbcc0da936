"""`sfbench train teacher` from request to folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from sfbench.contracts import Json, Suite
from sfbench.errors import UsageError
from sfbench.sim.cache import write_atomically
from sfbench.spatial.pretraining.data import Data, choose_tasks, prepare
from sfbench.spatial.pretraining.rendering import check_suite
from sfbench.spatial.pretraining.results import Results, judge, write_results
from sfbench.spatial.pretraining.settings import MODELS, TeacherSettings
from sfbench.spatial.pretraining.training import TeacherTraining
from sfbench.spatial.vggt.loading import load_vggt, save_vggt
from sfbench.spatial.vggt.model import Vggt
from sfbench.training.reporting import TrainReporter

RECIPE = "teacher.json"


def check_request(suite: Suite, settings: TeacherSettings) -> None:
    """Refuse what cannot be trained, before anything is rendered. Raises UsageError."""
    settings.check()
    trained, _ = choose_tasks(suite, settings)
    check_suite(suite, trained[0])
    with torch.device("meta"):
        model = Vggt(settings.network())
    mega = 2 * sum(value.numel() for value in model.state_dict().values()) / 1e6
    if mega > settings.max_mb:
        raise UsageError(
            f"this network's weights take {mega:.1f} MB in half precision; allowed max_mb="
            f"{settings.max_mb:g}. Lower model.width or model.depth, or raise max_mb"
        )


def run_teacher(
    suite: Suite,
    settings: TeacherSettings,
    out: Path,
    device: torch.device,
    reporter: TrainReporter,
) -> Results:
    """Render, train the teacher and its control, save both, and judge what was saved.

    Args:
        suite: gives the scenes.
        settings: checked by `check_request`.
        out: the teacher's folder; `single_view/` in it is the control's, `scenes/` has the data,
            `results/` the scores. The same call again goes on where this one was stopped.
        device: to train on.
        reporter: is told how it goes.

    Raises:
        UsageError: the folder holds other scenes or another training.
        StoppedError: a loss is not finite, or the disk is full.
    """
    data = prepare(suite, settings, out / "scenes", reporter.on_event)
    models = {}
    for name in MODELS if settings.control == "single_view" else MODELS[:1]:
        alone = name == "single_view"
        folder = out / name if alone else out
        config = _config(suite, settings, data, alone)
        training = TeacherTraining(settings, data.train, folder, device, alone)
        reporter.on_event(f"{name}: {folder}")
        training.run(config, reporter)
        save_vggt(training.model, folder, torch.float16)
        text = json.dumps(config, indent=1) + "\n"
        write_atomically(folder / RECIPE, text.encode())
        models[name] = load_vggt(folder, torch.float32, str(device))
    results = judge(models, data)
    write_results(results, models, data, out / "results")
    return results


def _config(suite: Suite, settings: TeacherSettings, data: Data, alone: bool) -> Mapping[str, Json]:
    """What losses depend on."""
    values = asdict(settings)
    for name in ("resume_every", "max_mb", "device", "control", "test_scenes"):
        values.pop(name)
    return {
        **values,
        "tasks": list(data.trained_tasks),
        "held_out": list(data.held_out_tasks),
        "suite": suite.name,
        "suite_version": suite.version,
        "single_view": alone,
    }
