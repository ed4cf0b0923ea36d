"""The very short trials that a worker has in hand behind the one that it runs: sent ahead, and taken back if need be.

Each is a packet in a socket of which the worker and the driver hold the reading end. Whoever reads a packet has the
trial: the kernel sees to it that only one of the two does, whatever the worker's interpreter is busy with.
"""

from __future__ import annotations

import math
import pickle
import socket
import struct
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tune_core.core.values import Message
from tune_core.executors.local import wire
from tune_core.executors.worker.system import above_standard

if TYPE_CHECKING:
    from tune_core.executors.base import RunSpec
    from tune_core.executors.local.handle import WorkerProcess

IN_HAND = 32
"""Most trials that a worker has in hand, the one that it runs included."""
AHEAD_S = 0.01
"""They are so few that they take no longer than this."""
LONG_S = 0.1
"""When the first of them has run for so long, the others go back."""
MOST_HANDS = 32
"""Workers beyond so many have none: each costs the driver two descriptors."""
_MOST_BYTES = 1 << 14
_TRIAL = struct.Struct("<Q")


class Hands:
    """The workers of a run to which trials can be sent ahead, and how many each may have."""

    def __init__(self) -> None:
        self._workers: list[WorkerProcess] = []
        self._left = 0  # how many more there may be
        self._trial_s = math.inf  # how long trials take, a moving average; not known yet
        self._looked_at = 0.0

    def begin(self, run: RunSpec) -> None:
        """A run begins. Trials are sent ahead where none depends on another's result, and none has a time limit."""
        self._workers.clear()
        self._trial_s = math.inf
        is_possible = run.independent and run.reuse and run.trial_timeout_s is None and sys.platform == "linux"
        self._left = MOST_HANDS if is_possible else 0

    def __bool__(self) -> bool:
        return bool(self._workers)

    def add(self, process: WorkerProcess) -> list[int]:
        """Give a new worker a hand, if it is to have one: the descriptors to send to it."""
        if self._left <= 0:
            return []
        self._left -= 1
        process.hand = Hand()
        self._workers.append(process)
        return [process.hand.descriptor]

    def remove(self, process: WorkerProcess) -> None:
        """A worker is no more."""
        if process in self._workers:
            self._workers.remove(process)
            self._left += 1

    def of(self, name: str) -> WorkerProcess:
        """The worker of that name."""
        return next(process for process in self._workers if process.name == name)

    def with_room(self, request: Mapping[str, float]) -> WorkerProcess | None:
        """A worker that runs very short trials which ask for the same, and may have one more in hand."""
        found, fewest = None, min(IN_HAND, AHEAD_S / max(self._trial_s, 1e-6))
        for process in self._workers:
            count = len(process.jobs) + process.promised
            if 0 < count < fewest and not process.unsent and process.request == request:
                found, fewest = process, count
        return found

    def note_ends(self, process: WorkerProcess, count: int, now: float) -> None:
        """A worker is done with so many trials since the last time, or since it began."""
        took_s, process.began = (now - process.began) / count, now
        self._trial_s = took_s if self._trial_s == math.inf else 0.9 * self._trial_s + 0.1 * took_s

    def behind_long_ones(self, now: float) -> list[WorkerProcess]:
        """Once in a while: workers that have trials in hand behind one that runs longer than was thought."""
        for process in self._workers:
            process.promised = 0
        if now - self._looked_at < LONG_S / 2:
            return []
        self._looked_at = now
        found = [process for process in self._workers if len(process.jobs) > 1 and now - process.began > LONG_S]
        self._trial_s = max([self._trial_s, *(now - process.began for process in found)])
        return found


class Hand:
    """The driver's two ends of what one worker has in hand."""

    def __init__(self) -> None:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._put, self._back = (socket.socket(fileno=above_standard(end.detach())) for end in ends)
        self._put.setblocking(False)
        self._back.setblocking(False)

    @property
    def descriptor(self) -> int:
        """The reading end, for the worker."""
        return self._back.fileno()

    def put(self, trial: int, message: Message) -> bool:
        """Send a trial ahead; False if it is too large for that, or the worker has enough."""
        body = wire.body_of(message)
        if len(body) > _MOST_BYTES:
            return False
        try:
            self._put.send(_TRIAL.pack(trial) + body)
        except OSError:  # full
            return False
        return True

    def take_back(self) -> list[int]:
        """The trials that the worker has not begun; it will not."""
        trials = []
        while (packet := _read(self._back)) is not None:
            trials.append(_TRIAL.unpack_from(packet)[0])
        return trials

    def close(self) -> None:
        """Close both."""
        self._put.close()
        self._back.close()


def take(end: socket.socket) -> Message | None:
    """In the worker: the next trial in hand; None if there is none now."""
    packet = _read(end)
    if packet is None:
        return None
    message: Message = pickle.loads(memoryview(packet)[_TRIAL.size :])
    return message


def _read(end: socket.socket) -> bytes | None:
    try:
        return end.recv(_TRIAL.size + _MOST_BYTES, socket.MSG_DONTWAIT) or None
    except OSError:  # nothing there
        return None
