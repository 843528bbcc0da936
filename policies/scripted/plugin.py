"""Entry points of the scripted policies."""

from sfbench.registry import PolicyPlugin

_HERE = "sfbench_policies.scripted"

EXPERT = PolicyPlugin(
    name="expert",
    version="1",
    summary="the task's own scripted solver; reads the simulator's true state",
    factory=f"{_HERE}.expert:make",
    config=f"{_HERE}.expert:ExpertConfig",
)
NOOP = PolicyPlugin(
    name="noop",
    version="1",
    summary="holds still; must solve nothing",
    factory=f"{_HERE}.simple:make_noop",
    config=f"{_HERE}.simple:NoopConfig",
)
RANDOM = PolicyPlugin(
    name="random",
    version="1",
    summary="uniform random actions; must solve nothing",
    factory=f"{_HERE}.simple:make_random",
    config=f"{_HERE}.simple:RandomConfig",
)
REPLAY = PolicyPlugin(
    name="replay",
    version="1",
    summary="re-executes recorded actions, one file per episode",
    factory=f"{_HERE}.replay:make",
    config=f"{_HERE}.replay:ReplayConfig",
)
