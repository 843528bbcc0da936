"""The suite's entry point: light, so that listing suites imports no simulator."""

from sfbench.registry import SuitePlugin

SUITE_VERSION = "1"

CLEAN = SuitePlugin(
    name="robotwin_clean",
    version=SUITE_VERSION,
    summary="Bimanual table-top tasks after RoboTwin 2.0, in plain MuJoCo, without randomisation.",
    factory="sfbench_suites.robotwin.suite:make_clean",
    config="sfbench_suites.robotwin.config:RobotwinConfig",
    aliases=("robotwin",),
)

RANDOMIZED = SuitePlugin(
    name="robotwin_randomized",
    version=SUITE_VERSION,
    summary="The same tasks with clutter, random textures, lighting and table height.",
    factory="sfbench_suites.robotwin.suite:make_randomized",
    config="sfbench_suites.robotwin.config:RandomizedConfig",
)
