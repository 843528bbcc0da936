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

_WITHOUT = frozenset({"KITCHEN_SCENE6_put_the_yellow_and_white_mug_in_the_microwave_and_close_it"})
"""Tasks that the expert does not solve."""

EXPERTS: Mapping[str, ExpertMaker] = {
    name: ScriptedExpert
    for suite in ("libero_spatial", "libero_object", "libero_goal", "libero_10")
    for name in tasks(suite)
    if name not in _WITHOUT
}
"""Every task that has one."""
