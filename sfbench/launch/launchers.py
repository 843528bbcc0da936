"""Where tasks run: in this process, in processes of this machine, or on Slurm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from sfbench.errors import UsageError
from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Graph, Stage, TaskName
from sfbench.launch.profile import Profile, read_profile
from sfbench.launch.sweep_file import AfterRule, LauncherName, SweepConfig


class Wait(NamedTuple):
    """For a stage that is submitted as well.

    Attributes:
        stage: which.
        rule: how it must have ended; None: it must have begun.
    """

    stage: Stage
    rule: AfterRule | None


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The tasks of a stage that are to be submitted.

    Attributes:
        stage: which.
        tasks: in the order of their array indices.
        waits: before it may start; all of them.
    """

    stage: Stage
    tasks: Sequence[TaskName]
    waits: Sequence[Wait] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a launcher needs to know beyond the graph.

    Attributes:
        profiles: what each stage asks Slurm for.
        parallel: tasks at a time on one machine; None: as many as its cores allow.
        stage_parallel: likewise, of single stages.
    """

    profiles: Mapping[Stage, Profile] = field(default_factory=dict)
    parallel: int | None = None
    stage_parallel: Mapping[str, int] = field(default_factory=dict)


class Launcher(Protocol):
    """Starts tasks, knows which of them are still to come to an end, and ends them."""

    def launch(self, plans: Sequence[StagePlan]) -> None:
        """Submit stage after stage; each submission is in `jobs.jsonl` when it is made.

        Raises:
            UsageError: nothing was submitted.
            StoppedError: some stages were, the message names them.
        """

    def active(self) -> dict[TaskName, str]:
        """PENDING, RUNNING, ... of every task that has not ended. Raises StoppedError."""

    def ended(self) -> dict[TaskName, str]:
        """How tasks ended, as far as anybody remembers."""

    def cancel(self) -> int:
        """End all; returns how many tasks there were to end. Raises StoppedError."""


def settings_of(config: SweepConfig) -> Settings:
    """The settings of a sweep file. Raises UsageError: an unknown profile."""
    if config.launcher is not LauncherName.SLURM:
        for name in (config.profile, *config.stage_profiles.values()):
            read_profile(name)
        return Settings(parallel=config.parallel, stage_parallel=config.stage_parallel)
    profiles = {
        stage: read_profile(config.stage_profiles.get(stage.value, config.profile))
        for stage in Stage
    }
    for stage in (stage for stage in Stage if stage is not Stage.TRAIN):
        profile = profiles[stage]
        if profile.nodes * profile.tasks_per_node > 1 and stage.value in config.stage_profiles:
            raise UsageError(f"stage_profiles.{stage}: nodes and tasks_per_node must be 1 here")
    return Settings(profiles=profiles, parallel=config.parallel)


def make_launcher(
    name: LauncherName, folder: SweepFolder, graph: Graph, settings: Settings
) -> Launcher:
    """The launcher of that name.

    Raises:
        MissingError: no Slurm here.
        UsageError: it cannot run this sweep.
    """
    if name is LauncherName.SLURM:
        from sfbench.launch.on_slurm import SlurmLauncher

        return SlurmLauncher(folder, graph, settings)
    if name is LauncherName.LOCAL:
        from sfbench.launch.on_this_machine import LocalLauncher

        return LocalLauncher(folder, graph, settings)
    if graph.of_stage(Stage.SERVE):
        raise UsageError(
            "launcher=debug runs one task after the other, and a policy server would have to run "
            "beside its evaluations; use launcher=local"
        )
    from sfbench.launch.in_this_process import DebugLauncher

    return DebugLauncher(folder)
