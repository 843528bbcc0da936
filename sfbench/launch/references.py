"""`@NAME` and `@NAME/sub/path` as a value: the folder of something that the sweep prepares."""

import re
from collections.abc import Mapping
from typing import Any

from sfbench.errors import UnknownNameError, UsageError

MARK = "@"
PREFIX = "prepare-"
"""Of the ids of cells that prepare something."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def resolve(value: object, folders: Mapping[str, str]) -> Any:  # noqa: ANN401 (of any type)
    """A value with each reference replaced; in lists too.

    Args:
        value: of a key.
        folders: what stands for `@NAME`, by name.

    Raises:
        UnknownNameError: nothing of that name is prepared.
    """
    if isinstance(value, list | tuple):
        return [resolve(item, folders) for item in value]
    if not isinstance(value, str) or not value.startswith(MARK):
        return value
    name, slash, rest = value.removeprefix(MARK).partition("/")
    if name not in folders:
        raise UnknownNameError(
            "prepared folder", f"{MARK}{name}", [f"{MARK}{known}" for known in folders],
            f"{MARK}NAME stands for the folder of `prepare: {{NAME: ...}}`.",
        )  # fmt: skip
    return f"{folders[name]}{slash}{rest}"


def resolve_keys(keys: Mapping[str, Any], folders: Mapping[str, str]) -> dict[str, Any]:
    """As `resolve`, for all keys of a command. Raises UnknownNameError, naming the key."""
    found = {}
    for key, value in keys.items():
        try:
            found[key] = resolve(value, folders)
        except UnknownNameError as error:
            raise UsageError(f"{key}={value}: {error}") from error
    return found


def referred(value: object) -> set[str]:
    """The names in a value, and in its lists."""
    if isinstance(value, list | tuple):
        return set[str]().union(*map(referred, value))
    if not isinstance(value, str) or not value.startswith(MARK):
        return set()
    return {value.removeprefix(MARK).partition("/")[0]}


def check_name(kind: str, name: object) -> None:
    """Refuse a name that could be no folder's. Raises UsageError."""
    if not _NAME.fullmatch(str(name)):
        raise UsageError(f"{kind} '{name}': names have letters, digits, _ and - only")
