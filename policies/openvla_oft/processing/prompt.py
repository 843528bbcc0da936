"""The text that stands around an instruction."""

from sfbench.errors import UsageError

OPENVLA_PROMPT = "In: What action should the robot take to {instruction}?\nOut:"
"""Source: `get_vla_action` in moojink/openvla-oft at 213c5ff."""

BARE_PROMPT = "{instruction}"
"""For small models, which have no use for the words around."""


def check_template(template: str) -> str:
    """The template itself. Raises UsageError unless it has exactly one `{instruction}`."""
    if template.count("{instruction}") != 1:
        raise UsageError(f"prompt: got {template!r}; it needs one '{{instruction}}'")
    return template


def fill(template: str, instruction: str) -> str:
    """The prompt of an instruction, which is put in lower case."""
    return template.replace("{instruction}", instruction.lower())
