"""Which wrappers go around a policy, as data."""

from dataclasses import dataclass

from sfbench.contracts import Policy
from sfbench.errors import UsageError
from sfbench.rollout.wrappers import OpenLoop, TemporalEnsemble, TimeLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyWrapping:
    """The wrappers around a policy; None leaves one out.

    Attributes:
        open_loop_steps: actions executed of each chunk; None: as the policy's spec says.
        temporal_ensemble: decay of the weights.
        policy_timeout_s: limit for one call.
    """

    open_loop_steps: int | None = None
    temporal_ensemble: float | None = None
    policy_timeout_s: float | None = None

    def wrap(self, policy: Policy) -> Policy:
        """Apply them. Raises UsageError where they do not fit the policy."""
        if self.temporal_ensemble is not None:
            if self.open_loop_steps not in (None, 1):
                raise UsageError(
                    f"open_loop_steps={self.open_loop_steps} does not go with temporal_ensemble, "
                    "which asks the policy at every step; leave one of them out"
                )
            policy = TemporalEnsemble(policy, self.temporal_ensemble)
        else:
            steps = self.open_loop_steps
            policy = OpenLoop(policy, policy.spec.open_loop_steps if steps is None else steps)
        if self.policy_timeout_s is not None:
            policy = TimeLimit(policy, self.policy_timeout_s)
        return policy
