"""Scripted solvers of LIBERO tasks, by task name.

An expert is made for the episode that its Env has just been reset to, and reads the Env's `model`
and `data`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sfbench.contracts import Expert

if TYPE_CHECKING:
    from ..env import LiberoEnv

ExpertMaker = Callable[["LiberoEnv"], Expert]

EXPERTS: Mapping[str, ExpertMaker] = {}
"""Every task that has one."""
