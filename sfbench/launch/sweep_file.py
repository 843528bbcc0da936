"""The sweep file: what it may hold, and how it is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sfbench.errors import MissingError, UnknownNameError, UsageError
from sfbench.launch.parts import parts_of


class LauncherName(StrEnum):
    """Where a sweep runs."""

    DEBUG = "debug"
    """In this process, one task after the other; an exception opens a debugger."""
    LOCAL = "local"
    """In processes of this machine."""
    SLURM = "slurm"


class AfterRule(StrEnum):
    """When a stage may start."""

    OK = "afterok"
    """When every task of the stage before it ended well."""
    ANY = "afterany"
    """When every task of the stage before it ended."""


@dataclass(kw_only=True)
class SweepConfig:
    """The keys of a sweep file.

    Attributes:
        name: label in job names; default: the file's name.
        prepare: what comes before the trainings, by name: `command` (collect, train vlm, train
            teacher, train) and its keys, or a folder that is there. `@NAME` as a value elsewhere
            stands for the folder.
        eval: keys of `sfbench eval` that all cells share.
        grid: axis by axis, the values that a key takes: a list, or a mapping of label to further
            keys. Keys of `sfbench eval`; with `train.` or `server.` before them, of those.
        train: keys of `sfbench train` that all trainings share; null: nothing is trained.
        checkpoints: training steps whose checkpoints are evaluated.
        parts: several grids, by name; each has `grid`, `checkpoints`, `train`, `eval`, `probe` or
            `shards` of its own over those of the file.
        probe: keys of `sfbench probe depth`, for the last kept checkpoint of each training; null:
            nothing is probed.
        probe_extra: further probes, by name: keys over those of `probe`.
        train_entry: `module:function` that takes those arguments and returns an exit status.
        server: keys of `sfbench serve` for a policy server that simulation tasks share; null: every
            task holds its own policy.
        server_idle_min: a server without clients for that long ends.
        shards: array tasks that share one cell's episodes.
        launcher: debug, local or slurm.
        profile: cluster profile.
        stage_profiles: other profiles for single stages: prepare, train, serve, eval, probe,
            report.
        after_train: afterok, or afterany: evaluate what is there.
        after_eval: afterany, or afterok: report only a sweep without failed tasks.
        parallel: tasks at a time with launcher=local; default: cores / workers.
        stage_parallel: likewise for single stages, such as trainings that share a GPU.
        max_cells: a larger grid is refused.
        out: the sweep folder; default: results/sweeps/NAME.
    """

    name: str | None = None
    prepare: dict[str, Any] = field(default_factory=dict)
    eval: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] | None = None
    checkpoints: list[int] = field(default_factory=list)
    parts: dict[str, Any] = field(default_factory=dict)
    probe: dict[str, Any] | None = None
    probe_extra: dict[str, Any] = field(default_factory=dict)
    train_entry: str = "sfbench.cli.train:command"
    server: dict[str, Any] | None = None
    server_idle_min: float = 30.0
    shards: int = 1
    launcher: LauncherName = LauncherName.LOCAL
    profile: str | None = None
    stage_profiles: dict[str, str] = field(default_factory=dict)
    after_train: AfterRule = AfterRule.OK
    after_eval: AfterRule = AfterRule.ANY
    parallel: int | None = None
    stage_parallel: dict[str, int] = field(default_factory=dict)
    max_cells: int = 2000
    out: str | None = None


STAGES = ("prepare", "train", "serve", "eval", "probe", "report")


def read_sweep(
    path: Path, overrides: Sequence[str] = (), choices: Sequence[str] = ()
) -> SweepConfig:
    """Read a sweep file; Hydra's defaults list and interpolations work in it.

    Args:
        path: a .yaml file.
        overrides: `key=value` for the file's keys, such as `shards=4` or `grid.seed=[0,1]`.
        choices: `group=name` for the groups of the file's defaults list.

    Raises:
        UsageError: unreadable, an unknown key, or a value of the wrong type.
    """
    if not path.is_file():
        raise MissingError(f"no sweep file {path}; slurm/sweep.yaml is an example to copy")
    try:
        with initialize_config_dir(str(path.parent.resolve()), version_base=None):
            raw = OmegaConf.to_container(compose(path.stem, list(choices)), resolve=True)
        assert isinstance(raw, dict)
        _apply(raw, overrides)
        _check_names(raw)
        for key, kind in _CHOICES.items():
            if key in raw:
                raw[key] = _member_name(key, raw[key], kind)
        merged = OmegaConf.merge(OmegaConf.structured(SweepConfig), OmegaConf.create(raw))
        config = OmegaConf.to_object(merged)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        text = " ".join(str(error.__cause__ or error).split())
        raise UsageError(f"{path}: {text}") from error
    assert isinstance(config, SweepConfig)
    config.name = config.name or path.stem
    _check_values(config)
    return config


def _apply(raw: dict[Any, Any], overrides: Sequence[str]) -> None:
    """Set what was typed; `eval.policy.noise=1` sets key `policy.noise` of `eval`."""
    for item in OverridesParser.create().parse_overrides(list(overrides)):
        if item.is_delete() or item.is_add() or item.is_force_add() or item.is_sweep_override():
            raise UsageError(f"'{item.input_line}': write key=value; a list of values [a,b]")
        at, place = raw, _place(item.key_or_group)
        for name in place[:-1]:
            inner = at.get(name) or {}
            if not isinstance(inner, dict):
                raise UsageError(f"'{item.input_line}': {name} has no keys of its own")
            at[name] = inner = dict(inner)
            at = inner
        at[place[-1]] = item.value()


def _place(key: str) -> list[str]:
    """The mappings that an override goes through, and the key, dots and all, in the last of them.

    `prepare.demos.suite.size` sets `suite.size` of `demos`, `parts.data.grid.train.seed` sets
    `train.seed` of the part's grid.
    """
    head = key.partition(".")[0]
    depth = {"parts": 4, "prepare": 3, "probe_extra": 3}.get(head, 2)
    return key.split(".", depth - 1)


def to_yaml(config: SweepConfig) -> str:
    """The text of a sweep file that says the same."""
    data = {item.name: getattr(config, item.name) for item in fields(config)}
    plain = {key: str(data[key]) if key in _CHOICES else data[key] for key in data}
    return OmegaConf.to_yaml(OmegaConf.create(plain))


_CHOICES: dict[str, type[StrEnum]] = {
    "launcher": LauncherName, "after_train": AfterRule, "after_eval": AfterRule,
}  # fmt: skip


def _member_name(key: str, value: object, kind: type[StrEnum]) -> str:
    """OmegaConf wants the names of an enum's members, people write their values."""
    if value not in list(kind):
        raise UnknownNameError(f"value of {key}", str(value), list(kind))
    return kind(str(value)).name


def _check_names(raw: dict[Any, Any]) -> None:
    names = [item.name for item in fields(SweepConfig)]
    for key in raw:
        if key not in names:
            raise UnknownNameError("key of a sweep file", str(key), names)


def _check_values(config: SweepConfig) -> None:
    if config.max_cells < 1:
        raise UsageError(f"max_cells={config.max_cells}: allowed 1 or more")
    if config.parallel is not None and config.parallel < 1:
        raise UsageError(f"parallel={config.parallel}: allowed 1 or more")
    for stage in (*config.stage_profiles, *config.stage_parallel):
        if stage not in STAGES:
            raise UnknownNameError("stage", stage, STAGES)
    for stage, count in config.stage_parallel.items():
        if count < 1:
            raise UsageError(f"stage_parallel.{stage}={count}: allowed 1 or more")
    parts_of(config)
