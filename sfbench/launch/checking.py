"""Checks before anything is submitted: every key, every kind of value, every plan.

A thousand cells must be checked in seconds, so a whole command line is composed only once for each
suite and policy with their settings; cells that differ only in what is planned share that.
"""

import dataclasses
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sfbench.cli.compose import compose_command
from sfbench.cli.eval import EvalConfig, make_request
from sfbench.cli.probe import make_request as make_probe
from sfbench.cli.serve import ServeConfig
from sfbench.contracts import Split, Suite, stable_hash
from sfbench.errors import MissingError, UnknownNameError, UsageError
from sfbench.launch.commands import (
    eval_arguments,
    out_arguments,
    own_arguments,
    server_keys,
    train_arguments,
)
from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Cell, Graph, Stage
from sfbench.launch.preparing import preparers
from sfbench.rollout.plan import Plan, PlanRequest, make_plan
from sfbench.rollout.request import RunRequest

_PLAN_KEYS = frozenset(item.name for item in dataclasses.fields(PlanRequest)) & frozenset(
    item.name for item in dataclasses.fields(EvalConfig)
)


class CellChecker:
    """Checks the cells of a graph and plans their episodes."""

    def __init__(self, graph: Graph, folder: SweepFolder) -> None:
        self._graph = graph
        self._folder = folder
        self._requests: dict[str, RunRequest] = {}
        self._suites: dict[str, Suite] = {}
        self._plans: dict[str, Plan] = {}
        self._checked: set[str] = set()
        self._typed: dict[tuple[str, str], Any] = {}
        self._schema = OmegaConf.structured(EvalConfig)

    def plans(self) -> dict[str, Plan]:
        """The whole plan of every evaluation, by cell.

        Raises:
            UsageError: naming the cell, and what is wrong with it.
        """
        found: dict[str, Plan] = {}
        for cell in self._graph.cells.values():
            try:
                if cell.stage is Stage.EVAL:
                    found[cell.id] = self._plan(cell)
                elif cell.stage is Stage.SERVE:
                    _check_server(cell, own_arguments(self._folder, self._graph, cell))
                elif cell.stage is Stage.PREPARE:
                    arguments = out_arguments(self._folder, self._graph, cell)
                    preparers()[cell.command].check(arguments)
                elif self._is_new(cell):
                    self._check_alike(cell)
            except UsageError as error:
                raise UsageError(f"cell {cell.id}: {error}") from error
        return found

    def _plan(self, cell: Cell) -> Plan:
        fixed = {key: value for key, value in cell.keys.items() if key not in _PLAN_KEYS}
        # Any checkpoint and arm will do: the first may not exist before its training ran.
        group = repr({**fixed, "checkpoint": "checkpoint" in fixed, "arm": "arm" in fixed})
        if group not in self._requests:
            self._requests[group] = self._compose(cell)
        recipe = self._requests[group].suite
        suite_key = repr(recipe)
        planned = {key: self._value(key, cell.keys[key]) for key in _PLAN_KEYS & cell.keys.keys()}
        plan_key = repr((suite_key, sorted(planned.items())))
        if plan_key not in self._plans:
            if suite_key not in self._suites:
                self._suites[suite_key] = recipe.build()
            self._plans[plan_key] = make_plan(self._suites[suite_key], PlanRequest(**planned))
        return self._plans[plan_key]

    def _compose(self, cell: Cell) -> RunRequest:
        reach: dict[str, Any] = {}
        if cell.needs is not None and self._graph.cells[cell.needs].stage is Stage.SERVE:
            reach = server_keys({"host": "127.0.0.1", "port": 1})
        return make_request(eval_arguments(self._folder, self._graph, cell.tasks[0], reach))

    def _is_new(self, cell: Cell) -> bool:
        """Whether no training or probe that differs only in a seed or checkpoint was checked."""
        seed = cell.keys.get("seed")
        kind = stable_hash([cell.stage, {**cell.keys, "seed": None if type(seed) is int else seed}])
        new = kind not in self._checked
        self._checked.add(kind)
        return new

    def _check_alike(self, cell: Cell) -> None:
        if cell.stage is Stage.PROBE:
            make_probe(out_arguments(self._folder, self._graph, cell))
        elif cell.stage is Stage.TRAIN:
            self._check_training(cell)

    def _check_training(self, cell: Cell) -> None:
        """Ask whoever trains; a module with a train entry may have `check_arguments` beside it."""
        entry = self._graph.train_entry
        try:
            resolve_name(entry)
            check = getattr(import_module(entry.partition(":")[0]), "check_arguments", None)
        except (ImportError, AttributeError, ValueError) as error:
            raise MissingError(f"train_entry={entry}: cannot import it: {error}") from error
        if check is not None:
            check(train_arguments(self._folder, self._graph, cell))

    def _value(self, key: str, value: object) -> Any:  # noqa: ANN401 (of any type)
        """A value of a plan's key in the type that `sfbench eval` gives it. Raises UsageError."""
        if key == "split":
            if value not in list(Split):
                raise UnknownNameError("value of split", str(value), list(Split))
            return Split(str(value))
        if key == "tasks" and isinstance(value, str):
            value = [value]
        known = (key, repr(value))
        if known not in self._typed:
            try:
                self._schema[key] = value
            except OmegaConfBaseException as error:
                raise UsageError(f"{key}={value}: {' '.join(str(error).split())}") from error
            typed = self._schema[key]
            self._typed[known] = tuple(typed) if OmegaConf.is_list(typed) else typed
        return self._typed[known]


def _check_server(cell: Cell, arguments: list[str]) -> None:
    for key in ("host", "port", "token", "token_env"):
        if key in cell.keys:
            raise UsageError(f"server.{key} is set by the sweep; leave it out")
    compose_command(ServeConfig, ("suite", "policy"), arguments)
