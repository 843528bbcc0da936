"""The errors that sfbench raises, and the exit statuses they lead to."""

import difflib
from collections.abc import Iterable


class SfbenchError(Exception):
    """Base of all errors that are reported to the user without a traceback."""

    exit_status = 2


class UsageError(SfbenchError, ValueError):
    """The request was wrong; nothing was run. Exit status 2."""


class UnknownNameError(UsageError):
    """A name that is not in the list of valid ones; says which is nearest and lists them all."""

    def __init__(self, kind: str, got: str, allowed: Iterable[str], hint: str = "") -> None:
        names = list(allowed)
        near = difflib.get_close_matches(got, names, n=1, cutoff=0.5)
        text = f"unknown {kind} '{got}'."
        if near:
            text += f" Did you mean '{near[0]}'?"
        text += f" Valid: {', '.join(names) if names else '(none)'}."
        super().__init__(f"{text} {hint}".rstrip())


class SpecMismatchError(UsageError):
    """Policy and environment disagree on a convention; lists every field that differs."""


class MissingError(UsageError):
    """Something the request needs is not there: a package, an asset, a GL backend, a file."""


class RunFolderError(UsageError):
    """A run folder cannot be used: another card, another plan, in use, unreadable rows."""


class DatasetError(UsageError):
    """A dataset cannot be read or used: a damaged file, missing statistics, an unknown subset."""


class StoppedError(SfbenchError):
    """The run stopped part-way (signal, disk); finished rows are kept. Exit status 3."""

    exit_status = 3


class PolicyError(SfbenchError):
    """The policy broke its contract or raised; the episode ends as `error`, cause `policy`."""


class SystemFaultError(SfbenchError):
    """Simulator, renderer or process failed; the episode is retried, then ends as `error`."""


class InvalidEpisodeError(SfbenchError):
    """The episode cannot be counted: solved at reset, or a corrupt camera frame."""
