"""The signals by which Slurm asks a task to end: SIGUSR2 (Submitit's), SIGUSR1 and SIGTERM."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sfbench.errors import StoppedError

ASKING = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)


@contextmanager
def watched_signals() -> Iterator[Callable[[], set[signal.Signals]]]:
    """Within the block a signal of ASKING raises StoppedError, or stops the engine in its own way.

    Yields a function that tells which of them have come, whoever's handler they met: the engine and
    a trainer have handlers of their own while they run.
    """
    if threading.current_thread() is not threading.main_thread():
        yield set
        return
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    seen: set[signal.Signals] = set()

    def received() -> set[signal.Signals]:
        try:
            while numbers := ours.recv(4096):
                seen.update(signal.Signals(number) for number in numbers)
        except BlockingIOError:
            pass
        return seen & set(ASKING)

    def stop(number: int, frame: FrameType | None) -> None:
        raise StoppedError(f"stopped by {signal.Signals(number).name}")

    wakeup_before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, stop) for number in ASKING}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup_before)
        ours.close()
        theirs.close()
