"""Trials on Ray: actors sized by CPUs, GPU fractions and custom resources, on any number of nodes.

An actor is asked for when a trial wants a place of its shape, and a trial is launched only once its actor runs: so what
Ray has pending is what would be used at once, which an autoscaler sees. Every call to an actor brings it the
messages of one turn of the loop and takes a batch of its events back (see :mod:`tune_core.executors.ray.actor`). Ray's
own thread puts the answers into a queue, and :meth:`RayExecutor.poll` waits on that queue.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from tune_core.core import events as ev
from tune_core.core.paths import trial_folder
from tune_core.core.validation import python_values
from tune_core.errors import ExecutorError, InvalidArgumentError
from tune_core.executors.base import Answering, Executor, RunSpec
from tune_core.executors.local.output import OUTPUT_FILE, last_lines
from tune_core.executors.ray import files as ray_files
from tune_core.executors.ray.cluster import Cluster
from tune_core.executors.ray.host import WorkerActor, how_it_died
from tune_core.executors.ray.pool import FEW_IN_HAND, IN_HAND, Pool
from tune_core.executors.ray.requests import shape_of
from tune_core.executors.worker import payload
from tune_core.trainable import Prepared
from tune_core.trainable.resources import DEFAULT_RESOURCES

_log = logging.getLogger(__name__)

_LONG_S = 0.25
_LOOK_S = 0.1
_FAILED_STARTS = 5
_CLOSING_S = 30.0
"""How long idle actors may take at the end of a run to clean up, and to send the files of their last trial."""
_RESOURCES = "Say what a trial needs with tune.with_resources(trainable, {...})."
_OURS = {
    "num_cpus": _RESOURCES,
    "num_gpus": _RESOURCES,
    "resources": _RESOURCES,
    "memory": _RESOURCES,
    "name": "Leave it out: each actor would have the same name.",
    "max_restarts": "Leave it out: a trial whose worker is lost is tried again by tune-core.",
    "max_concurrency": "Leave it out: an actor runs one trial at a time.",
}
"""Options of actors that are not the user's to give, and what to do instead."""


