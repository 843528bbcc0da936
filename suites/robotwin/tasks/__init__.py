"""The tasks, one module each; a module here that defines `TASK` is a task of the suite."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from .base import TabletopTask


@cache
def all_tasks() -> Mapping[str, TabletopTask]:
    """Every task by name, sorted."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        task = getattr(module, "TASK", None)
        if isinstance(task, TabletopTask):
            if task.name != info.name:
                raise ValueError(f"module '{info.name}' defines a task named '{task.name}'")
            found[task.name] = task
    return dict(sorted(found.items()))
