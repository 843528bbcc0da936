"""Scripted solvers of LIBERO tasks, by task name.

An expert is made for the episode that its Env has just been reset to, and reads the Env's `model`
and `data`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sfbench.contracts import Expert

from ..catalog import tasks
from .solver import ScriptedExpert

if TYPE_CHECKING:
    from ..env import LiberoEnv

ExpertMaker = Callable[["LiberoEnv"], Expert]

EXPERTS: Mapping[str, ExpertMaker] = {
    name: ScriptedExpert
    for suite in ("libero_spatial", "libero_object", "libero_goal", "libero_10")
    for name in tasks(suite)
}
"""Every task that has one."""
