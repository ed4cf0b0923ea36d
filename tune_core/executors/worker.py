"""The trial's side, shared by every executor: takes trials from a link, runs them, and sends their events back.

Events leave as the journal's own lines. Under its lease a trial sends them in batches without waiting; at the lease's
end, and where the driver wants to test each result, it sends what it has and waits for the answer.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tune_core.engine import events as ev
from tune_core.errors import MissingMetricError, TuneError
from tune_core.executors.base import RunSpec
from tune_core.objective import DEFAULT_METRIC, lookup
from tune_core.sanitize import plain_metrics
from tune_core.session import StopTrial, set_session
from tune_core.trainable import DONE, RESULT_DUPLICATE, SHOULD_CHECKPOINT, Prepared, Trainable

FLUSH_BYTES = 1 << 16
FLUSH_S = 0.05
_NO_TIME = float("-inf")


class Link(Protocol):
    """A worker's connection to its driver."""

    def send(self, lines: bytes) -> None:
        """Pass journal lines to the driver."""

    def receive(self) -> tuple[Any, ...] | None:
        """Wait for a message; None when there will be no more."""

    def has_message(self) -> bool:
        """Whether a message is there."""


class CheckpointStore(Protocol):
    """Where a worker's checkpoints go and come from."""

    def save(self, source: str, trial: int, name: str) -> None:
        """Persist the folder ``source`` as a checkpoint of a trial, all at once."""

    def fetch(self, trial: int, name: str) -> str:
        """A local folder with the checkpoint's content."""


