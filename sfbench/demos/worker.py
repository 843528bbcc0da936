"""A loader's worker process: makes its share of the batches, one ahead of what is asked for.

Started as `python -m sfbench.demos.worker PIPE` with an inherited descriptor.
"""

import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from sfbench.demos.reading import BatchReader
from sfbench.demos.worker_messages import Assignment, Failed
from sfbench.errors import SfbenchError


def _serve(pipe: "Connection[Any, Any]") -> None:
    assignment: Assignment = pipe.recv()
    try:
        reader = BatchReader(assignment.dataset, assignment.settings)
        position = assignment.first
        while True:
            # Blocks until the main process takes it: that is all the read-ahead there is.
            pipe.send(reader.batch(position))
            position += assignment.stride
    except SfbenchError as error:
        pipe.send(Failed(str(error)))


def main(arguments: Sequence[str]) -> None:
    """Entry point of the process; a closed pipe (the main process is gone) ends it."""
    # Ctrl-C is the main process's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe: Connection[Any, Any] = Connection(int(arguments[0]))
    try:
        _serve(pipe)
    except (EOFError, OSError):
        return


if __name__ == "__main__":
    main(sys.argv[1:])
