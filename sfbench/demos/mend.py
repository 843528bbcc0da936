"""usage: python -m sfbench.demos.mend DATASET

Computes the statistics of states and actions of a LeRobot folder that lacks them, and writes them
to its meta/stats.json; what else stands there is kept.
"""  # noqa: D415 (a usage text)

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from sfbench.demos.dataset import open_dataset
from sfbench.demos.lerobot import layout
from sfbench.demos.lerobot.episodes import info_of, read_json
from sfbench.errors import SfbenchError
from sfbench.rollout.run_folder import write_atomically


def write_statistics(folder: Path) -> None:
    """Compute and write them.

    Raises:
        DatasetError: no LeRobot folder, or its numbers cannot be read.
    """
    state, action = layout.vector_features(info_of(folder)["features"])
    dataset = open_dataset(folder)
    found = dataset.statistics_of(range(len(dataset.episodes)))
    path = folder / layout.STATISTICS
    stored = read_json(path) if path.exists() else {}
    count = {"count": [found.frames]}
    stored[state] = {**stored.get(state, {}), **found.state.to_json(), **count}
    stored[action] = {**stored.get(action, {}), **found.action.to_json(), **count}
    write_atomically(path, json.dumps(stored, indent=1) + "\n")


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    try:
        write_statistics(Path(arguments[0]))
    except SfbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(f"statistics are in {Path(arguments[0]) / layout.STATISTICS}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
