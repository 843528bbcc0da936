"""`sfbench bench FAMILY`: a suite family's own benchmark, such as `sfbench bench libero`."""

import sys
from collections.abc import Sequence

from sfbench.cli.compose import compose_command
from sfbench.errors import UnknownNameError
from sfbench.registry import find_family
from sfbench.suite_tools import tools_of


def run(kinds: Sequence[str], arguments: Sequence[str]) -> int:
    """Measure the family named first.

    Args:
        kinds: the other benchmarks there are, for the error.
        arguments: the family's name and `key=value` for its `bench_config`.

    Raises:
        UnknownNameError: neither a kind nor a family.
    """
    name = arguments[0] if arguments else ""
    try:
        tools = tools_of(find_family(name))
    except UnknownNameError as error:
        raise UnknownNameError("benchmark", name, kinds, f"Families: {error}") from error
    assert tools is not None
    composed = compose_command(tools.bench_config, (), arguments[1:])
    print(tools.bench(composed.own, lambda text: print(text, file=sys.stderr, flush=True)))
    return 0