class FolderStore:
    """Checkpoints in the experiment's folder, which this process can reach."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def save(self, source: str, trial: int, name: str) -> None:
        from tune_core.storage.local import persist

        persist(source, os.path.join(trial_folder(self._folder, trial), name))

    def fetch(self, trial: int, name: str) -> str:
        return os.path.join(trial_folder(self._folder, trial), name)


def trial_folder(experiment: str, trial: int) -> str:
    """A trial's folder in its experiment's."""
    return f"{experiment}/trial_{trial:05d}"


class TrialSession:
    """One attempt at one trial, as user code talks to it through ``tune_core.session``."""

    def __init__(self, worker: Worker, job: ev.Launch) -> None:
        self._worker = worker
        self._spec = worker.spec
        self.job = job
        self.iteration = job.iteration
        self.ended_how: str | None = None  # set once the trial is to end
        self.ended_why = ""
        self._until = job.lease.until
        self._steps = job.lease.steps
        self._time_attr = self._spec.time_attr
        self._stop = tuple(self._spec.stop.items())
        self._lock = threading.RLock()
        self._waited = 0.0
        self._base = job.seconds
        self._began = time.perf_counter()
        self.last_metrics: Mapping[str, Any] | None = None
        self.refused = ""  # why no trial of this objective can be judged, seen in another process
        self._saved_at = -1
        self._at_end: list[Callable[[], None]] = []

    # --- what user code sees ------------------------------------------------------------------------------------------

    @property
    def info(self) -> Mapping[str, Any]:
        """See :class:`tune_core.session.Session`."""
        job, spec = self.job, self._spec
        trial_id = f"{job.trial:05d}"
        return {
            "trial_id": trial_id,
            "trial_name": f"{spec.trainable_name}_{trial_id}",
            "trial_dir": trial_folder(spec.folder, job.trial),
            "experiment_name": spec.name,
            "experiment_dir": spec.folder,
            "resources": job.resources,
            "config": job.config,
            "attempt": job.attempt,
        }

    def start_checkpoint(self) -> Any:
        """See :class:`tune_core.session.Session`."""
        if self.job.checkpoint is None:
            return None
        from tune_core.checkpoint import Checkpoint

        return Checkpoint(self._worker.store.fetch(*self.job.checkpoint))

    def report(self, metrics: Mapping[str, Any], checkpoint: Any = None) -> bool:
        """Pass on a result; False if the trial is to end."""
        with self._lock:
            if self.ended_how is not None:
                return False
            plain, nonfinite = plain_metrics(metrics)
            if self.last_metrics is None:
                self._check_first(plain)
            self.last_metrics = plain
            self.iteration += 1
            seconds = time.perf_counter() - self._began - self._waited + self._base
            name = self._save(checkpoint) if checkpoint is not None else None
            event = ev.Reported(
                self.job.trial, self.iteration, time.time(), seconds, plain, name, 0, nonfinite, self.job.attempt
            )
            if self._meets_stop(event):
                self._worker.send_later(ev.encode(event))
                return False
            due = self._lease_ends(event)
            if due or self._spec.needs_every_result:
                event.waiting = ev.WAITS_FOR_SCHEDULER if due else ev.WAITS_FOR_DRIVER
                self._worker.send_later(ev.encode(event))
                self._await_verdict()
            else:
                self._worker.send_later(ev.encode(event))
                if name is not None:
                    self._worker.flush()  # a checkpoint is what a crash must not cost
                self._worker.flush_if_due(self)
            return self.ended_how is None

    def save(self, checkpoint: Any) -> None:
        """See :class:`tune_core.session.Session`."""
        with self._lock:
            if self._saved_at != self.iteration:
                name = self._save(checkpoint)
                self._worker.send_later(ev.encode(ev.Saved(self.job.trial, self.iteration, name)))

    def checkpoint_due(self, metrics: Mapping[str, Any]) -> bool:
        """See :class:`tune_core.session.Session`."""
        return self._spec.saves_at_lease_end and self.lease_would_end(metrics)

    def at_end(self, function: Callable[[], None]) -> None:
        """See :class:`tune_core.session.Session`."""
        self._at_end.append(function)

    def run_at_end(self) -> None:
        """The objective has returned, or left at the driver's wish."""
        while self._at_end:
            self._at_end.pop(0)()

    # --- leases -------------------------------------------------------------------------------------------------------

    def lease_would_end(self, metrics: Mapping[str, Any]) -> bool:
        """Whether the next report will wait for the scheduler; class trainables save a checkpoint with it."""
        if self._steps is not None and self._steps <= 1:
            return True
        if self._until is None:
            return False
        if self._time_attr == "training_iteration":
            return self.iteration + 1 >= self._until
        if self._time_attr == "time_total_s":
            return time.perf_counter() - self._began - self._waited + self._base >= self._until
        value = lookup(metrics, self._time_attr)
        return value is not None and value >= self._until

    def _lease_ends(self, event: ev.Reported) -> bool:
        if self._steps is not None:
            self._steps -= 1
            if self._steps <= 0:
                return True
        if self._until is None:
            return False
        if self._time_attr == "training_iteration":
            return event.iteration >= self._until
        if self._time_attr == "time_total_s":
            return event.seconds >= self._until
        value = lookup(event.metrics, self._time_attr)
        if value is None:
            raise MissingMetricError(
                f"time_attr={self._time_attr!r}",
                f"is not among the reported metrics {sorted(event.metrics)}",
                "the scheduler measures a trial's progress by it",
                f"Report {self._time_attr!r} with every result, or leave time_attr at 'training_iteration'.",
            )
        return bool(value >= self._until)

    def _meets_stop(self, event: ev.Reported) -> bool:
        for name, threshold in self._stop:
            if name == "training_iteration":
                value: Any = event.iteration
            elif name == "time_total_s":
                value = event.seconds
            else:
                value = lookup(event.metrics, name)
                if isinstance(value, str):
                    continue  # not finite
            if value is not None and value >= threshold:
                self.end("stopped", f"stop condition: {name} = {value} has reached {threshold}")
                return True
        if event.metrics.get(DONE) is True:
            self.end("completed", "the result said done")
            return True
        return False

    def _await_verdict(self) -> None:
        self._worker.flush()
        began = time.perf_counter()
        while True:
            message = self._worker.link.receive()
            if message is None:
                raise StopTrial
            if self.take(message):
                break
        self._waited += time.perf_counter() - began

    def take(self, message: tuple[Any, ...]) -> bool:
        """Act on a message from the driver; whether it answers a waiting trial."""
        kind = message[0]
        if kind == "launch":
            self._worker.inbox.append(message)
            return False
        if message[1:3] != (self.job.trial, self.job.attempt):
            return False  # for an attempt that is over
        if kind == "extend":
            lease: ev.Lease | None = message[3]
            if lease is not None:
                self._until, self._steps = lease.until, lease.steps
        elif kind == "halt":
            self.end(message[3], message[4])
        elif kind == "revoke":
            self.end("revoked", message[3])
        return True

    def end(self, how: str, why: str) -> None:
        """From now on the trial is to end."""
        if self.ended_how is None:
            self.ended_how, self.ended_why = how, why

    # --- checks and checkpoints ---------------------------------------------------------------------------------------

    def _check_first(self, metrics: Mapping[str, Any]) -> None:
        for name in self._spec.metrics:
            if lookup(metrics, name) is None and name not in ("training_iteration", "time_total_s"):
                raise MissingMetricError(
                    f"The metric {name!r}",
                    f"is not in the first report, which has {sorted(metrics)}",
                    "TuneConfig, the scheduler or the searcher compares trials by it",
                    f"Report it: tune.report({{{name!r}: ...}}), or name one of the reported metrics.",
                )

    def _save(self, checkpoint: Any) -> str:
        name = self.checkpoint_name()
        self._saved_at = self.iteration
        with checkpoint.as_directory() as folder:
            self._worker.store.save(folder, self.job.trial, name)
        return name

    def checkpoint_name(self) -> str:
        """Name for a checkpoint made at the present iteration; no two attempts of a trial share one."""
        name = f"checkpoint_{self.iteration:06d}"
        return name if self.job.attempt == 1 else f"{name}_{self.job.attempt}"


