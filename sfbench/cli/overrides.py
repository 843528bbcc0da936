"""`key=value` arguments, checked before Hydra sees them, so that errors name what is valid."""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sfbench.errors import UnknownNameError, UsageError


@dataclass(frozen=True, slots=True)
class Override:
    """One argument: a dotted key and the text after the `=`."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


def parse(arguments: Sequence[str]) -> list[Override]:
    """Split arguments.

    Raises:
        UsageError: no `=`, an option, an added (`+key`) or deleted (`~key`) key, or a key twice.
    """
    found: list[Override] = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if argument.startswith("-"):
            raise UsageError(f"'{argument}': options are written key=value, without dashes")
        if key.startswith(("+", "~")):
            raise UsageError(f"'{argument}': keys cannot be added (+) or removed (~), only set")
        if not equals or not key:
            raise UsageError(f"'{argument}': got no key=value, such as episodes=5")
        if any(override.key == key for override in found):
            raise UsageError(f"'{key}' is given twice")
        found.append(Override(key, value))
    return found


def check_keys(overrides: Sequence[Override], schemas: Mapping[str, type[Any]]) -> list[Override]:
    """Check every key against dataclasses, and turn enum values into Hydra's form (member names).

    Args:
        overrides: what was typed.
        schemas: dataclass by prefix: '' for the command's own keys, 'suite' and 'policy' for the
            chosen plugins'.

    Raises:
        UnknownNameError: with the nearest valid key or value.
    """
    types: dict[str, Any] = {}
    for prefix, schema in schemas.items():
        types |= _leaf_types(schema, prefix)
    return [_checked(override, types) for override in overrides]


def _leaf_types(schema: type[Any], prefix: str) -> dict[str, Any]:
    types: dict[str, Any] = {}
    hints = typing.get_type_hints(schema)
    for item in dataclasses.fields(schema):
        key, kind = f"{prefix}.{item.name}" if prefix else item.name, hints[item.name]
        if dataclasses.is_dataclass(kind):
            types |= _leaf_types(typing.cast("type[Any]", kind), key)
        else:
            types[key] = kind
    return types


def _checked(override: Override, types: Mapping[str, Any]) -> Override:
    if override.key not in types:
        raise UnknownNameError("key", override.key, types)
    wanted = types[override.key]
    choices = [kind for kind in (wanted, *typing.get_args(wanted)) if _is_enum(kind)]
    if choices and override.value not in ("null", ""):
        members = {str(member.value): member.name for member in choices[0]}
        if override.value not in members:
            raise UnknownNameError(f"value of {override.key}", override.value, members)
        return Override(override.key, members[override.value])
    if wanted == list[str] or list[str] in typing.get_args(wanted):
        return Override(override.key, _as_list(override.value))
    return override


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _as_list(text: str) -> str:
    """`a,b` or `a` for `[a,b]`: one task needs no brackets, which shells may expand."""
    return text if text == "null" or text.startswith("[") else f"[{text}]"
