"""The few options that are no `key=value`."""

from sfbench.errors import UsageError


def take(arguments: list[str], option: str) -> str | None:
    """Remove an option and its value; None where it is not there.

    Raises:
        UsageError: the option stands last, without a value.
    """
    if option not in arguments:
        return None
    at = arguments.index(option)
    if at + 1 == len(arguments):
        raise UsageError(f"{option} needs a value")
    value = arguments[at + 1]
    del arguments[at : at + 2]
    return value