class Worker:
    """Runs trials one after another, from a link, until it closes."""

    def __init__(self, link: Link, spec: RunSpec, prepared: Prepared, store: CheckpointStore | None = None) -> None:
        self.link = link
        self.spec = spec
        self.store: CheckpointStore = store or FolderStore(spec.folder)
        self.inbox: deque[tuple[Any, ...]] = deque()
        self.output: Output | None = None
        self._prepared = prepared
        self._buffer: list[bytes] = []
        self._bytes = 0
        self._flushed_at = _NO_TIME
        self._lock = threading.RLock()
        self._kept: Trainable | None = None

    # --- sending ------------------------------------------------------------------------------------------------------

    def send_later(self, line: bytes) -> None:
        """Put a line into the present batch."""
        with self._lock:
            self._buffer.append(line)
            self._bytes += len(line)

    def flush(self) -> None:
        """Send the present batch."""
        with self._lock:
            self._flushed_at = time.perf_counter()
            if self._buffer:
                lines = b"".join(self._buffer)
                self._buffer.clear()
                self._bytes = 0
                self.link.send(lines)

    def flush_if_due(self, session: TrialSession) -> None:
        """Send the batch if it is large or old, and look for a revocation."""
        if self._bytes >= FLUSH_BYTES or time.perf_counter() - self._flushed_at >= FLUSH_S:
            self.flush()
            while self.link.has_message():
                message = self.link.receive()
                if message is None:
                    raise StopTrial
                session.take(message)

    # --- running ------------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Run what the driver sends until the link closes."""
        while True:
            message = self.inbox.popleft() if self.inbox else self.link.receive()
            if message is None:
                break
            if message[0] == "launch":
                self.run(message[1])
        self._discard_kept()

    def run(self, job: ev.Launch) -> None:
        """Run one attempt at a trial and send its end."""
        if self.output is not None:
            self.output.begin(trial_folder(self.spec.folder, job.trial))
        session = TrialSession(self, job)
        before = set_session(session)
        how, error = "completed", ""
        try:
            if self._prepared.is_class:
                self._run_class(session)
            else:
                self._run_function(session)
            how = session.ended_how or "completed"
        except StopTrial:
            how = session.ended_how or "revoked"
        except MissingMetricError as raised:
            how, error = "invalid", str(raised)
        except KeyboardInterrupt:
            how, error = "errored", "KeyboardInterrupt"
            if threading.current_thread() is threading.main_thread() and self.output is None:
                raise
        except SystemExit as raised:
            how, error = "errored", f"the objective called sys.exit({raised.code!r})"
        except BaseException as raised:
            how, error = ("invalid", session.refused) if session.refused else ("errored", _describe(raised))
        finally:
            set_session(before)
            if how == "errored":
                self._discard_kept()
        if self.output is not None:
            tail = self.output.end(keep_tail=bool(error))
            if error:
                error = ev.with_output(error, tail)
        self.send_later(ev.encode(ev.Ended(job.trial, how, time.time(), session.ended_why, error, job.attempt)))
        self.flush()

    def _run_function(self, session: TrialSession) -> None:
        try:
            self._drive(session)
        except StopTrial:
            if session.ended_how is None:
                raise
        session.run_at_end()

    def _drive(self, session: TrialSession) -> None:
        answer = self._prepared(session.job.config)
        if inspect.isgenerator(answer):
            with contextlib.closing(answer):
                for item in answer:
                    if not session.report(_as_metrics(item)):
                        return
        elif answer is not None:
            session.report(_as_metrics(answer))

    def _run_class(self, session: TrialSession) -> None:
        spec, job = self.spec, session.job
        trainable = self._trainable_for(session)
        trainable._iteration = job.iteration
        if job.checkpoint is not None:
            trainable.load_checkpoint(_load_class_checkpoint(self.store.fetch(*job.checkpoint)))
        saved_at = job.iteration
        go_on = True
        while go_on:
            result = dict(trainable.step())
            trainable._iteration += 1
            if result.pop(RESULT_DUPLICATE, False):
                break
            asked = result.pop(SHOULD_CHECKPOINT, False)
            every = spec.checkpoint_frequency
            checkpoint = None
            if (
                asked
                or (every and trainable._iteration % every == 0)
                or (spec.saves_at_lease_end and session.lease_would_end(result))
            ):
                checkpoint = _ClassCheckpoint(trainable)
                saved_at = trainable._iteration
            go_on = session.report(result, checkpoint)
        if saved_at != trainable._iteration and (spec.checkpoint_at_end or session.ended_how == "revoked"):
            with contextlib.suppress(NotImplementedError):
                name = session._save(_ClassCheckpoint(trainable))
                self.send_later(ev.encode(ev.Saved(job.trial, session.iteration, name, job.attempt)))
        if spec.reuse and _overrides(trainable, "reset_config"):
            self._kept = trainable
        else:
            trainable.stop()

    def _trainable_for(self, session: TrialSession) -> Trainable:
        """A new instance, or the last one if it accepts the new configuration."""
        kept, self._kept = self._kept, None
        config = session.job.config
        if kept is not None:
            if kept.reset_config(config):
                kept.config = config
                kept._trial_info = session.info
                return kept
            kept.stop()
        cls: Any = self._prepared.trainable
        made: Trainable = cls.__new__(cls)
        made._trial_info = session.info
        made.__init__(config, **self._prepared.parameters)  # type: ignore[misc]
        made._trial_info = session.info
        return made

    def _discard_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            with contextlib.suppress(Exception):
                kept.stop()


