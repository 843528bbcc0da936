"""What a mark asks for: options such as `arm=sf,baseline`, and the lines that they leave."""

import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sfbench.errors import UnknownNameError, UsageError
from sfbench.report.content import Content
from sfbench.report.entries import Entry
from sfbench.report.ranking import corrected, rank_of
from sfbench.report.tables import Section
from sfbench.report.training import CurveSet

ENTRY_FIELDS: Mapping[str, Callable[[Entry], str]] = {
    "suite": lambda entry: entry.key.suite,
    "card": lambda entry: entry.key.card,
    "split": lambda entry: entry.key.split,
    "policy": lambda entry: entry.key.policy,
    "arm": lambda entry: entry.key.arm,
    "demos": lambda entry: str(entry.key.demos),
    "step": lambda entry: str(entry.key.train_step),
}
"""What lines of a report are told apart by; a card may be given by its first digits."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One mark, and what it is answered from.

    Attributes:
        content: the rows' tables.
        folder: of the page; files that it names lie relative to it.
        options: `key=value` of the mark.
    """

    content: Content
    folder: Path
    options: Mapping[str, str]

    def one(self, name: str, default: str | None = None) -> str:
        """The value of an option. Raises UsageError where it is missing."""
        value = self.options.get(name, default)
        if value is None:
            raise UsageError(f"{name}= is missing")
        return value

    def takes(self, entry: Entry, but: Collection[str] = ()) -> bool:
        """Whether a line is as the options want it; those named in `but` do not count."""
        return all(
            _matches(name, ENTRY_FIELDS[name](entry), self.options[name])
            for name in ENTRY_FIELDS
            if name in self.options and name not in but
        )

    def sections(self) -> list[Section]:
        """Leaderboards of the wanted lines, ranked and corrected among themselves."""
        found = []
        for section in self.content.document.sections:
            entries = [entry for entry in section.entries if self.takes(entry)]
            kept = {id(entry) for entry in entries}
            wanted = [p for p in section.pairs if {id(p.first), id(p.second)} <= kept]
            if entries:
                pairs = corrected(wanted)
                rank = rank_of(entries, pairs)
                found.append(replace(section, entries=entries, pairs=pairs, rank=rank))
        return found

    def curve_sets(self, table: str) -> list[CurveSet]:
        """Curves with the wanted points."""
        sets = [
            replace(group, entries=[entry for entry in group.entries if self.takes(entry)])
            for group in self.content.curves[table]
        ]
        return [group for group in sets if group.entries]

    def entry(self, arm: str | None = None) -> Entry:
        """The one line that is meant, with all demonstrations and at the last step if not said.

        Args:
            arm: in place of the option.

        Raises:
            UsageError: none, or several.
        """
        asked = self if arm is None else replace(self, options={**self.options, "arm": arm})
        found = [entry for entry in self.content.measured if asked.takes(entry)]
        if "demos" not in self.options:
            found = _largest(found, lambda entry: entry.key.demos)
        if "step" not in self.options:
            found = _largest(found, lambda entry: entry.key.train_step)
        if len(found) == 1:
            return found[0]
        names = [f"{e.label} on {e.key.suite} (card {e.key.card})" for e in found]
        listed = f": {'; '.join(names)}. Say which by {', '.join(ENTRY_FIELDS)}" if names else ""
        raise UsageError(f"{len(names) or 'no'} lines of the report are meant{listed}")


def split_words(words: str) -> tuple[list[str], dict[str, str]]:
    """Names and options of a mark.

    Raises:
        UsageError: an option twice, or a quote that is not closed.
    """
    try:
        parts = shlex.split(words)
    except ValueError as error:
        raise UsageError(f"'{words}': {error}") from error
    names, options = [], {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            names.append(part)
        elif key in options:
            raise UsageError(f"{key}= is given twice")
        else:
            options[key] = value
    return names, options


def check_options(content: Content, options: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Refuse options that a block has not, and names that are nowhere in the report.

    Raises:
        UnknownNameError: with the nearest valid one.
    """
    for name, value in options.items():
        if name not in allowed:
            raise UnknownNameError("option", name, allowed)
        # Without a suite it is no line of the report that is meant: a probe's split is another.
        if name in ENTRY_FIELDS and "suite" in allowed:
            _check_known(name, value, {ENTRY_FIELDS[name](e) for e in content.measured})
        elif name == "over":
            _check_known("arm", value, {entry.key.arm for entry in content.measured})
        elif name == "task":
            _check_known(name, value, {task for e in content.measured for task in e.tasks})


def _check_known(name: str, wanted: str, known: Iterable[str]) -> None:
    names = sorted(known)
    for part in wanted.split(","):
        if not any(_matches(name, value, part) for value in names):
            raise UnknownNameError(name, part, names)


def _matches(name: str, value: str, wanted: str) -> bool:
    if name == "card":
        return any(part and value.startswith(part) for part in wanted.split(","))
    # Curves of one arm that was trained in two ways are called `arm (recipe 1234)`.
    return value in wanted.split(",") or value == wanted.partition(" (recipe ")[0]


def _largest(entries: Sequence[Entry], of: Callable[[Entry], int]) -> list[Entry]:
    most = max(map(of, entries), default=0)
    return [entry for entry in entries if of(entry) == most]
