"""Moving an experiment in an object store to another name, so that a new one can have its place.

A store cannot rename. So all objects are copied within the store, and then deleted in the old place. Between the two
stands one object that can be created only once: an empty segment with which the journal begins anew. Before it the
old place holds the old experiment, wholly, and the new place is marked as incomplete, or holds an equal copy; behind
it the old place holds no experiment. A mover that is killed leaves one of these states, and ``.moving``, which says
where to: the next mover goes on with it. The numbers of the journal's segments go on, and empty segments are kept: at
them the old experiment's drivers, and a mover that was replaced by another, find that they have been replaced.

The new experiment could have a folder of its own below the old one's URL instead, and nothing would be copied. Then a
URL would no longer be where its objects are: every reader would have to look up which of several folders is meant, and
copying, deleting or listing an experiment with the store's own tools would meet all that ever had its name.

What copies and deletes is checked against the lease before each request, since a store cannot do that. A mover that
is stopped between such a check and its request, for longer than the lease's expiry, could still do harm.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from tune_core.storage.folders import COMMIT
from tune_core.storage.lease import Head, LeaseRecord, head_key, held_by, last_lease
from tune_core.storage.objects import ObjectStore, join, redacted
from tune_core.storage.retries import with_retries
from tune_core.storage.segments import (
    FOLDER,
    INCOMPLETE,
    SegmentHead,
    StoredJournal,
    SupersededError,
    segment_key,
    write_next_segment,
)

logger = logging.getLogger(__name__)

MOVING = ".moving"
_THREADS = 16
_MANY = 1000

_T = TypeVar("_T")


class Move(msgspec.Struct):
    """What ``.moving`` holds."""

    target: str  #: The new name.
    segments: int  #: Number of the first segment that is not the old experiment's.
    epoch: int  #: The first lease that is not the old experiment's.


class Mover:
    """Moves an experiment to another name beside it. Needs its lease.

    Parameters
    ----------
    store
        The folder that holds the experiment, as a store.
    name
        The experiment's name in it.
    experiment
        The experiment's own objects.
    lease
        The lease under which they are moved.
    """

    def __init__(self, store: ObjectStore, name: str, experiment: ObjectStore, lease: LeaseRecord) -> None:
        self._store = store
        self._name = name
        self._experiment = experiment
        self._holding = _Holding(experiment, lease)
        self._lease = lease

    def move(self, stem: Callable[[StoredJournal], str]) -> tuple[str, StoredJournal]:
        """Move all, or go on with what another mover began: the new name, "" if nothing was there; the journal now.

        Parameters
        ----------
        stem
            Given the old journal, how the new name begins.

        Raises
        ------
        ExperimentLockedError
            If another driver has taken the lease over.
        ObjectStoreError
            If the store does not do it; the experiment is whole in the old place or the new, and what is left to do is
            done by the next mover.
        """
        try:
            with self._holding:
                journal = self._fence(lambda known: len(known.data))
                move = self._read_move()
                if journal.data:
                    move = self._plan(move, stem, journal)
                    self._copy(move)
                    journal = self._fence(lambda known: 0)
                if move is None:
                    return "", journal
                self._delete(move, {segment_key(n) for n in journal.empty if n < move.segments})
                return move.target, journal
        except SupersededError as error:
            raise held_by(self._experiment.url, last_lease(self._experiment) or self._lease) from error

    def finish(self) -> None:
        """The place is free for another experiment."""
        self._delete_one(self._name, MOVING)

    # --- the steps ----------------------------------------------------------------------------------------------------

    def _fence(self, offset: Callable[[StoredJournal], int]) -> StoredJournal:
        lease = self._lease
        return write_next_segment(
            self._experiment, lambda known: SegmentHead(lease.epoch, lease.token, offset(known), 0)
        )

    def _read_move(self) -> Move | None:
        try:
            data = self._call("read", self._name, MOVING, self._store.get)
        except FileNotFoundError:
            return None
        return msgspec.json.decode(data, type=Move)

    def _plan(self, before: Move | None, stem: Callable[[StoredJournal], str], journal: StoredJournal) -> Move:
        """Where to: where a killed mover has begun to move, unless somebody has gone on with its copy."""
        segments, epoch = journal.segments - 1, self._lease.epoch
        if before is not None and not any(head.size and head.epoch >= before.epoch for head in journal.heads):
            segments, epoch = before.segments, before.epoch
        if before is not None and not self._has_lease(before.target, before.epoch):
            target = before.target
        else:
            first = stem(journal)
            names = (first if attempt == 0 else f"{first}_{attempt}" for attempt in range(_MANY))
            target = next(name for name in names if not self._keys(name))
        move = Move(target, segments, epoch)
        data = msgspec.json.encode(move)
        self._call("write", self._name, MOVING, lambda key: self._store.put(key, data))
        return move

    def _has_lease(self, name: str, epoch: int) -> bool:
        return any(int(key.rpartition("/")[2]) >= epoch for key in self._keys(name, "lease"))

    def _copy(self, move: Move) -> None:
        keys = {key for key in self._keys(self._name) if self._belongs(key, move)}
        say = logger.warning if len(keys) > _MANY else logger.info
        say("Moving %d objects from %s to %s", len(keys), redacted(self._experiment.url), move.target)
        self._call("write", move.target, INCOMPLETE, lambda key: self._store.put(key, b""))
        stale = set(self._keys(move.target)) - keys - {INCOMPLETE}
        self._in_threads(lambda key: self._delete_one(move.target, key), stale)
        self._in_threads(lambda key: self._copy_one(key, move.target), keys)
        self._delete_one(move.target, INCOMPLETE)

    def _delete(self, move: Move, kept: set[str]) -> None:
        """Delete what was copied. The lists of folders' files go last: a folder without one counts as whole."""
        copied = set(self._keys(move.target)) - kept
        keys = {key for key in self._keys(self._name) if key in copied and self._belongs(key, move)}
        keys = {key for key in keys if not key.startswith(("lease/", "head/"))}  # no lease is taken twice
        lists = {key for key in keys if key.rpartition("/")[2] == COMMIT}
        self._in_threads(lambda key: self._delete_one(self._name, key), keys - lists)
        self._in_threads(lambda key: self._delete_one(self._name, key), lists)

    @staticmethod
    def _belongs(key: str, move: Move) -> bool:
        """Whether an object is the old experiment's."""
        folder, _, name = key.partition("/")
        if folder in ("lease", "head", FOLDER) and name.isdigit():
            return int(name) < (move.segments if folder == FOLDER else move.epoch)
        return key != MOVING

    # --- single objects -----------------------------------------------------------------------------------------------

    def _copy_one(self, key: str, target: str) -> None:
        source, new = join(self._name, key), join(target, key)

        def copy(_: str) -> None:
            self._store.copy(source, new)
            there, here = self._store.size(new), self._store.size(source)
            if there != here:
                raise ConnectionError(f"{there} of {here} bytes were copied")

        try:
            self._call(f"copy {join(redacted(self._store.url), source)} to", target, key, copy)
        except FileNotFoundError:
            if self._store.size(source) is not None:
                raise
            logger.info("%s was deleted before it could be moved", source)

    def _delete_one(self, name: str, key: str) -> None:
        self._call("delete", name, key, lambda path: self._store.delete([path]))

    def _keys(self, name: str, folder: str = "") -> list[str]:
        """The keys in an experiment."""
        found = self._call("list", name, folder, self._store.keys)
        return [key[len(name) + 1 :] for key in found]

    def _call(self, verb: str, name: str, key: str, action: Callable[[str], _T]) -> _T:
        path = join(name, key)

        def act() -> _T:
            self._holding.check()
            return action(path)

        return with_retries(f"{verb} {join(redacted(self._store.url), path)}", act)

    @staticmethod
    def _in_threads(action: Callable[[str], None], keys: Iterable[str]) -> None:
        with ThreadPoolExecutor(_THREADS) as pool:
            futures = [pool.submit(action, key) for key in sorted(keys)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


class _Holding:
    """Shows that a lease's holder lives, and knows whether it holds it still."""

    def __init__(self, store: ObjectStore, lease: LeaseRecord) -> None:
        self._store = store
        self._lease = lease
        self._beats = 0
        self._sure_until = 0.0
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tune-core-lease", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(1.0)

    def check(self) -> None:
        """Raise if another driver has taken the lease over, or may have."""
        with self._lock:
            if _clock() >= self._sure_until:
                self._renew()

    def _renew(self) -> None:
        began = _clock()
        self._beats += 1
        lease = self._lease
        head = Head(lease.epoch, lease.token, self._beats, 0, 0, time.time())
        self._store.put(head_key(lease.epoch), msgspec.json.encode(head))
        holder = last_lease(self._store)
        if holder is not None and holder.token != lease.token:
            raise held_by(self._store.url, holder)
        self._sure_until = began + lease.expiry_s / 2

    def _run(self) -> None:
        while not self._end.wait(self._lease.expiry_s / 4):
            try:
                with self._lock:
                    self._renew()
            except Exception as error:  # who wants to do something is told by ``check``
                logger.info("The lease of %s could not be renewed: %s", redacted(self._store.url), error)


def _clock() -> float:
    """Seconds that go on while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
