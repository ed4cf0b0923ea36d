"""The signals that ask a run to end, handled while it goes and as before behind it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from tune_core.core.environment import flag


@contextlib.contextmanager
def on_signals(interrupt: Callable[[], None]) -> Iterator[None]:
    """Call ``interrupt`` at each SIGINT (Ctrl-C), SIGTERM and SIGUSR1; other threads than the main one have no signals.

    ``TUNE_DISABLE_SIGINT_HANDLER=1`` leaves SIGINT as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: object) -> None:
        interrupt()

    watched = [signal.SIGINT, signal.SIGTERM, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else [])]
    if flag("TUNE_DISABLE_SIGINT_HANDLER"):
        watched.remove(signal.SIGINT)
    before = {s: signal.signal(s, handle) for s in watched}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
