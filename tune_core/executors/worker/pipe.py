"""The way between a trial and its driver: events leave in batches as the journal's own lines, messages come in.

Below both the worker, which serves trials one after another, and the session of one trial.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tune_core.core import events as ev
from tune_core.core.values import Message
from tune_core.trainable.protocol import StopTrial

FLUSH_BYTES = 1 << 16
FLUSH_S = 0.05
_NO_TIME = float("-inf")


class Link(Protocol):
    """A worker's connection to its driver."""

    def send(self, lines: bytes) -> None:
        """Pass journal lines to the driver."""

    def receive(self) -> Message | None:
        """Wait for a message; None when there will be no more."""

    def has_message(self) -> bool:
        """Whether a message is there."""


class EventPipe:
    """Batches events on their way to the driver; any thread may add to a batch and flush it.

    Messages are received by one thread at a time: the worker's between trials, else whoever holds the session's lock.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self.inbox: deque[Message] = deque()  #: launches that came while a trial waited for its verdict
        self._buffer: list[bytes] = []
        self._bytes = 0
        self._flushed_at = _NO_TIME
        self._lock = threading.RLock()  #: over the buffer, and the order in which batches leave

    def add(self, event: ev.Event, now: float = _NO_TIME) -> bool:
        """Put an event into the present batch; whether it is large, or old at ``now`` (of ``time.perf_counter``)."""
        line = ev.encode(event)
        with self._lock:
            self._buffer.append(line)
            self._bytes += len(line)
        return now - self._flushed_at >= FLUSH_S or self._bytes >= FLUSH_BYTES

    def note(self, text: str, trial: int) -> None:
        """Have something said to the user; in the driver's own process at once, since the run may be over."""
        if getattr(self.link, "in_driver", False):
            logging.getLogger(__name__).warning(text)
        self.add(ev.Noted(text, trial))

    def flush(self) -> None:
        """Send the present batch."""
        with self._lock:
            self._flushed_at = time.perf_counter()
            if self._buffer:
                lines = b"".join(self._buffer)
                self._buffer.clear()
                self._bytes = 0
                self.link.send(lines)

    def exchange(self, take: Callable[[Message], object]) -> None:
        """Send the present batch; then let ``take`` have what the driver has sent."""
        self.flush()
        while self.link.has_message():
            take(self.receive())

    def receive(self) -> Message:
        """Wait for a message inside a trial.

        Raises
        ------
        StopTrial
            If the driver has closed the connection.
        """
        message = self.link.receive()
        if message is None:
            raise StopTrial
        return message
