"""Submitting a sweep, and submitting again what is missing."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from sfbench.errors import RunFolderError, UsageError
from sfbench.launch.cells import make_graph
from sfbench.launch.checking import CellChecker
from sfbench.launch.completion import Completion
from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Graph, Stage, TaskName
from sfbench.launch.launchers import (
    Launcher,
    Settings,
    StagePlan,
    Wait,
    make_launcher,
    settings_of,
)
from sfbench.launch.sweep_file import AfterRule, SweepConfig, read_sweep, to_yaml
from sfbench.rollout.plan import Plan
from sfbench.rollout.run_folder import write_atomically


def submit(config: SweepConfig, cwd: Path) -> SweepFolder:
    """Check a sweep, make its folder, and submit all of it.

    Raises:
        UsageError: something is wrong with it; nothing was submitted.
        RunFolderError: the folder holds another sweep, or this one already.
        StoppedError: part of it was submitted.
    """
    folder = SweepFolder(cwd / (config.out or f"results/sweeps/{config.name}"))
    settings = settings_of(config)
    graph = make_graph(config, cwd)
    if folder.exists:
        graph = _known_graph(folder, graph)
    plans = CellChecker(graph, folder).plans()
    counted = {
        cell.id: replace(cell, planned=len(plans[cell.id].episodes)) if cell.id in plans else cell
        for cell in graph.cells.values()
    }
    graph = replace(graph, cells=counted)
    launcher = make_launcher(config.launcher, folder, graph, settings)
    with folder.locked():
        if folder.exists:
            graph = _known_graph(folder, graph)
        folder.write_sweep(graph, to_yaml(config))
        _write_plans(folder, plans)
        launcher.launch(stage_plans(graph, config, Completion(folder, graph).incomplete()))
    return folder


def resubmit(folder: SweepFolder, overrides: Sequence[str] = ()) -> list[TaskName]:
    """Submit again whatever is incomplete and not on its way.

    Args:
        folder: of the sweep.
        overrides: keys that say where it runs, such as launcher, profile, parallel.

    Returns:
        The tasks that were submitted.

    Raises:
        UsageError: as `submit`.
        StoppedError: part of it was submitted, or Slurm does not say what runs.
    """
    graph = folder.graph()
    config = read_config(folder, overrides)
    launcher = make_launcher(config.launcher, folder, graph, settings_of(config))
    with folder.locked():
        active = launcher.active()
        missing = Completion(folder, graph).incomplete()
        tasks = [task for task in missing if task not in active]
        # A report that waits for tasks which were cancelled would be of nothing new.
        if any(graph.cells[task.cell].stage in (Stage.EVAL, Stage.PROBE) for task in tasks):
            tasks = list(dict.fromkeys([*tasks, *graph.cells["report"].tasks]))
        if tasks:
            folder.write_sweep(graph, to_yaml(config))
            launcher.launch(stage_plans(graph, config, tasks, active))
    return tasks


_WHERE = (
    "launcher", "profile", "stage_profiles", "parallel", "stage_parallel", "after_train",
    "after_eval",
)  # fmt: skip


def read_config(folder: SweepFolder, overrides: Sequence[str] = ()) -> SweepConfig:
    """The sweep file of a folder. Raises UsageError for overrides that change what is run."""
    for text in overrides:
        if text.partition("=")[0].partition(".")[0] not in _WHERE:
            raise UsageError(f"'{text}': of an existing sweep only {', '.join(_WHERE)} can change")
    if not folder.exists:
        raise RunFolderError(f"{folder.path} is no sweep folder: it has no graph.json")
    return read_sweep(folder.path / "sweep.yaml", overrides)


def launcher_of(folder: SweepFolder, graph: Graph) -> Launcher:
    """The launcher that a sweep was last submitted with. Raises UsageError."""
    config = read_config(folder)
    return make_launcher(config.launcher, folder, graph, Settings(parallel=config.parallel))


def stage_plans(
    graph: Graph,
    config: SweepConfig,
    tasks: Sequence[TaskName],
    active: Collection[TaskName] = frozenset(),
) -> list[StagePlan]:
    """Stages that have something to do, each with what it waits for; a server that is up stays.

    Args:
        graph: of the sweep.
        config: of the sweep.
        tasks: to be submitted.
        active: submitted before, and still on their way; they are waited for as well.
    """
    by_stage = {
        stage: [task for task in tasks if graph.cells[task.cell].stage is stage] for stage in Stage
    }
    if by_stage[Stage.EVAL]:
        needed = {graph.cells[task.cell].needs for task in by_stage[Stage.EVAL]}
        servers = [cell for cell in graph.of_stage(Stage.SERVE) if cell.id in needed]
        by_stage[Stage.SERVE] = [
            task for cell in servers for task in cell.tasks if task not in active
        ]
    prepared = Wait(Stage.PREPARE, AfterRule.OK)
    trained = Wait(Stage.TRAIN, config.after_train)
    # Whoever waits for trainings or servers, which wait for preparations, need not wait for these.
    going = {graph.cells[task.cell].stage for task in (*tasks, *active)}
    going |= {stage for stage in Stage if by_stage[stage]}
    used = trained if Stage.TRAIN in going else prepared
    waits: dict[Stage, Sequence[Wait]] = {
        Stage.PREPARE: (),
        Stage.TRAIN: (prepared,),
        Stage.SERVE: (prepared,),
        Stage.EVAL: (Wait(Stage.SERVE, None) if by_stage[Stage.SERVE] else used,),
        Stage.PROBE: (used,),
        Stage.REPORT: (
            Wait(Stage.EVAL, config.after_eval), Wait(Stage.PROBE, config.after_eval)
        ),
    }  # fmt: skip
    return [
        StagePlan(stage, by_stage[stage], [wait for wait in waits[stage] if wait.stage in going])
        for stage in Stage
        if by_stage[stage]
    ]


def _known_graph(folder: SweepFolder, graph: Graph) -> Graph:
    """The graph of a folder that is to be submitted again. Raises RunFolderError."""
    stored = folder.graph()
    planned = {cell.id: replace(cell, planned=0) for cell in stored.cells.values()}
    fresh = {cell.id: replace(cell, planned=0) for cell in graph.cells.values()}
    if replace(stored, cells=planned).hash != replace(graph, cells=fresh).hash:
        raise RunFolderError(f"{folder.path} holds another sweep; use another out=")
    if any(event["event"] == "submitted" for event in folder.events()):
        raise RunFolderError(
            f"{folder.path}: this sweep was submitted before. `sfbench sweep resubmit "
            f"{folder.path}` submits what is missing; another out= starts afresh"
        )
    return stored


def _write_plans(folder: SweepFolder, plans: dict[str, Plan]) -> None:
    """Every cell's whole plan, before any shard starts: shards that start at once agree on it."""
    texts: dict[int, str] = {}
    for cell, plan in plans.items():
        if id(plan) not in texts:
            texts[id(plan)] = json.dumps(plan.to_json()) + "\n"
        write_atomically(folder.cell(cell) / "plan.json", texts[id(plan)])
