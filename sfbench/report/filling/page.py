"""Filling a page's blocks, and checking that they are as the rows say."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfbench.errors import MissingError, UnknownNameError, UsageError
from sfbench.report.content import Content
from sfbench.report.filling.marks import Block, find_blocks, replaced
from sfbench.report.filling.selection import Asked, check_options, split_words
from sfbench.report.filling.tables import TABLES, table_body
from sfbench.report.filling.values import VALUES
from sfbench.rollout.run_folder import write_atomically

VALUE = "value"


@dataclass(frozen=True, slots=True)
class Outdated:
    """A block that is not as the rows say.

    Attributes:
        block: as it stands.
        fresh: what it should hold.
    """

    block: Block
    fresh: str


def fill_page(path: Path, content: Content) -> int:
    """Rewrite every block of a page, and nothing else.

    Returns:
        How many blocks it has.

    Raises:
        MissingError: no such page.
        UsageError: naming page and line: a block without an end, an unknown name, a table or number
            that the rows do not give. The page is then left as it was.
    """
    text, blocks, bodies = _answered(path, content)
    fresh = replaced(text, blocks, bodies)
    if fresh != text:
        write_atomically(path, fresh)
    return len(blocks)


def first_outdated(path: Path, content: Content) -> Outdated | None:
    """The first block that `fill_page` would change; raises as it does."""
    _, blocks, bodies = _answered(path, content)
    for block, fresh in zip(blocks, bodies, strict=True):
        if block.body != fresh:
            return Outdated(block, fresh)
    return None


def _answered(path: Path, content: Content) -> tuple[str, Sequence[Block], Sequence[str]]:
    """The page's text, its blocks, and what these should hold."""
    if not path.is_file():
        raise MissingError(f"there is no page {path}")
    # Bytes, since reading as text would change the ends of lines.
    text = path.read_bytes().decode()
    try:
        blocks = find_blocks(text)
    except UsageError as error:
        raise UsageError(f"{path}, {error}") from error
    if not blocks:
        raise UsageError(f"{path} has no block to fill, such as <!-- sfbench: leaderboard -->")
    bodies = []
    for block in blocks:
        try:
            bodies.append(_body(block.words, content, path.parent))
        except UsageError as error:
            raise UsageError(f"{path}, line {block.line}, '{block.words}': {error}") from error
    return text, blocks, bodies


def _body(words: str, content: Content, folder: Path) -> str:
    names, options = split_words(words)
    asked = Asked(content, folder, options)
    if names[:1] == [VALUE]:
        value = VALUES[_only(names[1:], VALUE, VALUES)]
        check_options(content, options, value.options)
        return value.make(asked)
    table = TABLES[_only(names, "table", [*TABLES, VALUE])]
    check_options(content, options, table.options)
    return table_body(table, asked)


def _only(names: Sequence[str], kind: str, allowed: Collection[str]) -> str:
    """The one name of a mark; options have an `=`."""
    got = " ".join(names)
    if got not in allowed:
        raise UnknownNameError(kind, got, allowed)
    return got
