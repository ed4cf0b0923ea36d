"""An experiment in an object store, and its working folder on this machine.

The working folder lies in a cache and can be made again from the store at any time; only what could not be sent yet
is nowhere else. It is never thrown away: where the store has gone on without it, it is put aside under another name.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tune_core.core import events as ev
from tune_core.errors import ExperimentLockedError, StorageError, TuneError
from tune_core.executors.base import StoreAccess
from tune_core.fit.directory import dated_name
from tune_core.fit.stored_aside import Mover
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.lock import LOCK_FILE, Lock
from tune_core.journal.mirror import Mirror, MirrorSettings, StoreState, read_state, write_state
from tune_core.journal.place import Place, note_move
from tune_core.journal.stored import folder_of, no_experiment
from tune_core.journal.uploads import checkpoint_key, named_checkpoints
from tune_core.storage.connect import object_store
from tune_core.storage.folders import delete_folder, is_whole
from tune_core.storage.lease import (
    Head,
    LeaseRecord,
    create_lease,
    head_key,
    held_by,
    last_lease,
    new_lease,
    take_lease,
)
from tune_core.storage.local import write_bytes_atomic
from tune_core.storage.objects import ObjectStore, join, redacted
from tune_core.storage.retries import with_retries
from tune_core.storage.segments import (
    SegmentHead,
    StoredJournal,
    SupersededError,
    has_journal,
    read_segments,
    write_next_segment,
)

logger = logging.getLogger(__name__)

_CREDENTIALS = ("AWS_", "FSSPEC_", "GOOGLE_", "GCSFS_", "AZURE_", "STORAGE_EMULATOR_HOST")
_CHECKPOINT_KEY = re.compile(r"trial_\d{5,}/checkpoint_\d{6,}(_\d+)?(_end)?(?=/)")
KEPT_FILES = ("tuner.pkl", "callbacks.json")
"""Small files of an experiment that a restore elsewhere needs."""


@dataclass
class StoredExperiment:
    """An experiment in an object store.

    Parameters
    ----------
    url
        The experiment's URL.
    filesystem
        What reaches it, if the user gave something; never written anywhere.
    """

    url: str
    filesystem: Any = field(default=None, repr=False)
    store: ObjectStore = field(init=False, repr=False)
    folder: str = field(init=False)
    lease: LeaseRecord | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")
        self.store = object_store(self.url, self.filesystem)
        self.folder = folder_of(self.url, "runs")
        self._journal = StoredJournal()
        self.moved = ""  # where an earlier experiment of that name was moved to
        self._before: ev.Header | None = None  # its header

    @property
    def place(self) -> Place:
        """Where it is, for those who read it."""
        return Place(self.folder, self.url, self.filesystem)

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.url.rpartition("/")[2]

    def exists(self) -> bool:
        """Whether the store holds an experiment here."""
        return has_journal(self.store)

    # --- a new experiment ---------------------------------------------------------------------------------------------

    def claim_new(self, move_aside: bool = False) -> bool:
        """Take the lease of a new experiment and make its working folder; False if there is one already.

        Parameters
        ----------
        move_aside
            An experiment that is there, and over, gets another name (``moved``), and a new one can begin.

        Raises
        ------
        ExperimentLockedError
            If another driver has just begun it, or drives the one that is there.
        """
        if not move_aside:
            if self.exists():
                return False
            record = take_new_lease(self.store)
            if record is not None:
                self._begin(record)
            return record is not None
        os.makedirs(self.folder, exist_ok=True)
        lock = Lock(self.folder, redacted(self.url))  # who has it knows that this machine's last driver is dead
        try:
            state = read_state(self.folder)
            own = state.token if state is not None and state.url == self.url else None
            record = take_new_lease(self.store, own)
            if record is None:
                raise held_by(self.url, last_lease(self.store) or new_lease(1))
            self._begin(record)
        finally:
            lock.release()
        return True

    def _begin(self, lease: LeaseRecord) -> None:
        """Make the place and the working folder ready for a new experiment."""
        self.lease = lease
        try:
            if lease.epoch > 1:
                self._clear(lease)
            self._put_aside("an experiment of this name that is no longer in the store")
            os.makedirs(self.folder, exist_ok=True)
            position = self._journal.position
            write_state(self.folder, StoreState(self.url, lease.epoch, lease.token, position.segments))
        except BaseException:
            self.release()
            raise

    def _clear(self, lease: LeaseRecord) -> None:
        """Move what was here to another name, with its working folder."""
        base = self.url.rpartition("/")[0]
        mover = Mover(object_store(base, self.filesystem), self.name, self.store, lease)
        if (state := read_state(self.folder)) is not None and state.url == self.url:  # if this is cut off, it was ours
            write_state(self.folder, msgspec.structs.replace(state, epoch=lease.epoch, token=lease.token))
        target, self._journal = mover.move(self._name_aside)
        if target:
            self.moved = f"{base}/{target}"
            if self._before is not None:
                note_move(self.url, self._before, self.moved)
            self._move_folder(self.moved)
            mover.finish()

    def _name_aside(self, journal: StoredJournal) -> str:
        """The name with the time at which the experiment began, as for a folder."""
        began = time.time()
        with contextlib.suppress(TuneError, IndexError):
            self._before = ev.decode_lines(journal.data[: journal.data.index(b"\n") + 1])[0]
            began = self._before.at
        return f"{self.name}_{datetime.datetime.fromtimestamp(began):%Y-%m-%d_%H-%M-%S}"

    def _move_folder(self, url: str) -> None:
        """The working folder goes along: what could not be sent of the experiment can be sent to its new URL."""
        state, target = read_state(self.folder), folder_of(url, "runs")
        if state is None or state.url not in (self.url, url) or os.path.lexists(target):
            return
        write_state(self.folder, msgspec.structs.replace(state, url=url))
        os.rename(self.folder, target)

    # --- an experiment that is there ----------------------------------------------------------------------------------

    def fetch(self) -> str:
        """Bring the working folder up to date with the store, and return it. Takes no lease.

        Raises
        ------
        JournalError
            If the store holds no experiment here.
        """
        self._journal = read_segments(self.store, self._journal)
        if not self._journal.segments or not self._journal.data:
            raise no_experiment(self.url, self.store)
        self._merge(self._journal.data)
        for name in KEPT_FILES:
            self._fetch_file(name)
        return self.folder

    def claim(self) -> None:
        """Become the experiment's only driver, and bring the working folder up to date.

        Raises
        ------
        ExperimentLockedError
            If another driver holds it and lives.
        """
        state = read_state(self.folder)
        own = state.token if state is not None and state.url == self.url else None
        self.lease = lease = take_lease(self.store, own)
        self.fence(lease)

    def fence(self, lease: LeaseRecord) -> None:
        """Write the next segment, so that nobody with an older lease can add to the journal from here on."""
        self.fetch()
        try:
            self._journal = write_next_segment(
                self.store, lambda known: SegmentHead(lease.epoch, lease.token, len(known.data), 0)
            )
        except SupersededError as error:
            raise held_by(self.url, last_lease(self.store) or lease) from error
        self.fetch()
        position = self._journal.position
        state = StoreState(self.url, lease.epoch, lease.token, position.segments, position.size_bytes)
        write_state(self.folder, state)

    def mirror(self, settings: MirrorSettings) -> Mirror:
        """The mirror of the working folder's journal under the present lease."""
        assert self.lease is not None
        lease, self.lease = self.lease, None  # the mirror gives it up
        return Mirror(self.store, self.folder, lease, self._journal.position, settings)

    def access(self, executor: str) -> StoreAccess:
        """What workers need to reach it; the credentials in the environment go along to other machines only."""
        names = [name for name in os.environ if name.startswith(_CREDENTIALS)] if executor == "ray" else []
        return StoreAccess(self.url, self.filesystem, {name: os.environ[name] for name in names})

    def has_checkpoint(self, trial: int, name: str) -> bool:
        """Whether the store holds a checkpoint wholly."""
        key = checkpoint_key(trial, name)
        return with_retries(f"look for {redacted(self.url)}/{key}", lambda: is_whole(self.store, key))

    def sweep(self, trials: Sequence[Any]) -> None:
        """Delete the checkpoints in the store that no trial keeps: a killed driver left them. Needs the lease."""
        where = f"list {redacted(self.url)}"
        kept = {checkpoint_key(t.index, kept.name) for t in trials for kept in t.checkpoints or ()}
        found = {m[0] for key in with_retries(where, self.store.keys) if (m := _CHECKPOINT_KEY.match(key))}
        for key in sorted(found - kept):
            delete_folder(self.store, key)

    def release(self) -> None:
        """Give a lease up under which nothing was mirrored."""
        lease, self.lease = self.lease, None
        if lease is not None:
            position = self._journal.position
            head = Head(lease.epoch, lease.token, 1, position.segments, position.size_bytes, time.time(), True)
            with contextlib.suppress(Exception):  # it expires by itself
                self.store.put(head_key(lease.epoch), msgspec.json.encode(head))

    # --- the working folder -------------------------------------------------------------------------------------------

    def _merge(self, stored: bytes) -> None:
        """Let the working folder's journal have all that the store's has; it may have more."""
        path = os.path.join(self.folder, JOURNAL_FILE)
        try:
            with open(path, "rb") as file:
                local = file.read()
        except FileNotFoundError:
            local = b""
        if local.startswith(stored):
            return
        if stored.startswith(local):
            self._forget_checkpoints(stored, len(local))
        else:
            self._put_aside("a journal that differs from the store's: another machine has gone on without it")
        os.makedirs(self.folder, exist_ok=True)
        write_bytes_atomic(path, stored)
        if read_state(self.folder) is None:
            write_state(self.folder, StoreState(self.url))

    def _put_aside(self, why: str) -> None:
        if not os.path.exists(os.path.join(self.folder, JOURNAL_FILE)):
            return
        aside = f"{self.folder}.aside-{uuid.uuid4().hex[:8]}"
        os.makedirs(aside)
        for name in os.listdir(self.folder):
            if name != LOCK_FILE:  # this process may hold it
                os.rename(os.path.join(self.folder, name), os.path.join(aside, name))
        logger.warning("The working folder %s held %s; it is kept as %s", self.folder, why, aside)

    def _forget_checkpoints(self, stored: bytes, known: int) -> None:
        """Folders of checkpoints that another machine made: what lies here under such a name was never reported."""
        for upload in named_checkpoints(stored[known:], known):
            shutil.rmtree(os.path.join(self.folder, *upload.key.split("/")), ignore_errors=True)

    def _fetch_file(self, name: str) -> None:
        path = os.path.join(self.folder, name)
        with contextlib.suppress(FileNotFoundError):
            data = with_retries(f"read {join(redacted(self.url), name)}", lambda: self.store.get(name))
            write_bytes_atomic(path, data)


def new_stored(base: str, filesystem: object, name: str | None, trainable: str) -> StoredExperiment:
    """A new experiment below the URL ``base``, claimed.

    Raises
    ------
    StorageError
        If an experiment of that name is running now, or the store cannot be used.
    """
    base = base.rstrip("/")
    if name is not None:
        stored = StoredExperiment(f"{base}/{name}", filesystem)
        stored.claim_new(move_aside=True)
        return stored
    stem = dated_name(trainable)
    for attempt in range(100):
        stored = StoredExperiment(f"{base}/{stem if attempt == 0 else f'{stem}_{attempt}'}", filesystem)
        with contextlib.suppress(ExperimentLockedError):
            if stored.claim_new():
                return stored
    raise StorageError(f"No free name like {stem}", f"in {base}", "all are taken", "Give one with RunConfig(name=...).")


def take_new_lease(store: ObjectStore, own_token: str | None = None) -> LeaseRecord | None:
    """The lease of a new experiment; None if somebody else has just taken the first.

    A driver that took one and died, or released it, is followed.
    """
    if last_lease(store) is not None:
        return take_lease(store, own_token)
    record = new_lease(1)
    return record if create_lease(store, record) else None
