"""Entry point."""

from sfbench.registry import PolicyPlugin

OWN = PolicyPlugin(
    name="own",
    version="1",
    summary="your own policy: policy.target=my_policy.py:MyPolicy",
    factory="sfbench_policies.own.factory:make",
    config="sfbench_policies.own.factory:OwnConfig",
)
