"""The suites' entry points: light, so that listing suites imports no simulator."""

from sfbench.registry import SuitePlugin

SUITE_VERSION = "1"
TASK_VERSION = "1"

_HERE = "sfbench_suites.libero"


def _plugin(name: str, factory: str, summary: str, aliases: tuple[str, ...] = ()) -> SuitePlugin:
    return SuitePlugin(
        name=name,
        version=SUITE_VERSION,
        summary=summary,
        factory=f"{_HERE}.suite:{factory}",
        config=f"{_HERE}.config:LiberoConfig",
        family="libero",
        tools=f"{_HERE}.tools:LiberoTools",
        aliases=aliases,
    )


SPATIAL = _plugin(
    "libero_spatial", "make_spatial", "LIBERO, ten tasks: equal objects in different places."
)
OBJECT = _plugin("libero_object", "make_object", "LIBERO, ten tasks: each object into a basket.")
GOAL = _plugin("libero_goal", "make_goal", "LIBERO, ten tasks: one scene, different goals.")
TEN = _plugin("libero_10", "make_10", "LIBERO, ten long tasks.", ("libero_long",))
NINETY = _plugin("libero_90", "make_90", "LIBERO, ninety short tasks.")
