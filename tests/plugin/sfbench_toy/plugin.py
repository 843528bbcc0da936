"""Entry points."""

from sfbench.registry import PolicyPlugin, SuitePlugin

TOY = SuitePlugin(
    name="toy",
    version="1",
    summary="a sliding puck that has to reach a mark",
    factory="sfbench_toy.suite:ToySuite",
    config="sfbench_toy.suite:ToyConfig",
    aliases=("puck",),
)
CHASE = PolicyPlugin(
    name="toy_chase",
    version="1",
    summary="pushes the puck to the mark, with some noise of its own",
    factory="sfbench_toy.policies:make_chase",
    config="sfbench_toy.policies:ChaseConfig",
)
FAULTY = PolicyPlugin(
    name="toy_faulty",
    version="1",
    summary="breaks its contract on request",
    factory="sfbench_toy.policies:make_faulty",
    config="sfbench_toy.policies:FaultyConfig",
)
