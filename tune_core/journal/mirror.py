"""The journal's mirror in an object store: written locally first, sent in the background as numbered segments.

Theory of operation. The run appends to the journal in its working folder as always, and waits for nothing here. A
thread looks every few seconds at what was added, has the checkpoints uploaded that it names (see
:mod:`tune_core.journal.uploads`), and creates the next segment with all lines whose checkpoints are there. So whoever
reads the segments has the journal as it was a moment ago, and every checkpoint that it names. The segment's number can
be taken only once: if another driver has taken it, this one has been replaced, and :meth:`Mirror.check` says so to the
loop. While the store is away everything is kept in the working folder; :mod:`tune_core.fit.sync` can send it later.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from tune_core.errors import ExperimentLockedError
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.uploads import Uploads, named_checkpoints
from tune_core.journal.writer import Journal
from tune_core.storage.artifacts import ArtifactRules, ArtifactSender
from tune_core.storage.lease import Head, LeaseRecord, head_key, held_by, last_lease
from tune_core.storage.local import write_bytes_atomic
from tune_core.storage.objects import ObjectStore, redacted
from tune_core.storage.retries import describe, pause_s, with_retries
from tune_core.storage.segments import Position, SegmentHead, SupersededError, segment_key, write_segment

logger = logging.getLogger(__name__)

STATE_FILE = ".store.json"
"""In a working folder: which store it belongs to, under which lease, and how much is there."""
INTERVAL_S = 3.0
QUEUE_BYTES = 20 << 30
FLUSH_S = 120.0
ARTIFACTS_S = 30.0
_AT_END = float("inf")
_SEGMENT_BYTES = 32 << 20
_SAID_AFTER = 2  # failures in a row
_PATIENCE_S = 3.0
"""At the end: so long without progress, and people are told what is waited for."""


class StoreState(msgspec.Struct):
    """What :data:`STATE_FILE` holds."""

    url: str
    epoch: int = 0
    token: str = ""
    segments: int = 0
    size_bytes: int = 0


def read_state(folder: str) -> StoreState | None:
    """The state of a working folder; None if it belongs to no store. A damaged file counts as none, and is logged."""
    path = os.path.join(folder, STATE_FILE)
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=StoreState)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        logger.warning("%s cannot be read, so its folder belongs to no store: %s", path, error)
        return None


def write_state(folder: str, state: StoreState) -> None:
    """Keep the state of a working folder."""
    write_bytes_atomic(os.path.join(folder, STATE_FILE), msgspec.json.encode(state))


@dataclass(frozen=True)
class MirrorSettings:
    """How a mirror is kept.

    Parameters
    ----------
    interval_s
        Seconds between two segments: how old the mirror may be while the store keeps up.
    queue_bytes
        How much may wait to be sent before workers wait with their next checkpoint.
    flush_s
        How long the end of a run waits for a store that does not answer.
    files
        Small files of the working folder that are sent when they change.
    artifacts
        Which other files of the trials' folders are sent; None: none.
    is_kept
        Whether a trial, by its index, still keeps a checkpoint of that name; None: nobody knows of any that went.
    """

    interval_s: float = INTERVAL_S
    queue_bytes: int = QUEUE_BYTES
    flush_s: float = FLUSH_S
    files: Sequence[str] = ()
    artifacts: ArtifactRules | None = None
    is_kept: Callable[[int, str], bool] | None = None


@dataclass(frozen=True)
class Unsent:
    """What could not be sent by the end."""

    journal_bytes: int
    checkpoints: int
    checkpoint_bytes: int
    error: str
    folder: str
    url: str

    def __str__(self) -> str:
        rest = f"{self.journal_bytes} bytes of the journal"
        if self.checkpoints:
            rest += f" and {self.checkpoints} checkpoints ({self.checkpoint_bytes / 1e6:.1f} MB)"
        return (
            f"{rest} could not be sent to {redacted(self.url)}: {self.error or 'the store was too slow'}. "
            f"They are kept in {self.folder}. Send them with: tune-core sync {self.folder}"
        )


class Mirror:
    """Keeps the copy of a journal and its checkpoints in an object store up to date.

    Parameters
    ----------
    store
        The experiment's objects.
    folder
        Its working folder.
    lease
        The lease under which this process drives the experiment.
    position
        How much of the journal is in the store.
    settings
        How often it is sent, how much may wait, and which files beside the journal.
    """

    def __init__(
        self, store: ObjectStore, folder: str, lease: LeaseRecord, position: Position, settings: MirrorSettings
    ) -> None:
        self._store = store
        self._folder = folder
        self._path = os.path.join(folder, JOURNAL_FILE)
        self._lease = lease
        self._settings = settings
        self._segments, self._shown = position.segments, position.size_bytes
        self._scanned = position.size_bytes
        self._beat = 0
        self._beat_at = self._sent_at = float("-inf")
        self._failures: dict[str, int] = {}  # in a row, of what is sent: the journal, the checkpoints
        self._errors: dict[str, str] = {}
        self._away_since: float | None = None
        self._notes: list[str] = []
        self._superseded: SupersededError | None = None
        self._times: dict[str, float] = {}  # of the small files that were sent
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._done = False
        report = partial(self._report, "checkpoints")
        self.uploads = Uploads(store, folder, settings.queue_bytes, report, settings.is_kept)
        rules = settings.artifacts
        self._artifacts = ArtifactSender(store, folder, rules) if rules is not None else None
        self._artifacts_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="tune-core-mirror", daemon=True)

    def start(self) -> None:
        """Start the thread that sends."""
        self._keep_state()
        self._thread.start()

    # --- called by the loop's thread ----------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise if another driver has taken the experiment over.

        Raises
        ------
        ExperimentLockedError
            Names the other driver.
        """
        if self._superseded is not None:
            raise self._locked(self._superseded)

    def notes(self) -> list[str]:
        """What is worth knowing since the last time."""
        if not self._notes:
            return []
        with self._lock:
            notes, self._notes = self._notes, []
        return notes

    def drop(self, trial: int, name: str) -> None:
        """A checkpoint has become superfluous by what is in the journal now."""
        self.uploads.drop(trial, name, os.path.getsize(self._path))

    @property
    def waits_for(self) -> str | None:
        """Why the copy is behind, for the live view, while the store does not answer."""
        since = self._away_since
        if since is None:
            return None
        return f"the store has taken nothing for {time.monotonic() - since:.0f} s; all is kept in {self._folder}"

    def close(self, note: Callable[[str], None] = lambda text: None) -> Unsent | None:
        """Send everything, and give the lease up. What could not be sent is returned, None if nothing is left.

        Waits as long as there is progress, and ``flush_s`` seconds without any. ``note`` is told what goes wrong
        meanwhile.
        """
        self._closing = True
        self._wake.set()
        progress, seen, has_said = time.monotonic(), self._progress(), False
        try:
            while self._thread.is_alive() and not self._done and self._superseded is None:
                self._thread.join(0.05)
                for text in self.notes():
                    note(text)
                if self._progress() != seen:
                    progress, seen = time.monotonic(), self._progress()
                if time.monotonic() - progress > _PATIENCE_S and not has_said:
                    has_said = True
                    note(self._what_it_waits_for())
                if time.monotonic() - progress > self._settings.flush_s:
                    break
        finally:
            self._closing = self._stopping = True
            self._wake.set()
            self.uploads.close()
            self._thread.join(1.0)
        return self._unsent()

    # --- the thread ---------------------------------------------------------------------------------------------------

    _stopping = False
    _doing = ""  # the request for the journal that is under way, or failed last
    before_release: Callable[[], None] | None = None
    """Called at the end, when the store has everything and the lease still stands."""

    def _run(self) -> None:
        while not self._stopping:
            closing = self._closing  # from here on nothing is added: what this turn sees is all
            try:
                finished = self._turn()
                self._report("journal", None)
            except SupersededError as error:
                self._superseded = error
                return
            except Exception as error:
                self._report("journal", error)
                self._wait(pause_s(self._failures.get("journal", 0)))
                continue
            if closing and finished:
                try:
                    if self.before_release is not None:
                        self._doing = f"delete what is left over in {redacted(self._store.url)}"
                        self.before_release()
                        self._doing = ""
                    self._put_head(released=True)
                except Exception as error:
                    self._report("journal", error)
                    self._wait(pause_s(self._failures.get("journal", 0)))
                    continue
                self._done = True
                return
            self._wait(0.05 if self._closing else self._settings.interval_s)

    def _wait(self, seconds: float) -> None:
        if self._closing:
            time.sleep(min(seconds, 1.0))
        else:
            self._wake.wait(seconds)

    def _turn(self) -> bool:
        """Send what can be sent now; whether nothing is left."""
        available = self._scan()
        self._send_files()
        self._send_artifacts()
        while True:
            limit = self.uploads.limit(available, self._shown)
            early = self._closing and time.monotonic() - self._sent_at < self._settings.interval_s
            if limit <= self._shown or (limit < available and early):
                break
            self._send_segment(self._part(limit))
        self.uploads.shown(self._shown)
        if time.monotonic() - self._beat_at >= self._lease.expiry_s / 3:
            self._put_head()
        return self._shown >= available and self.uploads.is_idle()

    def _scan(self) -> int:
        """Look at what was added; how long the journal is up to its last whole line."""
        with open(self._path, "rb") as file:
            file.seek(self._scanned)
            while chunk := file.read(_SEGMENT_BYTES):
                end = chunk.rfind(b"\n") + 1
                if end == 0:
                    if len(chunk) < _SEGMENT_BYTES:
                        break
                    chunk += file.readline()
                    end = chunk.rfind(b"\n") + 1
                    if end == 0:
                        break
                for upload in named_checkpoints(chunk[:end], self._scanned):
                    self.uploads.add(upload)
                self._scanned += end
                file.seek(self._scanned)
        return self._scanned

    def _part(self, limit: int) -> int:
        """Where to end the next segment: at ``limit``, or before it if that would make the segment large."""
        if limit - self._shown <= _SEGMENT_BYTES:
            return limit
        with open(self._path, "rb") as file:
            file.seek(self._shown)
            whole = self._shown + file.read(_SEGMENT_BYTES).rfind(b"\n") + 1
        part = self.uploads.limit(whole, self._shown)
        return part if part > self._shown else limit

    def _send_segment(self, limit: int) -> None:
        with open(self._path, "rb") as file:
            file.seek(self._shown)
            body = file.read(limit - self._shown)
        head = SegmentHead(self._lease.epoch, self._lease.token, self._shown, len(body))
        self._once("write", segment_key(self._segments), lambda: write_segment(self._store, self._segments, head, body))
        self._segments += 1
        self._shown += len(body)
        self._sent_at = self._beat_at = time.monotonic()  # a segment is a sign of life, too
        self._keep_state()

    def _send_files(self) -> None:
        for name in self._settings.files:
            path = os.path.join(self._folder, name)
            with contextlib.suppress(FileNotFoundError):
                changed = os.stat(path).st_mtime_ns
                if self._times.get(name) != changed:
                    self._once("write", name, partial(self._store.put_file, name, path))
                    self._times[name] = changed

    def _send_artifacts(self) -> None:
        """Have the trials' other files sent: from time to time, and once at the end."""
        if self._artifacts is None or self._artifacts_at == _AT_END:
            return
        if self._closing or time.monotonic() - self._artifacts_at >= ARTIFACTS_S:
            self._artifacts_at = _AT_END if self._closing else time.monotonic()
            self.uploads.submit(self._artifacts.send)

    def _put_head(self, released: bool = False) -> None:
        self._beat += 1
        lease = self._lease
        head = Head(lease.epoch, lease.token, self._beat, self._segments, self._shown, time.time(), released)
        key, data = head_key(lease.epoch), msgspec.json.encode(head)
        self._once("write", key, lambda: self._store.put(key, data))
        self._beat_at = time.monotonic()

    def _once(self, verb: str, key: str, action: Callable[[], None]) -> None:
        """Do it without a second attempt, which the next turn is; an error names the object."""
        self._doing = f"{verb} {redacted(self._store.url)}/{key}"
        with_retries(self._doing, action, deadline_s=0.0)
        self._doing = ""

    def _keep_state(self) -> None:
        lease = self._lease
        state = StoreState(self._store.url, lease.epoch, lease.token, self._segments, self._shown)
        with contextlib.suppress(OSError):
            write_state(self._folder, state)

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def _report(self, what: str, error: BaseException | None) -> None:
        """Something of this kind was sent (None), or could not be."""
        where = redacted(self._store.url)
        with self._lock:
            if error is None:
                if not self._failures.pop(what, 0):
                    return
                self._errors.pop(what, None)
                if self._away_since is not None and not self._failures:
                    away_s, self._away_since = time.monotonic() - self._away_since, None
                    self._notes.append(f"The store {where} takes everything again, after {away_s:.0f} s.")
                    logger.info("The store %s takes everything again", where)
                return
            self._failures[what] = self._failures.get(what, 0) + 1
            self._errors[what] = text = describe(error)
            logger.info("The store %s: %s", where, text)
            if self._failures[what] == _SAID_AFTER and self._away_since is None:
                self._away_since = time.monotonic()
                self._notes.append(
                    f"The store {where} does not take the {what} ({text}). The run goes on; everything is kept in "
                    f"{self._folder} and sent when the store takes it."
                )

    def _what_it_waits_for(self) -> str:
        waiting, url = self.uploads.waiting(), redacted(self._store.url)
        doing = self._doing or (f"write {url}/{waiting[0].key}" if waiting else f"write {url}")
        unsent_bytes = os.path.getsize(self._path) - self._shown
        return (
            f"The run is over and waits for its store, to {doing}: {len(waiting)} checkpoints and {unsent_bytes} bytes "
            f"of the journal are not there yet. It waits {self._settings.flush_s:g} s without progress, and keeps what "
            "is left."
        )

    def _locked(self, superseded: SupersededError) -> ExperimentLockedError:
        with contextlib.suppress(Exception):
            holder = last_lease(self._store)
            if holder is not None and holder.epoch != self._lease.epoch:
                return held_by(self._store.url, holder)
        return ExperimentLockedError(superseded.asked, superseded.found, superseded.cause, superseded.fix)

    def _progress(self) -> tuple[int, int, int]:
        return self._segments, len(self.uploads.waiting()), self._scanned

    def _unsent(self) -> Unsent | None:
        if self._superseded is not None:
            return None
        size = os.path.getsize(self._path)
        waiting = self.uploads.waiting()
        if self._shown >= size and not waiting:
            return None
        total = sum(upload.size_bytes for upload in waiting)
        error = "; ".join(self._errors.values())
        return Unsent(size - self._shown, len(waiting), total, error, self._folder, self._store.url)


class MirroredWriter:
    """A journal whose driver is told when another one has taken the experiment over, and what the mirror says."""

    def __init__(self, journal: Journal, mirror: Mirror, note: Callable[[str], None]) -> None:
        self.append = journal.append
        self._journal = journal
        self._mirror = mirror
        self._note = note

    def write(self) -> None:
        """Write what was appended since the last time."""
        self._journal.write()
        self._mirror.check()
        for text in self._mirror.notes():
            self._note(text)
