"""Keys that a command takes at its top level and hands to the plugin that owns them."""

from sfbench.cli.compose import Composed
from sfbench.errors import UsageError
from sfbench.registry import find_policy


def forward(composed: Composed, checkpoint: str | None, preset: str | None) -> None:
    """Hand `checkpoint` to the policy and `preset` to the suite.

    Where no preset is typed, the policy's own goes to a suite that has presets.

    Raises:
        UsageError: the plugin has no such key, or its own key was typed with another value.
    """
    suite, policy, chosen = composed.own.suite, composed.own.policy, composed.chosen
    if preset is not None and not hasattr(suite, "preset"):
        raise UsageError(f"preset={preset}: suite '{chosen['suite']}' has no presets")
    if checkpoint is not None and not hasattr(policy, "checkpoint"):
        raise UsageError(
            f"checkpoint={checkpoint}: policy '{chosen['policy']}' takes no checkpoint"
        )
    use_preset_of_policy(composed)
    _hand_over(composed, "suite.preset", preset)
    _hand_over(composed, "policy.checkpoint", checkpoint)


def use_preset_of_policy(composed: Composed) -> None:
    """Give a suite that has presets the policy's own, if none was typed for it."""
    suite, own = composed.own.suite, find_policy(composed.chosen["policy"]).suite_preset
    if own is not None and hasattr(suite, "preset") and "suite.preset" not in composed.typed:
        suite.preset = own


def _hand_over(composed: Composed, key: str, value: str | None) -> None:
    """Set a plugin's key. Raises UsageError where it was typed with another value."""
    if value is None:
        return
    group, _, name = key.partition(".")
    config = getattr(composed.own, group)
    typed = getattr(config, name)
    if key in composed.typed and typed != value:
        raise UsageError(
            f"{name}={value} and {key}={typed} are two ways to say the same; leave one out"
        )
    setattr(config, name, value)
