"""usage: sfbench assets FAMILY [--from FOLDER_OR_ARCHIVE]

Gets the assets of a family of suites (such as libero) and checks every file: from the hub at a
pinned revision, or from a folder or archive that you have.
"""  # noqa: D415 (a usage text)

from collections.abc import Sequence

from sfbench.cli.options import take
from sfbench.errors import UsageError
from sfbench.registry import find_family
from sfbench.suite_tools import tools_of


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench assets`."""
    rest = list(arguments)
    source = take(rest, "--from")
    if len(rest) != 1:
        raise UsageError("assets of what? sfbench assets FAMILY [--from FOLDER_OR_ARCHIVE]")
    tools = tools_of(find_family(rest[0]))
    assert tools is not None
    print(tools.install_assets(source))
    return 0
