"""Ctrl-C, SIGTERM, SIGUSR1 and SIGUSR2 end a run between two events: no finished row is lost.

The last two are how batch systems announce a preemption or the end of a job's time.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_BATCH_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *_BATCH_SIGNALS)


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Within the block the first signal only asks to stop; a second interrupts at once.

    Yields a function that says whether stopping was asked for. Outside the main thread, where
    Python allows no handlers, it never is.
    """
    asked = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set() and number not in _BATCH_SIGNALS:
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
