"""Keys that a command takes at its top level and hands to the plugin that owns them."""

from sfbench.cli.compose import Composed
from sfbench.errors import UsageError
from sfbench.registry import find_policy


def forward(composed: Composed, checkpoint: str | None, preset: str | None) -> None:
    """Hand `checkpoint` to the policy and `preset` to the suite.

    Without a preset the policy's own goes to a suite that has presets.

    Raises:
        UsageError: the plugin has no such key.
    """
    suite, policy = composed.own.suite, composed.own.policy
    if preset is not None and not hasattr(suite, "preset"):
        raise UsageError(f"preset={preset}: suite '{composed.chosen['suite']}' has no presets")
    preset = preset or find_policy(composed.chosen["policy"]).suite_preset
    if preset is not None and hasattr(suite, "preset"):
        suite.preset = preset
    if checkpoint is not None:
        if not hasattr(policy, "checkpoint"):
            raise UsageError(
                f"checkpoint={checkpoint}: policy '{composed.chosen['policy']}' takes no checkpoint"
            )
        policy.checkpoint = checkpoint
