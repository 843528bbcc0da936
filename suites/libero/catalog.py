"""The 130 tasks of LIBERO, read from the installed package without importing it.

Importing `libero.libero` asks questions and writes to the home folder, so files are found by path.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sfbench.errors import MissingError, UnknownNameError

SUITES: Mapping[str, str] = {
    "libero_spatial": "Ten tasks with equal objects in different places.",
    "libero_object": "Ten tasks with different objects: each is put into a basket.",
    "libero_goal": "Ten tasks with equal objects and places, but different goals.",
    "libero_10": "Ten long tasks in kitchens, living rooms and studies (also called LIBERO-Long).",
    "libero_90": "Ninety short tasks over the scenes of LIBERO-100.",
}

INSTALL_HINT = "Type `pip install --no-deps hf-libero==0.1.4`."


@dataclass(frozen=True, slots=True)
class LiberoTask:
    """One task and the files that define it.

    Attributes:
        suite: the suite's name.
        name: the task's name, equal to its files' stem.
        instruction: the wording that published evaluations use.
        bddl_path: scene, start and goal.
        init_states_path: the published list of initial states.
    """

    suite: str
    name: str
    instruction: str
    bddl_path: Path
    init_states_path: Path


def package_folder() -> Path:
    """The folder of the installed `libero.libero` package.

    Raises:
        MissingError: hf-libero is not installed.
    """
    spec = find_spec("libero")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "libero"
        if (folder / "bddl_files").is_dir():
            return folder
    raise MissingError(f"LIBERO's task files are not installed. {INSTALL_HINT}")


@cache
def tasks(suite: str) -> Mapping[str, LiberoTask]:
    """The tasks of a suite by name, in the published order.

    Raises:
        UnknownNameError: no such suite.
        MissingError: hf-libero is absent or incomplete.
    """
    if suite not in SUITES:
        raise UnknownNameError("LIBERO suite", suite, SUITES)
    folder = package_folder()
    found = {}
    for name in _task_map(folder)[suite]:
        task = LiberoTask(
            suite=suite,
            name=name,
            instruction=instruction_of(name),
            bddl_path=folder / "bddl_files" / suite / f"{name}.bddl",
            init_states_path=folder / "init_files" / suite / f"{name}.pruned_init",
        )
        for path in (task.bddl_path, task.init_states_path):
            if not path.is_file():
                raise MissingError(f"the installed LIBERO lacks {path}. {INSTALL_HINT}")
        found[name] = task
    return found


def find_task(name: str) -> LiberoTask:
    """The task of that name, in whichever suite.

    Raises:
        UnknownNameError: no suite has it.
    """
    known = {task.name: task for suite in SUITES for task in tasks(suite).values()}
    if name not in known:
        raise UnknownNameError("LIBERO task", name, known)
    return known[name]


def instruction_of(name: str) -> str:
    """The instruction that the task's name spells: `KITCHEN_SCENE1_put_it` says 'put it'."""
    return re.sub(r"^[A-Z_]+SCENE\d+_", "", name).replace("_", " ")


@cache
def _task_map(folder: Path) -> dict[str, list[str]]:
    """The package's own table of suites; a literal, so that it can be read without running it."""
    path = folder / "benchmark" / "libero_suite_task_map.py"
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign):
            table: dict[str, list[str]] = ast.literal_eval(statement.value)
            return table
    raise MissingError(f"no table of tasks in {path}. {INSTALL_HINT}")
