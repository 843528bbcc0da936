"""What comes before all trainings: demonstrations, start weights, teachers."""

import fcntl
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfbench.contracts import Suite
from sfbench.errors import MissingError, StoppedError, UnknownNameError, UsageError
from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Cell, Graph, Stage
from sfbench.launch.references import MARK, PREFIX, check_name

if TYPE_CHECKING:
    from sfbench.cli.compose import Composed

_COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Preparer:
    """A command that can prepare something; run again it goes on.

    Attributes:
        check: refuses its arguments, without running anything; raises UsageError.
        workers: it takes `workers=`.
    """

    check: Callable[[list[str]], object]
    workers: bool = False


def preparers() -> Mapping[str, Preparer]:
    """Commands by what is typed after `sfbench`."""
    return {
        "collect": Preparer(_check_collect, workers=True),
        "train": Preparer(_check_train),
        "train teacher": Preparer(_check_teacher),
        "train vlm": Preparer(_check_vlm),
    }


def preparations(prepare: Mapping[str, Any]) -> list[Cell]:
    """A cell for everything that a sweep prepares itself.

    Raises:
        UsageError: a name that is none, an unknown command, or a key that the sweep sets.
    """
    cells = []
    for name, own in prepare.items():
        check_name("prepare", name)
        if isinstance(own, str):
            continue
        if not isinstance(own, Mapping) or _COMMAND not in own:
            raise UsageError(
                f"prepare.{name}={own}: write {{command: collect, ...}}, or a folder that is there"
            )
        command = " ".join(str(own[_COMMAND]).split())
        if command not in preparers():
            raise UnknownNameError(f"command of prepare.{name}", command, preparers())
        keys = {key: value for key, value in own.items() if key != _COMMAND}
        for key, value in keys.items():
            if key == "out":
                raise UsageError(f"prepare.{name}.out is set by the sweep; leave it out")
            if str(value).startswith(MARK):
                raise UsageError(
                    f"prepare.{name}.{key}={value}: what is prepared cannot use what is prepared; "
                    "all of it runs at the same time"
                )
        cell = Cell(
            id=f"{PREFIX}{name}",
            stage=Stage.PREPARE,
            keys=keys,
            labels={"prepare": str(name)},
            command=command,
        )
        cells.append(cell)
    return cells


def folders_of(prepare: Mapping[str, Any], cwd: Path) -> dict[str, str]:
    """What `@NAME` becomes in a graph: a folder that was named, or `@NAME`, which is still to come.

    Raises:
        MissingError: a folder that was named is not there.
    """
    folders = {}
    for name, own in prepare.items():
        folders[str(name)] = f"{MARK}{name}"
        if isinstance(own, str):
            folder = (cwd / own).resolve()
            if not folder.is_dir():
                raise MissingError(f"prepare.{name}={own}: there is no such folder")
            folders[str(name)] = str(folder)
    return folders


def prepare(folder: SweepFolder, cell: Cell, arguments: list[str], workers: int) -> int:
    """Run a preparation's command, or what is left of it.

    Its folder does not tell whether it is complete, in one way for all commands: so a file says so,
    written when the command has returned 0. It names the cell, as a folder of another sweep may
    have been put in its place.

    Raises:
        SfbenchError: as the command.
    """
    preparer = preparers()[cell.command]
    with alone(folder.lock_of(cell.id)):
        if folder.is_finished(cell):
            return 0
        if preparer.workers and "workers" not in cell.keys:
            arguments = [*arguments, f"workers={workers}"]
        module, *words = cell.command.split()
        run: Callable[[list[str]], int] = import_module(f"sfbench.cli.{module}").command
        status = run([*words, *arguments])
        if status != 0:
            raise StoppedError(f"sfbench {cell.command} ended with status {status}")
        folder.write_finished(cell)
    return 0


def prepared_folders(folder: SweepFolder, graph: Graph) -> dict[str, str]:
    """What `@NAME` stands for in the arguments of a task, by name."""
    return {
        cell.id.removeprefix(PREFIX): str(folder.cell(cell.id))
        for cell in graph.of_stage(Stage.PREPARE)
    }


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Within the block no other process works on the same; waits for one that does.

    Slurm may believe a node dead that goes on, and queue its task again.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    told = False
    with lock.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if not told:
                    told = True
                    print(f"waiting for the earlier process that holds {lock}", file=sys.stderr)
                time.sleep(1.0)
        yield


def _check_collect(arguments: list[str]) -> None:
    from sfbench.cli.collect import make_request
    from sfbench.demos.collect import wanted_counts

    request = make_request(arguments)
    suite = request.run.suite.build()
    _check_tasks(request.tasks or (), suite)
    wanted_counts(request, suite)


def _check_train(arguments: list[str]) -> None:
    from sfbench.cli.train import check_arguments

    check_arguments(arguments)


def _check_teacher(arguments: list[str]) -> None:
    from sfbench.cli.compose import compose_command
    from sfbench.cli.train_teacher import TeacherTrainConfig

    composed = compose_command(TeacherTrainConfig, ("suite",), arguments)
    composed.own.check()
    _check_tasks((*composed.own.tasks, *composed.own.held_out), _suite(composed))


def _check_vlm(arguments: list[str]) -> None:
    from sfbench.cli.compose import compose_command
    from sfbench.cli.train_vlm import VlmConfig
    from sfbench.registry import find_policy, policies

    composed = compose_command(VlmConfig, ("suite", "policy"), arguments)
    if find_policy(composed.chosen["policy"]).reader is None:
        names = [name for name, plugin in policies().items() if plugin.reader is not None]
        raise UnknownNameError("policy for train vlm", composed.chosen["policy"], names)
    _check_tasks(composed.own.tasks or (), _suite(composed))


def _suite(composed: "Composed") -> Suite:
    from sfbench.registry import SuiteRecipe

    return SuiteRecipe(composed.chosen["suite"], composed.own.suite).build()


def _check_tasks(tasks: Iterable[str], suite: Suite) -> None:
    for name in tasks:
        if name not in suite.tasks:
            raise UnknownNameError("task", name, suite.tasks)
