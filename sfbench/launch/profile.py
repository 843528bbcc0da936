"""Cluster profiles: small YAML files that say what a stage asks Slurm for."""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sfbench.errors import UnknownNameError, UsageError

FOLDERS_VARIABLE = "SFBENCH_PROFILES"


@dataclass(kw_only=True)
class Profile:
    """What one task of a stage gets. `slurm/profiles/example.yaml` explains each key.

    Attributes:
        partition: null: the cluster's default.
        account: null: yours.
        qos: null: the default.
        constraint: features of nodes.
        nodes: per task; above 1 for a distributed training.
        tasks_per_node: processes per node; one per GPU for a distributed training.
        gpus_per_node: null: none.
        cpus_per_task: also the number of simulator processes, unless `workers` is set.
        mem_gb: memory per node; null: the default.
        time_min: time limit.
        signal_delay_s: how long before its end a task is told to stop.
        max_timeouts: how often a task that ran into its limit is queued again by itself.
        max_parallel: array tasks that run at the same time.
        max_array_size: a larger stage becomes several arrays; null: the cluster is asked.
        setup: shell lines before the task, such as `module load cuda`.
        python: command that starts Python, for a container; null: the one that submits.
        extra: further options of sbatch, without the dashes.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    nodes: int = 1
    tasks_per_node: int = 1
    gpus_per_node: int | None = None
    cpus_per_task: int = 4
    mem_gb: float | None = None
    time_min: int = 240
    signal_delay_s: int = 90
    max_timeouts: int = 10
    max_parallel: int = 256
    max_array_size: int | None = None
    setup: list[str] = field(default_factory=list)
    python: str | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse numbers outside their range. Raises UsageError."""
        for key in ("nodes", "tasks_per_node", "cpus_per_task", "time_min", "max_parallel"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key}={getattr(self, key)}: allowed 1 or more")
        for key in ("signal_delay_s", "max_timeouts"):
            if getattr(self, key) < 0:
                raise UsageError(f"{key}={getattr(self, key)}: allowed 0 or more")


def folders() -> list[Path]:
    """Where profiles are looked for, in order."""
    named = [Path(text) for text in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if text]
    checkout = Path(__file__).parents[2] / "slurm" / "profiles"
    return [*named, Path("slurm/profiles"), Path("~/.config/sfbench/profiles").expanduser(),
            checkout]  # fmt: skip


def read_profile(name: str | None) -> Profile:
    """The profile of that name, or in that .yaml file; without a name, all defaults.

    Raises:
        UnknownNameError: there is none; lists those that there are.
        UsageError: unreadable, or an unknown key.
    """
    if name is None:
        return Profile()
    path = _find(name)
    try:
        raw: Any = OmegaConf.to_container(OmegaConf.load(path))
        if not isinstance(raw, dict):
            raise UsageError(f"profile {path}: write `key: value` lines")
        names = [item.name for item in fields(Profile)]
        for key in raw:
            if key not in names:
                raise UnknownNameError(f"key in profile {path}", str(key), names)
        profile = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Profile), raw))
    except OmegaConfBaseException as error:
        raise UsageError(f"profile {path}: {' '.join(str(error).split())}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"profile {path} cannot be read: {error}") from error
    assert isinstance(profile, Profile)
    return profile


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise UsageError(f"no profile file {name}")
        return Path(name)
    known = {path.stem: path for folder in reversed(folders()) for path in folder.glob("*.yaml")}
    if name not in known:
        raise UnknownNameError(
            "profile", name, sorted(known), "Copy slurm/profiles/example.yaml, or set "
            f"{FOLDERS_VARIABLE} to your folder of profiles."
        )  # fmt: skip
    return known[name]