class _ClassCheckpoint:
    """A class trainable's state as a checkpoint folder, made when it is asked for."""

    def __init__(self, trainable: Trainable) -> None:
        self._trainable = trainable

    @contextlib.contextmanager
    def as_directory(self) -> Any:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="tune-core-") as folder:
            answer = self._trainable.save_checkpoint(folder)
            if isinstance(answer, dict):
                import cloudpickle

                with open(os.path.join(folder, CLASS_STATE), "wb") as file:
                    cloudpickle.dump(answer, file)
            yield folder


CLASS_STATE = "trainable_state.pkl"


def _load_class_checkpoint(folder: str) -> Any:
    """What ``load_checkpoint`` gets: the dict that ``save_checkpoint`` returned, else the folder."""
    path = os.path.join(folder, CLASS_STATE)
    if not os.path.exists(path):
        return folder
    import cloudpickle

    with open(path, "rb") as file:
        return cloudpickle.load(file)


def _overrides(trainable: Trainable, method: str) -> bool:
    return getattr(type(trainable), method) is not getattr(Trainable, method)


def _as_metrics(value: Any) -> Any:
    """What a function returned or yielded, as metrics: a bare number gets the default metric's name."""
    return value if isinstance(value, Mapping) else {DEFAULT_METRIC: value}


def _describe(error: BaseException) -> str:
    """An exception as text: tune-core's own errors without a traceback, the user's without our frames."""
    if isinstance(error, TuneError):
        return f"{type(error).__name__}: {error}"
    frames = error.__traceback__
    here = os.path.dirname(os.path.dirname(__file__))
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(here):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).strip()


_TRUNCATE_BYTES = 1 << 20


class Output:
    """What a worker process prints, sorted into the trials' own files.

    The process's stdout and stderr both go to one file (so the C level and child processes are caught too); what was
    written while a trial ran is moved to ``output.log`` in its folder. A trial that prints nothing costs no file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open(path, "rb")  # noqa: SIM115 - lives as long as the process
        self._folder: str | None = None
        self._at = 0
        self._lock = threading.Lock()

    def begin(self, folder: str) -> None:
        """A trial starts."""
        with self._lock:
            self._folder = folder
            self._at = os.fstat(self._file.fileno()).st_size

    def end(self, keep_tail: bool) -> str:
        """A trial ends; with ``keep_tail`` the last lines of its output."""
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        self.move()
        with self._lock:
            folder, self._folder = self._folder, None
            if self._at > _TRUNCATE_BYTES:
                os.truncate(self._path, 0)
        return last_lines(os.path.join(folder, OUTPUT_FILE)) if keep_tail and folder else ""

    def move(self) -> None:
        """Move what has been written so far to the running trial's file."""
        with self._lock:
            if self._folder is None or os.fstat(self._file.fileno()).st_size == self._at:
                return
            self._file.seek(self._at)
            data = self._file.read()
            self._at += len(data)
            self.write(self._folder, data)

    def write(self, folder: str, data: bytes) -> None:
        """Add to a trial's file."""
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, OUTPUT_FILE), "ab") as file:
            file.write(data)


OUTPUT_FILE = "output.log"


def last_lines(path: str, count: int = 20) -> str:
    """The last lines of a text file; empty if it isn't there."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])
