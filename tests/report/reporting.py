"""A report, as the command makes one."""

from collections.abc import Sequence
from pathlib import Path

from sfbench.report.content import Content, Options, read_content
from sfbench.report.write import write_report


def report_on(folders: Sequence[Path], out: Path, options: Options) -> Content:
    """Read folders and write the report folder."""
    content = read_content(folders, options)
    write_report(content, out)
    return content
