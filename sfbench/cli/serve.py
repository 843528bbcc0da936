"""usage: sfbench serve policy=NAME suite=NAME protocol=openpi|vla_eval [key=value ...]

Serves a policy to clients of openpi, or of vla-evaluation-harness, over a websocket; many at a
time, in batches, each with a state of its own. Ctrl-C ends it, a second one at once.

what is served
  policy=NAME           `sfbench list policies`; its own keys as policy.KEY=...
  suite=NAME            whose cameras, states and actions it is built for; keys as suite.KEY=...
  checkpoint=DIR|ID     weights, for policies that take them; shipped:NAME for installed ones
  preset=NAME           the suite's protocol preset, where it has some
  protocol=openpi       openpi: a whole chunk per answer, the client cuts it
           vla_eval     vla-evaluation-harness: one action per answer, the chunk stays here
  mapping=native        how clients name and lay out images, state and instruction: a mapping's
                        name, a .yaml file, or `native`, the suite's own names
  open_loop_steps=N     actions used of each chunk; default: openpi all, vla_eval the policy's own
  temporal_ensemble=X   vla_eval only: average overlapping chunks (ACT), weights exp(-X * age)
  policy_timeout_s=X    a slower call is an error
  seed=0                of policies that draw random numbers
where
  host=127.0.0.1 port=8000    port=0: any free one; it is printed
  token_env=NAME        environment variable with a secret that clients must show; needed for
                        any host but this machine (token=TEXT shows in process lists)
limits
  max_batch=8 batch_wait_s=0.005    as in `sfbench eval`
  max_sessions=64 max_message_mb=16

GET /healthz answers OK once the policy is loaded. Exit status: 0 after Ctrl-C or SIGTERM; 2 refused
(the port is in use, policy and suite do not fit, ...).
"""  # noqa: D415 (a usage text)

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from sfbench.cli.compose import Composed, compose_command
from sfbench.cli.forward import forward
from sfbench.contracts import Policy, PolicyContext, RunsIn, Suite, check_compatible
from sfbench.errors import MissingError, UsageError
from sfbench.registry import PolicyRecipe, SuiteRecipe
from sfbench.rollout.wrapping import PolicyWrapping
from sfbench.serving.batching import Batcher, BatchLimits
from sfbench.serving.binding import Protocol, bind
from sfbench.serving.episodes import EpisodeTeller
from sfbench.serving.mapping_file import NATIVE
from sfbench.serving.server import Address, PolicyServer, listen
from sfbench.serving.service import PolicyService, ServiceLimits
from sfbench.serving.wire import Wire

_MEBIBYTE = 2**20


@dataclass
class ServeConfig:
    """The keys of `sfbench serve`; the usage text above describes them."""

    suite: Any = MISSING
    policy: Any = MISSING
    checkpoint: str | None = None
    preset: str | None = None
    protocol: Protocol | None = None
    mapping: str = NATIVE
    open_loop_steps: int | None = None
    temporal_ensemble: float | None = None
    policy_timeout_s: float | None = None
    seed: int = 0
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    token_env: str | None = None
    max_batch: int = 8
    batch_wait_s: float = 0.005
    max_sessions: int = 64
    max_message_mb: int = 16


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench serve`."""
    composed = compose_command(ServeConfig, ("suite", "policy"), arguments)
    config: ServeConfig = composed.own
    forward(composed, config.checkpoint, config.preset)
    protocol = _checked_protocol(config)
    address = Address(host=config.host, port=config.port, token=_token(config))
    taken = listen(address)
    try:
        suite = SuiteRecipe(composed.chosen["suite"], config.suite).build()
        wire = bind(config.mapping, protocol, suite.env_spec)
        policy = _policy(config, composed, suite)
        _check_reads(policy, wire)
        server = PolicyServer(_service(config, policy, wire, suite), protocol, address, taken)
        ready = (
            f"serving {policy.spec.name} for suite {suite.name}, protocol {protocol}, "
            f"mapping {wire.name}, at {server.url} (Ctrl-C ends it)"
        )
        asyncio.run(server.run(lambda: print(ready, flush=True)))
    finally:
        taken.close()
    return 0


def _checked_protocol(config: ServeConfig) -> Protocol:
    """The protocol. Raises UsageError for it, and for every number outside its range."""
    protocol = config.protocol
    if protocol is None:
        raise UsageError(f"protocol= is missing. Valid: {', '.join(Protocol)}.")
    for key in ("max_batch", "max_sessions", "max_message_mb"):
        if getattr(config, key) < 1:
            raise UsageError(f"{key}={getattr(config, key)}: allowed 1 or more")
    if config.batch_wait_s < 0:
        raise UsageError(f"batch_wait_s={config.batch_wait_s}: allowed 0 or more")
    if config.seed < 0:
        raise UsageError(f"seed={config.seed}: allowed 0 or more")
    if config.temporal_ensemble is not None and protocol is Protocol.OPENPI:
        raise UsageError(
            "temporal_ensemble needs protocol=vla_eval: an openpi client asks once for each chunk, "
            "so there is nothing that overlaps"
        )
    return protocol


def _token(config: ServeConfig) -> str | None:
    if config.token_env is None:
        return config.token
    if config.token is not None:
        raise UsageError("token= and token_env= are two ways to say the same; leave one out")
    if not os.environ.get(config.token_env):
        raise MissingError(f"token_env={config.token_env}: that environment variable is not set")
    return os.environ[config.token_env]


def _policy(config: ServeConfig, composed: Composed, suite: Suite) -> Policy:
    """The policy, wrapped. Raises UsageError if it cannot be served or does not fit the suite."""
    name = composed.chosen["policy"]
    bare = PolicyRecipe(name, config.policy).build(PolicyContext(env_spec=suite.env_spec))
    if bare.spec.runs_in is not RunsIn.MAIN:
        raise UsageError(
            f"policy '{name}' runs beside the simulator and reads its true state, which no client "
            "sends; serve one that reads observations"
        )
    steps = config.open_loop_steps
    if steps is None and config.protocol is Protocol.OPENPI and config.temporal_ensemble is None:
        steps = bare.spec.chunk_steps
    policy = PolicyWrapping(
        open_loop_steps=steps,
        temporal_ensemble=config.temporal_ensemble,
        policy_timeout_s=config.policy_timeout_s,
    ).wrap(bare)
    check_compatible(suite.env_spec, policy.spec)
    return policy


def _check_reads(policy: Policy, wire: Wire) -> None:
    """Refuse a mapping that does not carry all that the policy reads."""
    sent = {image.suite.name for image in wire.images}
    lacking = [f"camera '{need.name}'" for need in policy.spec.cameras if need.name not in sent]
    if policy.spec.state is not None and wire.state is None:
        lacking.append("the state")
    if lacking:
        raise UsageError(
            f"mapping '{wire.name}' does not carry what policy '{policy.spec.name}' reads: "
            + ", ".join(lacking)
        )


def _service(config: ServeConfig, policy: Policy, wire: Wire, suite: Suite) -> PolicyService:
    limits = BatchLimits(max_batch=config.max_batch, batch_wait_s=config.batch_wait_s)
    return PolicyService(
        policy,
        wire,
        Batcher(policy, suite.env_spec.action.size, limits),
        EpisodeTeller(suite, config.seed),
        ServiceLimits(
            max_message_bytes=config.max_message_mb * _MEBIBYTE, max_sessions=config.max_sessions
        ),
    )
