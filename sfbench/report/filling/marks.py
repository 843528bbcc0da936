"""Marked blocks of a Markdown page.

A block begins with `<!-- sfbench: WORDS -->` and ends with `<!-- end -->`. Marks within fenced code
are text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sfbench.errors import UsageError

_MARK = re.compile(r"<!--\s*(?:sfbench:(?P<words>.*?)|(?P<end>end)\s*)-->", re.DOTALL)
_FENCED = re.compile(r"^ *(```+|~~~+).*?(?:^ *\1|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between a mark and its end.

    Attributes:
        words: of the mark, such as `leaderboard suite=toy`.
        line: of the mark, from 1.
        start: where the body begins in the page's text.
        end: where it ends.
        body: the text between.
    """

    words: str
    line: int
    start: int
    end: int
    body: str


def find_blocks(text: str) -> list[Block]:
    """All blocks, in order.

    Raises:
        UsageError: naming the line of a block without an end, or of an end without a block.
    """
    fences = [match.span() for match in _FENCED.finditer(text)]
    found: list[Block] = []
    open_mark: re.Match[str] | None = None
    for mark in _MARK.finditer(text):
        if any(start <= mark.start() < end for start, end in fences):
            continue
        line = text.count("\n", 0, mark.start()) + 1
        if mark["end"] is None:
            if open_mark is not None:
                break
            open_mark = mark
        elif open_mark is None:
            raise UsageError(f"line {line}: an <!-- end --> without a block before it")
        else:
            start, end = open_mark.end(), mark.start()
            words = " ".join(open_mark["words"].split())
            begun = text.count("\n", 0, open_mark.start()) + 1
            found.append(Block(words, begun, start, end, text[start:end]))
            open_mark = None
    if open_mark is not None:
        line = text.count("\n", 0, open_mark.start()) + 1
        raise UsageError(
            f"line {line}: {open_mark.group()} has no end; close it with <!-- end --> before the "
            "next block"
        )
    return found


def replaced(text: str, blocks: Iterable[Block], bodies: Iterable[str]) -> str:
    """The page with other bodies; every other letter stays."""
    parts, at = [], 0
    for block, body in zip(blocks, bodies, strict=True):
        parts += [text[at : block.start], body]
        at = block.end
    return "".join([*parts, text[at:]])
