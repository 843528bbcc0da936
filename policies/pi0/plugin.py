"""Entry points of the π0 family."""

from sfbench.registry import PolicyPlugin

_HERE = "sfbench_policies.pi0"

PI0 = PolicyPlugin(
    name="pi0",
    version="1",
    summary="π0 (3B) in LeRobot's format: flow matching, chunks of 50 or 10 actions",
    factory=f"{_HERE}.factory:make_pi0",
    trainable=f"{_HERE}.trainable:make_full",
    fetch=f"{_HERE}.fetching:fetch",
    config=f"{_HERE}.config:Pi0Config",
    config_package=f"{_HERE}.configs",
    suite_preset="openpi",
)
PI0_MINI = PolicyPlugin(
    name="pi0_mini",
    version="1",
    summary="π0 at 7 million parameters: trained on a CPU, for any suite",
    factory=f"{_HERE}.factory:make_pi0_mini",
    trainable=f"{_HERE}.trainable:make_mini",
    reader=f"{_HERE}.reader:make_mini_reader",
    config=f"{_HERE}.config:SmallConfig",
)
PI0_MICRO = PolicyPlugin(
    name="pi0_micro",
    version="1",
    summary="π0 at a third of a million parameters: for tests",
    factory=f"{_HERE}.factory:make_pi0_micro",
    trainable=f"{_HERE}.trainable:make_micro",
    reader=f"{_HERE}.reader:make_micro_reader",
    config=f"{_HERE}.config:SmallConfig",
)
