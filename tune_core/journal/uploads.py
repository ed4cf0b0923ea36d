"""Checkpoints on their way from an experiment's working folder to its object store.

Each checkpoint that the journal names is uploaded in the background and tried again until it is there. What the store
shows of the journal must never name a checkpoint that it does not hold, so :meth:`Uploads.limit` says how far the
journal may be shown; one that was superseded before it was sent is not sent at all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tune_core.core import events as ev
from tune_core.core.paths import trial_folder
from tune_core.journal.format import JOURNAL_FILE
from tune_core.storage.folders import delete_folder, is_whole, upload_folder
from tune_core.storage.objects import ObjectStore
from tune_core.storage.retries import pause_s

logger = logging.getLogger(__name__)

THREADS = 3
FULL_FILE = ".uploads-full"
"""In the working folder while more waits to be sent than the bound allows: workers then wait before they save."""
_MARK = b'"checkpoint":"'
_NAME = re.compile(r"checkpoint_[A-Za-z0-9_]{1,80}")


@dataclass
class Upload:
    """A checkpoint that the journal names in the line from ``start`` to ``end``."""

    trial: int
    name: str
    start: int
    end: int
    size_bytes: int = 0
    dropped_at: int | None = None  # the journal's length when it became superfluous
    sent: bool = False
    attempts: int = 0
    like: str | None = None  # key of the trial's checkpoint before
    failure: str = ""

    @property
    def key(self) -> str:
        """Its key in the store."""
        return checkpoint_key(self.trial, self.name)


@dataclass
class Health:
    """Whether the store answers, as far as is known."""

    away: bool = False
    error: str = ""
    notes: list[str] = field(default_factory=list)


def checkpoint_key(trial: int, name: str) -> str:
    """The key of a checkpoint below its experiment's URL."""
    return f"trial_{trial:05d}/{name}"


def named_checkpoints(lines: bytes, offset: int) -> list[Upload]:
    """The checkpoints that journal lines name; ``offset`` is where they begin in the journal."""
    found = []
    at = lines.find(_MARK)
    while at >= 0:
        start = lines.rfind(b"\n", 0, at) + 1
        end = lines.find(b"\n", at) + 1 or len(lines)
        for event in ev.decode_lines(lines[start:end]):
            name = getattr(event, "checkpoint", None)
            if type(event) in (ev.Reported, ev.Saved) and isinstance(name, str) and _NAME.fullmatch(name):
                found.append(Upload(event.trial, name, offset + start, offset + end))
        at = lines.find(_MARK, end)
    return found


