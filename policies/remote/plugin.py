"""Entry points of the remote policies."""

from sfbench.registry import PolicyPlugin

_HERE = "sfbench_policies.remote"

OPENPI = PolicyPlugin(
    name="remote_openpi",
    version="1",
    summary="any openpi policy server: pi0 and whatever else speaks its websocket protocol",
    factory=f"{_HERE}.factory:make_openpi",
    config=f"{_HERE}.config:RemoteOpenpiConfig",
)
VLA_EVAL = PolicyPlugin(
    name="remote_vla_eval",
    version="1",
    summary="any model server of vla-evaluation-harness",
    factory=f"{_HERE}.factory:make_vla_eval",
    config=f"{_HERE}.config:RemoteVlaEvalConfig",
)
