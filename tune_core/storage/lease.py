"""Who may go on with an experiment in an object store: leases by numbered objects that only one driver can create.

A driver takes epoch n + 1 by creating ``lease/000007``, and shows that it lives by writing journal segments, and
``head/000007`` when there is nothing to write. Another driver takes over only when the holder has released the lease,
or has given no sign of life for the lease's expiry. It then creates the next segment itself, so that a holder that
was only slow finds its number taken and stops (see :mod:`tune_core.storage.segments`). No clock is compared with
another machine's.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable

import msgspec

from tune_core.errors import ExperimentLockedError
from tune_core.storage.objects import ObjectStore, redacted
from tune_core.storage.retries import failed, with_retries

EXPIRY_S = 15.0
"""How long a holder may be silent before another driver may take over, by default."""


class LeaseRecord(msgspec.Struct):
    """What ``lease/000007`` holds."""

    epoch: int
    token: str
    host: str
    pid: int
    at: float  # when it was taken, by the holder's clock: for people
    expiry_s: float


class Head(msgspec.Struct):
    """What ``head/000007`` holds: a sign of life, and a hint how long the journal is."""

    epoch: int
    token: str
    beat: int
    segments: int
    size_bytes: int
    at: float
    released: bool = False


def lease_key(epoch: int) -> str:
    """The key of a lease."""
    return f"lease/{epoch:06d}"


def head_key(epoch: int) -> str:
    """The key of a holder's head."""
    return f"head/{epoch:06d}"


def expiry_s() -> float:
    """``$TUNE_CORE_LEASE_EXPIRY_S``, or 15 seconds."""
    return float(os.environ.get("TUNE_CORE_LEASE_EXPIRY_S") or EXPIRY_S)


def new_lease(epoch: int) -> LeaseRecord:
    """A lease of this process, not taken yet."""
    return LeaseRecord(epoch, uuid.uuid4().hex, socket.gethostname(), os.getpid(), time.time(), expiry_s())


def last_lease(store: ObjectStore) -> LeaseRecord | None:
    """The newest lease; None if there never was one."""
    where = redacted(store.url)
    keys = with_retries(f"list {where}/lease", lambda: store.keys("lease"))
    epochs = [int(name) for key in keys if (name := key.rpartition("/")[2]).isdigit()]
    if not epochs:
        return None
    key = lease_key(max(epochs))
    return msgspec.json.decode(with_retries(f"read {where}/{key}", lambda: store.get(key)), type=LeaseRecord)


def read_head(store: ObjectStore, epoch: int) -> Head | None:
    """A holder's newest head, if it has written one."""
    try:
        return msgspec.json.decode(
            with_retries(f"read {redacted(store.url)}/{head_key(epoch)}", lambda: store.get(head_key(epoch))), type=Head
        )
    except FileNotFoundError:
        return None


def take_lease(
    store: ObjectStore, own_token: str | None = None, wait: Callable[[float], None] = time.sleep
) -> LeaseRecord:
    """Become the driver of the experiment in ``store``.

    Parameters
    ----------
    store
        The experiment's objects.
    own_token
        The token of a lease that this machine took and whose driver is known to be dead: it is not waited for.
    wait
        Called with seconds while a holder's silence is measured.

    Raises
    ------
    ExperimentLockedError
        If another driver holds the lease and lives.
    """
    while True:
        holder = last_lease(store)
        if holder is not None and holder.token != own_token:
            _wait_for_silence(store, holder, wait)
        record = new_lease(holder.epoch + 1 if holder is not None else 1)
        if create_lease(store, record):
            return record


def create_lease(store: ObjectStore, record: LeaseRecord) -> bool:
    """Whether this lease is ours now; its own object, whose answer was lost, is recognised by its token."""
    key = lease_key(record.epoch)
    data = msgspec.json.encode(record)

    def create() -> bool:
        return store.create(key, data) or store.get(key) == data

    what = f"create {redacted(store.url)}/{key}"
    try:
        return with_retries(what, create)
    except FileNotFoundError as error:  # the bucket is missing
        raise failed(what, error) from None


def _wait_for_silence(store: ObjectStore, holder: LeaseRecord, wait: Callable[[float], None]) -> None:
    """Return when the holder has released its lease or been silent for its expiry; raise if it lives."""
    first = _signs_of_life(store, holder)
    if first is None:
        return
    silent_s = 0.0
    step_s = max(0.05, min(1.0, holder.expiry_s / 10))
    while silent_s < holder.expiry_s:
        wait(step_s)
        silent_s += step_s
        now = _signs_of_life(store, holder)
        if now is None:
            return
        if now != first:
            raise held_by(store.url, holder)


def _signs_of_life(store: ObjectStore, holder: LeaseRecord) -> tuple[int, int] | None:
    """What changes while the holder lives; None if it has released its lease."""
    head = read_head(store, holder.epoch)
    if head is not None and head.released:
        return None
    from tune_core.storage.segments import FOLDER

    segments = with_retries(f"list {redacted(store.url)}/{FOLDER}", lambda: store.keys(FOLDER))
    return (head.beat if head is not None else 0, len(segments))


def held_by(url: str, holder: LeaseRecord) -> ExperimentLockedError:
    """The error for an experiment that another driver is running."""
    taken = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.at))
    return ExperimentLockedError(
        f"The experiment in {redacted(url)}",
        f"is being run by process {holder.pid} on {holder.host}, which took it at {taken}",
        "two drivers would write over each other",
        f"Wait for it or end it; {holder.expiry_s:g} s after its last sign of life the experiment can be taken over.",
    )