class RayExecutor(Answering, Executor):
    """Runs trials in Ray actors: on this machine, or on all nodes of a cluster.

    A Ray that this process has joined already is used as it is. One that is started or joined here is left again at the
    end of the run.

    Parameters
    ----------
    address
        The cluster's address, e.g. ``"auto"`` on one of its nodes; None: ``RAY_ADDRESS``, or a new Ray on this machine.
    runtime_env
        Ray's runtime environment for the trials, e.g. ``{"working_dir": ".", "pip": ["tune-core"]}``.
    num_cpus, num_gpus, resources
        What a Ray that is started here has to give; None: what the machine has.
    shared_storage
        Whether the nodes see the experiment's folder; None: each tries. Where it is not seen, checkpoints and output
        travel through the object store.
    autoscaling
        Whether the cluster grows on demand, so that a request that does not fit it now may be waited for; None: finds
        out.
    actor_options
        Further options of Ray actors, e.g. ``{"scheduling_strategy": "SPREAD"}``.

    Examples
    --------
    >>> import tune_core as tune
    >>> from tune_core.executors import RayExecutor
    >>> run_config = tune.RunConfig(executor=RayExecutor(runtime_env={"working_dir": "."}))
    """

    name = "ray"

    @python_values
    def __init__(
        self,
        address: str | None = None,
        runtime_env: Mapping[str, object] | None = None,
        *,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        resources: Mapping[str, float] | None = None,
        shared_storage: bool | None = None,
        autoscaling: bool | None = None,
        actor_options: Mapping[str, object] | None = None,
    ) -> None:
        given = {"runtime_env": runtime_env, "resources": resources, "actor_options": actor_options}
        for label, mapping in given.items():
            if mapping is not None and not isinstance(mapping, Mapping):
                raise InvalidArgumentError(f"RayExecutor({label})", f"is {mapping!r}", "it is a dict", "Use {...}.")
        self._address = address
        self._options = {
            name: value
            for name, value in (("num_cpus", num_cpus), ("num_gpus", num_gpus), ("resources", resources))
            if value is not None
        }
        self._autoscaling = autoscaling
        self._shared_storage = shared_storage
        self._actor_options: dict[str, object] = dict(actor_options or {})
        for option in (*_OURS, *(("runtime_env",) if runtime_env else ())):
            if option in self._actor_options:
                raise InvalidArgumentError(
                    f"RayExecutor(actor_options[{option!r}])",
                    f"is {self._actor_options[option]!r}",
                    "tune-core sets this option itself, so it would be ignored",
                    _OURS.get(option, "Give it to RayExecutor(runtime_env=...)."),
                )
        self._runtime_env = dict(runtime_env or {})
        self._cluster: Cluster | None = None
        self._inbox: queue.SimpleQueue[tuple[WorkerActor, object] | None] = queue.SimpleQueue()
        self._task: RunSpec | None = None
        self._payload: Any = None

    def capacity(self) -> dict[str, float]:
        """What the cluster's nodes have now, for schedulers that share it out among trials."""
        return self._join().capacity()

    # --- life ---------------------------------------------------------------------------------------------------------

    def pack(self, prepared: Prepared) -> Any:
        try:
            ray = self._join().ray
            found = payload.definitions_of(prepared, is_of_ray)
            with payload.main_by_value(ray.cloudpickle):
                self._payload = ray.put((prepared, found))
        except ExecutorError:
            raise
        except Exception as error:
            self.close()
            raise payload.unpicklable(prepared, prepared.__name__, error) from error
        return None

    def start(self, run: RunSpec, pump: Callable[[list[ev.Batch]], None]) -> None:
        cluster = self._join()
        self._task = run
        self._inbox = queue.SimpleQueue()
        self._by_trial: dict[int, WorkerActor] = {}
        self._unsent: dict[WorkerActor, None] = {}
        self._local_events: deque[ev.Event] = deque()
        self._checkpoints = ray_files.Sender(cluster.ray.put, run.folder)
        self._failed_starts = 0
        self._looked_at = 0.0
        self._token = None
        if self._shared_storage is not False:
            self._token = f".reachable-{uuid.uuid4().hex}"
            open(os.path.join(run.folder, self._token), "w").close()
        self._spec = cluster.ray.put(run)
        in_hand = IN_HAND if run.independent else FEW_IN_HAND
        self._pool = Pool(cluster, self._start_host, run.reuse, lambda host: host.send(self._inbox), in_hand)
        cluster.refresh([])

    def _start_host(self, host: WorkerActor) -> None:
        cluster = self._join()
        options, ray = dict(self._actor_options), cluster.ray
        if cluster.runtime_env:
            options["runtime_env"] = cluster.runtime_env
        try:
            host.start(ray, self._spec, self._payload, self._token, options, self._inbox)
        except Exception as error:
            raise ExecutorError(
                f"A Ray actor for trials of {host.resources}",
                f"could not be asked for: {type(error).__name__}: {error}",
                "Ray does not accept its options",
                "Correct RayExecutor(runtime_env=..., actor_options=...), or what trials ask for.",
            ) from error

    def _join(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster(self._address, self._options, self._autoscaling, self._runtime_env)
        return self._cluster

    def close(self, grace_s: float = 1.0) -> None:
        cluster = self._cluster
        if cluster is None:
            return
        if self._task is not None:
            self._end_hosts(time.monotonic() + max(grace_s, _CLOSING_S))
            if self._token is not None:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self._task.folder, self._token))
            self._spec = self._task = None
            del self._checkpoints
        self._payload = None
        self._cluster = None
        cluster.leave()

    def _end_hosts(self, deadline: float) -> None:
        """Let idle actors clean up; end all."""
        pool = self._pool
        for host in list(pool.idle()):
            pool.retire(host)
        while pool.leaving and (left := deadline - time.monotonic()) > 0:
            try:
                item = self._inbox.get(timeout=left)
            except queue.Empty:
                break
            if item is not None:
                for batch in self._hear_leaving(*item):
                    _log_late(batch)
        for host, _ in list(pool.leaving.values()):
            pool.has_left(host)
        for host in list(pool.hosts.values()):
            pool.remove(host)

    def _hear_leaving(self, host: WorkerActor, future: Any) -> list[ev.Batch]:
        """An actor that is given up has answered: what it still has to say."""
        batches: list[ev.Batch] = []
        if host.name not in self._pool.leaving:
            return batches
        if future.exception() is not None:
            self._pool.has_left(host)
            return batches
        number, *reply = future.result()
        for lines, extras in host.replies.put(number, reply):
            if lines:
                batches.append(ev.Batch(lines, ev.decode_lines(lines)))
            for extra in extras:
                if extra == ("closed",):
                    self._pool.has_left(host)
                else:  # files of its last trial, which it sends behind that trial's end
                    self._take_extra(host, extra)
        if host.answered() == 0:
            host.send(self._inbox)
        return batches

    # --- places -------------------------------------------------------------------------------------------------------

    def refuse(self, resources: Any) -> str | None:
        shape_of(resources)
        refusal = self._join().refuse(resources)
        if refusal is not None and self._task is None:
            self.close()
        return refusal

    def expect(self, trials: int | None) -> None:
        """So many trials would start now if there were room; None: not known. No more actors are asked for."""
        self._pool.expect(trials)

    def room(self, resources: object) -> bool:
        return self._pool.room(resources)

    def reserve(self, resources: object) -> str | None:
        host = self._pool.reserve(DEFAULT_RESOURCES if resources is None else resources)
        return None if host is None else host.name_for_people

    def waits_for(self) -> str | None:
        return self._pool.waits_for(time.monotonic())

    # --- trials -------------------------------------------------------------------------------------------------------

    def launch(self, worker: str, job: ev.Launch) -> None:
        host = self._pool.hosts[worker.rpartition("/")[2]]
        host.jobs.append(job)
        self._by_trial[job.trial] = host
        if len(host.jobs) == 1:
            self._begin(host)
            self._pool.make_roomy(host)
        checkpoint = None
        if job.checkpoint is not None and not host.reachable and self._has(*job.checkpoint):
            checkpoint = self._checkpoints.send(*job.checkpoint)
        self._say(host, "launch", job, checkpoint)

    def _has(self, trial: int, name: str) -> bool:
        """Whether a checkpoint is to come from here: it is not where the node can fetch it from a store by itself."""
        assert self._task is not None
        folder = os.path.join(trial_folder(self._task.folder, trial), name)
        return self._task.store is None or os.path.isdir(folder)

    def _begin(self, host: WorkerActor) -> None:
        """The actor's next trial starts."""
        host.began = time.monotonic()
        host.asked_back = False
        limit = self._task.trial_timeout_s if self._task is not None else None
        host.deadline = None if limit is None else host.began + limit

    def _say(self, host: WorkerActor, *message: Any) -> None:
        host.say(*message)
        self._unsent[host] = None

    def _answer(self, trial: int, kind: str, *rest: object) -> None:
        host = self._by_trial.get(trial)
        if host is not None:
            job = next(job for job in host.jobs if job.trial == trial)
            self._say(host, kind, trial, job.attempt, *rest)

    def kill(self, trial: int, how: str, why: str) -> None:
        host = self._by_trial.get(trial)
        if host is not None:
            self._report_worker_death(host, trial, how, why)

    def _report_worker_death(self, host: WorkerActor, trial: int, how: str, why: str) -> None:
        """An actor is dead or is to be: its trial ends, and one that it had in hand goes back."""
        now = time.time()
        for job in host.jobs:
            if job.trial != trial:
                behind = f"was in hand behind trial {trial:05d}, whose worker is gone"
                self._local_events.append(ev.Ended(job.trial, "returned", now, behind, "", job.attempt))
                continue
            tail = ""
            if self._task is not None and how not in ("stopped", "paused", "revoked"):
                tail = last_lines(os.path.join(trial_folder(self._task.folder, trial), OUTPUT_FILE))
            error = "" if how in ("stopped", "paused", "revoked") else ev.with_output(why, tail)
            self._local_events.append(ev.Ended(trial, how, now, why, error, job.attempt))
        self._remove(host)

    # --- events -------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        self._inbox.put(None)

    def clock(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def poll(self, timeout_s: float) -> list[ev.Batch]:
        for host in self._unsent:
            host.send(self._inbox)
        self._unsent.clear()
        if time.monotonic() - self._looked_at > _LOOK_S:
            self._look_around()
        batches: list[ev.Batch] = []
        with contextlib.suppress(queue.Empty):
            wait_s = 0.0 if self._local_events else timeout_s
            item = self._inbox.get(timeout=wait_s) if wait_s > 0 else self._inbox.get_nowait()
            while True:
                if item is not None:
                    self._receive(*item, batches)
                item = self._inbox.get_nowait()
        while self._local_events:
            batches.append(ev.batch(self._local_events.popleft()))
        return batches

    def _receive(self, host: WorkerActor, future: Any, batches: list[ev.Batch]) -> None:
        """Take in the answer to one call."""
        if host not in self._pool:
            batches += self._hear_leaving(host, future)
            return
        if host.answered() == 0:
            self._unsent[host] = None  # keep one call open
        error = future.exception()
        if error is not None:
            self._died(host, error)
            return
        number, *reply = future.result()
        for lines, extras in host.replies.put(number, reply):
            for extra in extras:
                self._take_extra(host, extra)
            if lines:
                self._take_lines(host, lines, batches)

    def _take_extra(self, host: WorkerActor, extra: tuple[Any, ...]) -> None:
        """What comes with events; a checkpoint is put in its place before the report that names it is known."""
        assert self._task is not None
        if extra[0] == "ready":
            self._failed_starts = 0
            self._pool.on_actor_ready(host, extra[1])
        elif extra[0] == "checkpoint":
            ray_files.unpack(extra[3], os.path.join(trial_folder(self._task.folder, extra[1]), extra[2]))
        elif extra[0] == "artifact":
            folder = trial_folder(self._task.folder, extra[1])
            ray_files.write_to([(extra[2], 0o644, extra[3])])(folder)
        elif extra[0] == "output":
            folder = trial_folder(self._task.folder, extra[1])
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, OUTPUT_FILE), "ab") as file:
                file.write(extra[2])

    def _take_lines(self, host: WorkerActor, lines: bytes, batches: list[ev.Batch]) -> None:
        events = ev.decode_lines(lines)
        batches.append(ev.Batch(lines, events))
        for event in events:
            if type(event) is ev.Ended:
                self._trial_ended(host, event)

    def _trial_ended(self, host: WorkerActor, event: ev.Ended) -> None:
        self._by_trial.pop(event.trial, None)
        first = bool(host.jobs) and host.jobs[0].trial == event.trial
        host.jobs = [job for job in host.jobs if job.trial != event.trial]
        host.load -= 1
        if first:
            self._pool.note_duration(time.monotonic() - host.began)
        if self._task is not None and not self._task.reuse and event.how != "returned":
            self._unsent.pop(host, None)
            self._pool.retire(host)
        elif host.load == 0:
            self._pool.make_idle(host)
        else:
            self._pool.make_roomy(host)
            if first and host.jobs:
                self._begin(host)

    def _remove(self, host: WorkerActor) -> None:
        self._unsent.pop(host, None)
        for job in host.jobs:
            self._by_trial.pop(job.trial, None)
        self._pool.remove(host)

    def _died(self, host: WorkerActor, error: BaseException) -> None:
        """A call failed: the actor, or the way to it, is gone."""
        death = how_it_died(error)
        if not host.ready:
            self._remove(host)
            self._failed_starts += 1
            if death.at_start or self._failed_starts >= _FAILED_STARTS:
                raise ExecutorError(
                    f"A Ray actor for trials of {host.resources}",
                    f"could not start: {death.why}",
                    death.cause or "see the error above and Ray's logs",
                    death.fix or "All results so far are kept: mend it and go on with Tuner.restore.",
                ) from error
            return
        if death.how == "lost" and host.node and self._cluster is not None:
            self._cluster.mark_suspect_node(host.node)
        if host.jobs:
            self._report_worker_death(host, host.jobs[0].trial, death.how, death.why)
        else:
            self._remove(host)

    # --- from time to time --------------------------------------------------------------------------------------------

    def _look_around(self) -> None:
        """What no event tells of: the nodes, time limits, idle actors, trials stuck behind a long one."""
        now = self._looked_at = time.monotonic()
        self._pool.look_around(now)
        self._join().check_head(now)
        for host in list(self._pool.hosts.values()):
            if host.deadline is not None and host.jobs and now > host.deadline:
                limit = self._task.trial_timeout_s if self._task is not None else None
                why = f"the trial ran longer than trial_timeout_s={limit}"
                self._report_worker_death(host, host.jobs[0].trial, "timeout", why)
            elif len(host.jobs) > 1 and now - host.began > _LONG_S and not host.asked_back:
                host.asked_back = True
                self._pool.note_long(now - host.began)
                for job in host.jobs[1:]:
                    self._say(host, "withdraw", job.trial, job.attempt, "handed back: the one before it runs long")


def is_of_ray(value: object) -> bool:
    """Whether only Ray can pickle this: references to objects, handles of actors."""
    return type(value).__module__.partition(".")[0] == "ray"


def _log_late(batch: ev.Batch) -> None:
    """Say what comes when the journal is complete."""
    for event in batch.events:
        if type(event) is ev.Noted:
            _log.warning(event.what)
