"""What is refused of an own checkpoint folder: another preset's, and settings that it overrules."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sfbench.errors import UsageError


def refuse_overruled(config: Any, names: Sequence[str], folder: Path) -> None:  # noqa: ANN401
    """Refuse settings that say what the folder itself says.

    Args:
        config: a policy's settings, a dataclass.
        names: of those that are for other checkpoints.
        folder: that training wrote.

    Raises:
        UsageError: some of them are not as they are by default.
    """
    default = type(config)()
    known = {item.name for item in fields(config)}
    changed = [
        f"policy.{name}={getattr(config, name)}"
        for name in names
        if name in known and getattr(config, name) != getattr(default, name)
    ]
    if changed:
        raise UsageError(
            f"checkpoint={folder} was trained here and brings these itself; leave out "
            + ", ".join(changed)
        )


def refuse_other_size(
    found: object, preset: object, known: Mapping[str, object], folder: Path
) -> None:
    """Refuse a folder under another policy's name.

    Sizes that are of no policy come from a training with changed ones, and are not refused.

    Args:
        found: what presets fix, as the folder has it.
        preset: the same of the policy that was asked for.
        known: the same of each of the family's policies, by name.
        folder: that training wrote.

    Raises:
        UsageError: naming the policies that it is of.
    """
    fitting = [f"policy={name}" for name, sizes in known.items() if sizes == found]
    if fitting and found != preset:
        names = " or ".join(fitting)
        raise UsageError(f"checkpoint={folder} holds a network of another size; type {names}")
