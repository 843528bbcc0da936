"""Depth probes in a sweep: of trainings' last kept checkpoints, and what they stand against."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sfbench.errors import UsageError
from sfbench.launch.graph import Cell, Stage
from sfbench.launch.parts import Part
from sfbench.launch.references import check_name
from sfbench.launch.sweep_file import SweepConfig


def probes(
    config: SweepConfig, parts: Sequence[Part], trained_by: Callable[[Part], Sequence[Cell]]
) -> list[Cell]:
    """A cell for every training whose part is probed, and one for each of `probe_extra`.

    Args:
        config: of the sweep.
        parts: of the sweep.
        trained_by: tells a part's trainings.

    Raises:
        UsageError: `probe_extra` without `probe`, or one that is no mapping of keys.
    """
    cells = []
    for part in parts:
        if part.probe is None:
            continue
        for training in trained_by(part):
            tail = training.id.removeprefix(f"{part.prefix}{Stage.TRAIN}-")
            cell = Cell(
                id=f"{part.prefix}{Stage.PROBE}-{tail}",
                stage=Stage.PROBE,
                keys={**_policy_keys(training.keys), **part.probe},
                labels=training.labels,
                needs=training.id,
                step=max(training.steps),
            )
            cells.append(cell)
    return [*cells, *_extra(config)]


def _extra(config: SweepConfig) -> list[Cell]:
    if config.probe_extra and config.probe is None:
        raise UsageError(
            "probe_extra without probe: name the demonstrations, probe: {dataset: ...}"
        )
    cells = []
    for name, own in config.probe_extra.items():
        check_name("probe_extra", name)
        if own is not None and not isinstance(own, Mapping):
            raise UsageError(f"probe_extra.{name}={own}: write a mapping of keys")
        if "out" in (own or {}):
            raise UsageError(f"probe_extra.{name}.out is set by the sweep; leave it out")
        keys = {**_policy_keys(config.train or {}), **(config.probe or {}), **(own or {})}
        labels = {"probe": str(name)}
        cells.append(Cell(id=f"{Stage.PROBE}-{name}", stage=Stage.PROBE, keys=keys, labels=labels))
    return cells


def _policy_keys(train: Mapping[str, Any]) -> dict[str, Any]:
    """The policy that is trained, with its own settings."""
    return {
        key: value for key, value in train.items() if key == "policy" or key.startswith("policy.")
    }