class Uploads:
    """Sends checkpoints, and deletes those that are superfluous.

    Parameters
    ----------
    store
        The experiment's objects.
    folder
        Its working folder.
    bound_bytes
        How much may wait before workers are made to wait.
    report
        Told of each success (None) and failure.
    is_kept
        Whether a trial still keeps a checkpoint. One that went before this process began is not told of by
        :meth:`drop`; None: there are none.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        bound_bytes: int,
        report: Callable[[BaseException | None], None],
        is_kept: Callable[[int, str], bool] | None = None,
    ) -> None:
        self._is_kept = is_kept
        self._store = store
        self._folder = folder
        self._bound = bound_bytes
        self._report = report
        self._lock = threading.Lock()
        self._by_key: dict[str, Upload] = {}  # named, and not known to be both sent and shown
        self._newest: dict[int, str] = {}  # by trial: key of the last one that was sent
        self._deletions: list[tuple[int, str]] = []  # (journal's length that must be shown first, key)
        self._sending: set[str] = set()
        self._delete_when_sent: set[str] = set()  # superfluous while they are being sent
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._open = 0  # jobs that are not done
        self._threads = [
            threading.Thread(target=self._work, name=f"tune-core-upload-{i}", daemon=True) for i in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    # --- what the mirror and the loop say -----------------------------------------------------------------------------

    def add(self, upload: Upload) -> None:
        """A line names a checkpoint."""
        upload.size_bytes = _size_of(self._local(upload))
        with self._lock:
            before = self._by_key.get(upload.key)
            if before is not None:  # dropped before the line was read here, or named twice
                before.start, before.end = min(before.start, upload.start), max(before.end, upload.end)
                if before.dropped_at is None:
                    return
                upload = before
            self._by_key[upload.key] = upload
        self.submit(lambda: self._send(upload))
        self._signal_if_full()

    def drop(self, trial: int, name: str, at: int) -> None:
        """A checkpoint may be deleted once the store shows the journal up to ``at``."""
        if not _NAME.fullmatch(name):
            return
        with self._lock:
            key = checkpoint_key(trial, name)
            upload = self._by_key.setdefault(key, Upload(trial, name, at, at))
            upload.dropped_at = at
            self._deletions.append((at, key))

    def limit(self, available: int, shown: int) -> int:
        """How much of the journal, of which ``available`` bytes are there, may be shown now."""
        with self._lock:
            waiting = [u for u in self._by_key.values() if not u.sent and u.end > shown]
        hidden = []
        for upload in waiting:
            if upload.dropped_at is not None and upload.dropped_at <= available:
                hidden.append(upload)
            else:
                available = min(available, upload.start)
        for upload in sorted(hidden, key=lambda u: -u.start):
            until = upload.dropped_at or 0
            if upload.start < available < until:
                available = upload.start
        return max(available, shown)

    def shown(self, size_bytes: int) -> None:
        """The store shows so much of the journal: what that makes superfluous may go."""
        with self._lock:
            due = [key for at, key in self._deletions if at <= size_bytes]
            self._deletions = [(at, key) for at, key in self._deletions if at > size_bytes]
            for key in [k for k, u in self._by_key.items() if u.end <= size_bytes and (u.sent or k in due)]:
                del self._by_key[key]
        for key in due:
            self.submit(lambda key=key: self._delete(key))  # type: ignore[misc]
        self._signal_if_full()

    def waiting(self) -> list[Upload]:
        """What is still to be sent."""
        with self._lock:
            return [u for u in self._by_key.values() if not u.sent and u.dropped_at is None]

    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        with self._lock:
            return self._open == 0

    def close(self) -> None:
        """Give up what is not sent yet."""
        self._stop.set()
        for _ in self._threads:
            self._jobs.put(None)
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self._folder, FULL_FILE))

    # --- the work -----------------------------------------------------------------------------------------------------

    def submit(self, job: Callable[[], object]) -> None:
        """Have ``job`` called by one of the threads, again and again until it succeeds."""
        with self._lock:
            self._open += 1
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stop.is_set():
            attempt = 0
            while not self._stop.is_set():
                try:
                    job()
                    break
                except Exception as error:
                    self._report(error)
                    self._signal_if_full(away=True)
                    self._stop.wait(pause_s(attempt))
                    attempt += 1
            with self._lock:
                self._open -= 1

    def _send(self, upload: Upload) -> bool:
        """One attempt at a checkpoint."""
        with self._lock:
            if upload.dropped_at is not None:
                return True
            self._sending.add(upload.key)
        try:
            return self._send_now(upload)
        finally:
            with self._lock:
                self._sending.discard(upload.key)
                superfluous = upload.key in self._delete_when_sent
                self._delete_when_sent.discard(upload.key)
            if superfluous:
                self.submit(lambda: self._delete(upload.key))

    def _send_now(self, upload: Upload) -> bool:
        source = self._local(upload)
        if os.path.isdir(source):
            with self._lock:
                like = self._newest.get(upload.trial)
            try:
                upload_folder(self._store, source, upload.key, like, deadline_s=0.0)
            except Exception:
                if upload.dropped_at is not None:  # deleted here while it was sent
                    return True
                raise
        elif self._is_kept is not None and not self._is_kept(upload.trial, upload.name):
            # it went in an earlier life: the store shows no line that names it before those that tell so
            self.drop(upload.trial, upload.name, os.path.getsize(os.path.join(self._folder, JOURNAL_FILE)))
            return True
        elif not is_whole(self._store, upload.key):  # else the worker that made it has sent it
            logger.warning("The checkpoint %s was lost before it was sent to the store", upload.key)
        self._report(None)
        with self._lock:
            upload.sent = True
            self._newest[upload.trial] = upload.key
        self._signal_if_full()
        return True

    def _delete(self, key: str) -> bool:
        with self._lock:
            if key in self._sending:  # an object that is on its way would come behind the deletion
                self._delete_when_sent.add(key)
                return True
        delete_folder(self._store, key)
        self._report(None)
        return True

    def _local(self, upload: Upload) -> str:
        return os.path.join(trial_folder(self._folder, upload.trial), upload.name)

    def _signal_if_full(self, away: bool = False) -> None:
        """Make workers wait, or go on. They never wait for a store that is away."""
        path = os.path.join(self._folder, FULL_FILE)
        full = not away and sum(upload.size_bytes for upload in self.waiting()) > self._bound
        with contextlib.suppress(OSError):
            if full:
                open(path, "w").close()
            elif os.path.exists(path):
                os.unlink(path)


def _size_of(folder: str) -> int:
    total = 0
    with contextlib.suppress(OSError):
        for where, _, files in os.walk(folder):
            total += sum(os.path.getsize(os.path.join(where, name)) for name in files)
    return total
