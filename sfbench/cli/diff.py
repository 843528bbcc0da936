"""usage: sfbench diff RUN_A RUN_B

Lists every field in which two run folders differ: the protocol card's `env` part (rows are ranked
together only where it is equal), its `policy` part, and the provenance of their first shards.
Exit status 0 whether or not anything differs.
"""  # noqa: D415 (a usage text)

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sfbench.contracts import differences
from sfbench.errors import UsageError
from sfbench.rollout.run_folder import read_card, read_provenance


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench diff`."""
    if len(arguments) != 2:
        raise UsageError(f"diff takes two run folders, got {len(arguments)} arguments")
    left, right = (_parts(Path(text)) for text in arguments)
    for part in ("env", "policy", "provenance"):
        found = differences(left[part], right[part])
        print(f"{part}: {'equal' if not found else f'{len(found)} differ'}")
        for line in found:
            print(f"  {line}")
    return 0


def _parts(run_folder: Path) -> dict[str, Mapping[str, Any]]:
    card = read_card(run_folder)
    shards = read_provenance(run_folder)
    first = shards[min(shards)] if shards else {}
    return {"env": card.env, "policy": card.policy, "provenance": first}
