"""Trials in worker processes on this machine: the default executor.

Workers import no main script, are kept from trial to trial, and lead process groups of their own, so that whatever a
trial has started dies with it. Each holds the reading end of a pipe that only the driver has open for writing: when the
driver dies, however it dies, so do they. ``tune_core.executors`` has the whole picture.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping

from tune_core.core import events as ev
from tune_core.core.paths import trial_folder
from tune_core.core.validation import python_values
from tune_core.errors import InvalidArgumentError, SerializationError
from tune_core.executors.base import Answering, Executor, RunSpec, ends_a_trial
from tune_core.executors.local.hand import Hands
from tune_core.executors.local.handle import WorkerProcess
from tune_core.executors.local.output import FREE_BYTES, OUTPUT_FILE, last_lines
from tune_core.executors.local.pool import (
    free_thread_variables,
    idle_seconds,
    is_harmless,
    keep,
    start_worker,
    take_kept,
    worker_environment,
)
from tune_core.executors.machine_resources import Allocation, Machine, available_cpus, discover_gpus, total_memory
from tune_core.executors.worker import payload
from tune_core.executors.worker.system import fill_standard_streams
from tune_core.trainable import Prepared
from tune_core.trainable.resources import PlacementGroupFactory, Request, check_resources

_log = logging.getLogger(__name__)
_RECEIVE_BYTES = 1 << 18


class LocalExecutor(Answering, Executor):
    """Runs trials in processes on this machine, as many at once as the resources allow.

    Parameters
    ----------
    num_cpus
        CPUs to hand out; None: those that this process may use.
    num_gpus
        GPUs to hand out; None: those in ``CUDA_VISIBLE_DEVICES``, else those that the driver of the machine lists.
    resources
        Amounts of custom resources, e.g. ``{"license": 2}``.
    idle_s
        Seconds for which what a run has loaded is kept for the next run of this process (see
        ``tune_core.executors``); 0 keeps nothing. None: the environment variable ``TUNE_CORE_IDLE_WORKERS_S``, else
        300.
    """

    name = "local"

    @python_values
    def __init__(
        self,
        num_cpus: float | None = None,
        num_gpus: int | None = None,
        resources: Mapping[str, float] | None = None,
        idle_s: float | None = None,
    ) -> None:
        cpus = num_cpus if num_cpus is not None else available_cpus()
        for label, value in (("num_cpus", num_cpus), ("num_gpus", num_gpus)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
                raise InvalidArgumentError(
                    f"LocalExecutor({label})", f"is {value!r}", "it is an amount", "Use a number from 0, or None."
                )
        if num_gpus is not None and num_gpus != int(num_gpus):
            raise InvalidArgumentError(
                "LocalExecutor(num_gpus)",
                f"is {num_gpus!r}",
                "a machine has whole devices",
                "Use a whole number; trials ask for fractions: tune.with_resources(objective, {'gpu': 0.5}).",
            )
        custom = check_resources(resources if resources is not None else {}, "LocalExecutor(resources)")
        gpus = None if num_gpus is None else int(num_gpus)
        self.idle_s = idle_seconds(idle_s)  #: how long idle processes are kept
        self._make_machine: Callable[[], Machine] = lambda: Machine(
            cpus, discover_gpus(gpus), {"memory": total_memory(), **custom}
        )
        self._machine = self._make_machine()  #: what there is, and who holds it
        self._hands = Hands()  #: workers to which trials can be sent ahead
        self._early: list[ev.Batch] = []  #: what was read between two polls
        self._idle: list[WorkerProcess] = []  #: have the trainable and run nothing
        self._busy: dict[int, WorkerProcess] = {}  #: by the trial that they run
        self._reserved: dict[str, WorkerProcess] = {}  #: by name: a place is held, the launch is to come
        self._local_events: deque[ev.Event] = deque()  #: made here, for the next poll
        self._environments: dict[tuple[float, tuple[str, ...]], dict[str, str]] = {}  #: by CPUs and GPU devices
        self._started = 0  #: workers so far, for their names
        self._payload: payload.Dumped | None = None  #: the trainable
        self._shares_workers = False  #: with the runs before and behind this one
        self._selector: selectors.BaseSelector | None = None  #: over all workers' connections and the wake-up pipe
        self._wake_read, self._wake_write = -1, -1  #: a byte in this pipe ends a poll

    def capacity(self) -> dict[str, float]:
        """What there is to share out among trials."""
        return self._machine.capacity()

    # --- life ---------------------------------------------------------------------------------------------------------

    def pack(self, prepared: Prepared) -> int:
        fill_standard_streams()
        self._payload = payload.dump(prepared, prepared.__name__)
        return self._payload.handle

    def start(self, run: RunSpec, pump: Callable[[list[ev.Batch]], None]) -> None:
        self._run = run
        self._thread_variables = free_thread_variables()
        self._environments.clear()
        self._shares_workers = self._runs_libraries_only()
        self._hands.begin(run)
        self._selector = selectors.DefaultSelector()
        self._machine = self._make_machine()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)

    def close(self, grace_s: float = 1.0) -> None:
        everyone = list(dict.fromkeys([*self._idle, *self._busy.values(), *self._reserved.values()]))
        if self._shares_workers:
            everyone = [process for process in everyone if process.job is not None or not keep(process, self.idle_s)]
        for process in everyone:
            if process.job is None:
                with contextlib.suppress(OSError):
                    process.socket.shutdown(socket.SHUT_WR)  # lets it clean up and leave
        deadline = time.monotonic() + grace_s
        for process in everyone:
            if process.job is None:
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
        for those in (self._idle, self._busy, self._reserved, self._local_events, self._early):
            those.clear()
        if self._payload is not None:
            os.close(self._payload.handle)
            self._payload = None
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        for fd in (self._wake_read, self._wake_write):
            if fd >= 0:
                os.close(fd)
        self._wake_read = self._wake_write = -1

    def _runs_libraries_only(self) -> bool:
        """Whether nothing but code of installed libraries runs in the workers: several runs may have them in turn."""
        run, dumped = self._run, self._payload
        if not run.reuse or run.chdir or run.store is not None or dumped is None or dumped.has_code:
            return False
        return all(map(is_harmless, {name.partition(".")[0] for name in dumped.modules}))

    # --- places -------------------------------------------------------------------------------------------------------

    def refuse(self, resources: Request | None) -> str | None:
        return self._machine.refuse(_as_dict(resources))

    def room(self, resources: Request | None) -> bool:
        request = _as_dict(resources)
        return self._machine.fits(request) or self._hands.with_room(request) is not None

    def reserve(self, resources: Request | None) -> str | None:
        request = _as_dict(resources)
        grant = self._machine.take(request)
        if grant is None:
            behind = self._hands.with_room(request)
            if behind is None:
                return None
            behind.promised += 1
            return behind.name
        asked = request.get("cpu", 1), grant.devices
        environment = self._environments.get(asked)
        if environment is None:
            environment = self._environments[asked] = self._environment(grant, request)
        process = self._process_for(environment)
        process.grant = grant
        process.request = request
        process.promised += 1
        self._reserved[process.name] = process
        return process.name

    def waits_for(self) -> str | None:
        return None

    def _environment(self, grant: Allocation, request: Mapping[str, float]) -> dict[str, str]:
        environment = worker_environment(self._run.env, request.get("cpu", 1), self._thread_variables)
        if self._machine.gpus or "CUDA_VISIBLE_DEVICES" in os.environ:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(grant.devices)
        return environment

    def _process_for(self, environment: Mapping[str, str]) -> WorkerProcess:
        for process in self._idle:
            if process.environment == environment:
                self._idle.remove(process)
                return process
        if self._idle and len(self._idle) + len(set(self._busy.values())) >= 2 * available_cpus():
            self._retire(self._idle.pop(0))
        return self._start_process(environment)

    def _start_process(self, environment: Mapping[str, str]) -> WorkerProcess:
        assert self._selector is not None and self._payload is not None
        self._started += 1
        name = f"worker{self._started}"
        process = None
        if self._shares_workers:
            process = take_kept(name, environment, self._run.logging, self.idle_s)
        if process is None:
            process = WorkerProcess(name, environment)
            process.logging = self._run.logging
            try:
                start_worker(process, self.idle_s, self._payload.modules)
            except BaseException:
                process.kill()
                raise
        self._selector.register(process.socket, selectors.EVENT_READ, process)
        process.send(("run", self._run), [self._payload.handle, *self._hands.add(process)])
        return process

    def _retire(self, process: WorkerProcess) -> None:
        self._forget(process)
        process.kill()

    def _forget(self, process: WorkerProcess) -> None:
        if self._selector is not None:
            self._selector.unregister(process.socket)
        self._hands.remove(process)

    # --- trials -------------------------------------------------------------------------------------------------------

    def launch(self, worker: str, job: ev.Launch) -> None:
        process = self._reserved.pop(worker, None) or self._hands.of(worker)
        process.promised -= 1
        process.jobs.append(job)
        process.logged[job.trial] = _size(self._log_of(job.trial)) if job.attempt > 1 else 0
        self._busy[job.trial] = process
        try:
            if len(process.jobs) == 1:
                self._send(process, job)
            elif process.is_apart or process.unsent or not _put(process, job):
                process.unsent.append(job)  # else it might be begun before one that is on the other way
        except Exception as error:  # it could not be pickled
            raise _unsendable(job, error) from error

    def _send(self, process: WorkerProcess, job: ev.Launch) -> None:
        """Have a worker that does nothing run a trial."""
        process.began = time.monotonic()
        process.output_at = process.printed()
        limit = self._run.trial_timeout_s
        process.deadline = None if limit is None else process.began + limit
        process.is_apart = not _put(process, job)
        if process.is_apart:
            process.send(("launch", *ev.parts_of(job)))

    def _answer(self, trial: int, kind: str, *rest: object) -> None:
        process = self._alone_with(trial)
        if process is not None:
            attempt = next(job.attempt for job in process.jobs if job.trial == trial)
            process.send((kind, trial, attempt, *rest))

    def kill(self, trial: int, how: str, why: str) -> None:
        process = self._alone_with(trial)
        if process is not None and len(process.jobs) > 1:  # the ends of those before it are on their way
            self._read_rest(process)
            process = self._busy.get(trial)
        if process is not None:
            self._report_worker_death(process, how, why, trial)

    def _alone_with(self, trial: int) -> WorkerProcess | None:
        """The worker that runs a trial, with nothing in hand behind it; None if it had not begun with it."""
        process = self._busy.get(trial)
        if process is not None and len(process.jobs) > 1:
            self._take_back(process, "handed back: one of those in hand is to end")
            process = self._busy.get(trial)
        return process

    def _take_back(self, process: WorkerProcess, why: str) -> None:
        """Those trials in hand that have not begun are to be run by whoever is free."""
        back = set(process.hand.take_back()) if process.hand is not None else set()
        back.update(job.trial for job in process.unsent)
        process.unsent.clear()
        for job in [job for job in process.jobs if job.trial in back]:
            self._local_events.append(ev.Ended(job.trial, "returned", time.time(), why, "", job.attempt))
            self._remove_job(process, job)
        if back and not process.jobs:
            self._make_idle(process)

    def _read_rest(self, process: WorkerProcess) -> None:
        """Take in what a worker has sent so far."""
        with contextlib.suppress(OSError):  # nothing there, or it has ended
            while data := process.socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT):
                self._take_in(process, data, self._early)

    def _report_worker_death(self, process: WorkerProcess, how: str, why: str, trial: int | None = None) -> None:
        """End a process, and the trial that it runs with it; those that it had in hand go back."""
        self._forget(process)
        process.end()
        job = next((job for job in process.jobs if job.trial == trial), process.job)
        tail = self._rescue_output(process, job) if job is not None else ""
        process.let_go()
        if job is None:
            if process in self._idle:
                self._idle.remove(process)
            return
        error = "" if how in ("stopped", "paused", "revoked") else ev.with_output(why, tail)
        self._local_events.append(ev.Ended(job.trial, how, time.time(), why, error))
        for other in process.jobs:
            if other is not job:
                behind = f"was in hand with trial {job.trial:05d}, whose worker is gone"
                self._local_events.append(ev.Ended(other.trial, "returned", time.time(), behind, "", other.attempt))
        self._release(process)

    def _rescue_output(self, process: WorkerProcess, job: ev.Launch) -> str:
        """Move what a dead process wrote to the trial's own file; its last lines."""
        log = self._log_of(job.trial)
        try:
            at = process.output_at + max(0, _size(log) - process.logged[job.trial])
            rest = os.pread(process.output, max(0, process.printed() - at), at)
            if rest:
                os.makedirs(os.path.dirname(log), exist_ok=True)
                with open(log, "ab") as file:
                    file.write(rest)
        except OSError as error:
            _log.warning("the last output of trial %05d is lost: %s", job.trial, error)
        return last_lines(log)

    def _log_of(self, trial: int) -> str:
        return os.path.join(trial_folder(self._run.folder, trial), OUTPUT_FILE)

    def _release(self, process: WorkerProcess) -> None:
        for job in list(process.jobs):
            self._remove_job(process, job)
        process.unsent.clear()
        if process.grant is not None:
            self._machine.give_back(process.grant)
        process.grant = process.deadline = None

    def _make_idle(self, process: WorkerProcess) -> None:
        """A worker has nothing to do."""
        self._release(process)
        if self._run.reuse:
            self._idle.append(process)
        else:
            self._retire(process)

    def _remove_job(self, process: WorkerProcess, job: ev.Launch) -> None:
        process.jobs.remove(job)
        del process.logged[job.trial], self._busy[job.trial]

    def _trial_ended(self, process: WorkerProcess, event: ev.Ended) -> None:
        """A worker with several trials in hand is done with one."""
        job = next((job for job in process.jobs if job.trial == event.trial), None)
        if job is None:
            return
        moved = 0
        if process.printed() != process.output_at:
            moved = max(0, _size(self._log_of(job.trial)) - process.logged[job.trial])
        self._remove_job(process, job)
        following = process.job
        if following is None:
            return
        if process.unsent and process.unsent[0] is following:
            process.unsent.popleft()
            self._send(process, following)
            return
        # it may have printed already: what came before is as much as went to the file of the one that has ended
        process.output_at += moved
        if process.output_at > FREE_BYTES:  # the worker empties its file then
            process.output_at = 0

    # --- events -------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")

    def clock(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def poll(self, timeout_s: float) -> list[ev.Batch]:
        assert self._selector is not None
        batches, self._early = self._early, []
        if self._hands:
            for process in self._hands.behind_long_ones(time.monotonic()):
                self._take_back(process, "handed back: the one before it runs long")
        if self._local_events or batches:
            timeout_s = 0.0
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                with contextlib.suppress(OSError):
                    os.read(self._wake_read, 1 << 12)
            else:
                self._receive(key.data, batches)
        if self._run.trial_timeout_s is not None:
            self._enforce_timeouts()
        while self._local_events:
            batches.append(ev.batch(self._local_events.popleft()))
        return batches

    def _receive(self, process: WorkerProcess, batches: list[ev.Batch]) -> None:
        try:
            data = process.socket.recv(_RECEIVE_BYTES)
        except OSError:  # a reset connection is an ended one
            data = b""
        if not data:
            self._report_worker_death(process, "crashed", _death(process))
            return
        self._take_in(process, data, batches)

    def _take_in(self, process: WorkerProcess, data: bytes, batches: list[ev.Batch]) -> None:
        cut = data.rfind(b"\n") + 1
        if cut == 0:
            process.rest += data  # in place: a long line costs time in proportion to its length
            return
        lines = bytes(process.rest) + data[:cut] if process.rest else data[:cut]
        process.rest = bytearray(data[cut:])
        events = ev.decode_lines(lines)
        batches.append(ev.Batch(lines, events))
        if len(process.jobs) > 1:
            self._take_ends(process, [event for event in events if event.__class__ is ev.Ended])
        elif process.jobs and ends_a_trial(events):
            if process.hand is not None:
                self._hands.note_ends(process, 1, time.monotonic())
            self._make_idle(process)

    def _take_ends(self, process: WorkerProcess, ends: list[ev.Ended]) -> None:
        """A worker with several trials in hand is done with some of them."""
        if ends:
            self._hands.note_ends(process, len(ends), time.monotonic())
        for event in ends:
            self._trial_ended(process, event)
        if not process.jobs:
            self._make_idle(process)

    def _enforce_timeouts(self) -> None:
        now = time.monotonic()
        for process in [p for p in self._busy.values() if p.deadline is not None and p.deadline < now]:
            limit = self._run.trial_timeout_s
            self._report_worker_death(process, "timeout", f"the trial ran longer than trial_timeout_s={limit}")


def _put(process: WorkerProcess, job: ev.Launch) -> bool:
    """Put a trial into a worker's hand; False if it has none, or not for one so large."""
    return process.hand is not None and process.hand.put(job.trial, ev.parts_of(job))


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # not yet made: nothing was printed
        return 0


_NOTHING: Mapping[str, float] = {}


def _as_dict(resources: Request | None) -> Mapping[str, float]:
    if resources is None:
        return _NOTHING
    return resources.total() if isinstance(resources, PlacementGroupFactory) else resources


def _unsendable(job: ev.Launch, error: Exception) -> SerializationError:
    """The error for a configuration that cannot be pickled; names the parameter that is at fault."""
    name = next((key for key, value in job.config.items() if not payload.pickles(value)), None)
    return SerializationError(
        f"The configuration of trial {job.trial:05d}" if name is None else f"The parameter {name!r}",
        f"cannot be sent to a worker process: {type(error).__name__}: {error}",
        "what a trial gets is pickled on its way to it",
        "Make it inside the objective, bind it with tune.with_parameters if it can be pickled, "
        'or run in this process with RunConfig(executor="inline").',
    )


def _death(process: WorkerProcess) -> str:
    """How a process died, for people."""
    code = process.wait(1.0)
    if code is None:
        return "the worker process closed its connection"
    if code >= 0:
        return f"the worker process exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a signal that Python has no name for
        name = f"signal {-code}"
    hint = {"SIGKILL": " (often: out of memory)", "SIGSEGV": " (a crash in compiled code)"}.get(name, "")
    return f"the worker process was ended by {name}{hint}"
