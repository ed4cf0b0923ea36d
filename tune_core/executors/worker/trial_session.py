"""One attempt at one trial, as user code talks to it: counts, leases, stop conditions, verdicts."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tune_core.core import events as ev
from tune_core.core.automatic import AUTO_RESULT_KEYS, TOTALS, is_always_ours
from tune_core.core.flatten import flatten
from tune_core.core.near_names import nearest
from tune_core.core.objective import lookup
from tune_core.core.paths import CheckpointStore, trial_folder
from tune_core.core.plain_values import is_plain, plain_metrics
from tune_core.core.stop_conditions import end_reached
from tune_core.core.time_attribute import OF_EVERY_RESULT, check_time
from tune_core.core.values import Message, Metrics, ResultDict
from tune_core.errors import CheckpointError, MissingMetricError
from tune_core.executors.base import RunSpec
from tune_core.executors.worker.pipe import EventPipe
from tune_core.trainable.base import node_ip, place

_TOLD: set[tuple[str, str]] = set()
"""Metrics that became text, as (experiment's folder, name): those that this process has spoken of."""


_SPECIAL = frozenset((*TOTALS, "done"))
"""Names of metrics that are looked at in each result."""
_MOST_NAMES = 10_000
_usual_names: set[str] = set()
"""Names of metrics that this process has seen and need not look at again, whichever trial reports them."""


class TrialSession:
    """One attempt at one trial, as user code talks to it through ``tune_core.trainable.session``.

    Threads of the trial take turns: a report holds the session's lock until the driver has answered it.
    """

    def __init__(self, pipe: EventPipe, store: CheckpointStore, spec: RunSpec, job: ev.Launch) -> None:
        self._pipe = pipe
        self._store = store
        self._spec = spec
        self.job = job
        self.iteration = job.iteration
        self.ended_how: str | None = None  # set once the trial is to end
        self.ended_why = ""
        self._until = job.lease.until
        self._steps = job.lease.steps
        self.advice = job.lease.advice  # of the scheduler, to the last report
        self._time_attr = self._spec.time_attr
        self._reports_time = self._time_attr not in OF_EVERY_RESULT
        self._lock = threading.RLock()
        self._closed = False  # the attempt is over: what comes now is of something that it left behind
        self._is_over = False  # and no thread is being answered any more
        self._stray_said = False
        self._waited = 0.0
        self._base = job.seconds
        self._totals: dict[str, float] = dict(job.totals or {})
        self._began = time.perf_counter()
        self.last_metrics: Mapping[str, object] | None = None
        self.halted = False  # whether the driver wants it to end
        self._asked_to_end: tuple[object, ...] | None = None  # the driver's wish, while the trial may still save
        wanted = dict.fromkeys(self._spec.metrics)
        judged_by_steps = (
            self._steps is not None and self._spec.lease_metrics and self._time_attr not in AUTO_RESULT_KEYS
        )
        if self._until is not None or judged_by_steps:
            wanted[self._time_attr] = None
        self._has_stop = bool(spec.stop)
        self._has_lease_end = self._until is not None or self._steps is not None
        self._names: set[str] = set()  # that were reported
        self._taken_names: set[str] = set()  # those of automatic fields
        self._unseen = [name for name in wanted if name not in OF_EVERY_RESULT]
        self._seen: dict[str, None] = {}  # names that were reported while some are unseen
        self.refused = ""  # why no trial of this objective can be judged, seen in another process
        self._saved_at = -1
        self._at_end: list[Callable[[], None]] = []

    # --- what user code sees ------------------------------------------------------------------------------------------

    @property
    def info(self) -> Mapping[str, Any]:
        job, spec = self.job, self._spec
        trial_id = f"{job.trial:05d}"
        return {
            "trial_id": trial_id,
            "trial_name": job.name or f"{spec.trainable_name}_{trial_id}",
            "trial_dir": trial_folder(spec.folder, job.trial, job.folder),
            "experiment_name": spec.name,
            "experiment_dir": spec.folder,
            "resources": job.resources,
            "config": job.config,
            "attempt": job.attempt,
            "iteration": self.iteration,
        }

    @property
    def draft_folder(self) -> str:
        """Where checkpoints are written before they are reported."""
        return trial_folder(self._spec.folder, self.job.trial, self.job.folder)

    def start_checkpoint(self) -> Any:
        if self.job.checkpoint is None and self._spec.start_from is None:
            return None
        from tune_core.checkpoint import Checkpoint

        if self.job.checkpoint is None:
            return Checkpoint(self._spec.start_from or "")
        return Checkpoint(self._store.fetch(*self.job.checkpoint))

    def could_not_start(self, error: CheckpointError) -> bool:
        """Whether an error means that the checkpoint which the attempt began with could not be read."""
        if self.job.checkpoint is None or self.last_metrics is not None:
            return False
        return self.job.checkpoint[1] in error.asked

    def report(self, metrics: Mapping[str, object], checkpoint: object = None) -> bool:
        """Pass on a result; False if the trial is to end."""
        with self._lock:
            if self._closed or self.ended_how is not None:
                self._say_if_stray()
                return False
            began = None
            if self.last_metrics is None:  # before this result is counted
                began = (*place(), os.getpid(), self._base, self._totals.get("timesteps_total", 0))
            if type(metrics) is dict and is_plain(metrics, _usual_names):
                plain, nonfinite = metrics, None
            else:
                plain, nonfinite = self._plain(metrics)
            if self._reports_time:
                check_time(plain, self._time_attr)
            self.last_metrics = plain
            self.iteration += 1
            self.advice = ""
            now = time.perf_counter()
            seconds = now - self._began - self._waited + self._base
            name = self._save(checkpoint) if checkpoint is not None else None
            attempt = self.job.attempt
            event = ev.Reported(
                self.job.trial, self.iteration, time.time(), seconds, plain, name, 0, nonfinite, attempt, began
            )
            if self._unseen:
                self._look_for_unseen(event)
            if (self._has_stop or "done" in plain) and self._meets_stop(event):
                self._pipe.add(event)
                return False
            due = self._has_lease_end and self._lease_ends(event)
            if self._asked_to_end is not None:
                self._pipe.add(event)
                self.take(self._asked_to_end)
                self._pipe.flush()
            elif due or self._spec.needs_every_result:
                event.waiting = ev.WAITS_FOR_SCHEDULER if due else ev.WAITS_FOR_DRIVER
                self._pipe.add(event)
                self._await_verdict()
            elif self._pipe.add(event, now) or name is not None:  # a crash must not cost a checkpoint
                self._pipe.exchange(self.take)
            return self.ended_how is None

    def _plain(self, metrics: Mapping[str, object]) -> tuple[ResultDict, list[str] | None]:
        """Metrics as the journal holds them; plain values under names that were seen before need none of this."""
        as_text: dict[str, str] = {}
        plain, nonfinite = plain_metrics(metrics, as_text)
        if as_text:
            self._say_what_became_text(as_text)
        if not self._names.issuperset(plain):
            self._look_at_names(plain)
        if self._taken_names:
            plain = {name: value for name, value in plain.items() if name not in self._taken_names}
        if not TOTALS.keys().isdisjoint(plain):
            plain = self._count(plain)
        return plain, nonfinite

    def _say_what_became_text(self, kinds: dict[str, str]) -> None:
        """Once for each metric in this process: a run may report it a million times."""
        for name, kind in kinds.items():
            if (self._spec.folder, name) not in _TOLD:
                _TOLD.add((self._spec.folder, name))
                self._pipe.note(
                    f"The reported metric {name!r} holds a {kind}, which has no plain form: results have its repr. "
                    "Save objects in a checkpoint; report numbers, strings, and lists or dicts of them.",
                    self.job.trial,
                )

    def _look_at_names(self, metrics: Metrics) -> None:
        """Metrics that were not reported before: those with names of automatic fields do not count; say so once."""
        new = [name for name in metrics if name not in self._names]
        self._names.update(new)
        ours = [name for name in new if is_always_ours(name, metrics[name])]
        if len(_usual_names) < _MOST_NAMES:
            _usual_names.update(n for n in new if n not in ours and n not in _SPECIAL and n.isascii())
        if not ours:
            return
        same = {"training_iteration": self.iteration + 1, "pid": os.getpid(), "hostname": platform.node()}
        same |= {"trial_id": f"{self.job.trial:05d}", "node_ip": node_ip(), "config": self.job.config}
        taken = [name for name in ours if name not in same or metrics[name] != same[name]]
        self._taken_names.update(taken)
        to_tell = [name for name in taken if (self._spec.folder, name) not in _TOLD]
        _TOLD.update((self._spec.folder, name) for name in to_tell)
        if to_tell:
            several = len(to_tell) > 1
            self._pipe.note(
                f"The reported metric{'s' if several else ''} {', '.join(map(repr, to_tell))} "
                f"{'have names' if several else 'has the name'} of fields that every result has by itself: results "
                f"keep the automatic value, and the reported one is dropped. Report it under another name, "
                f"e.g. {'my_' + to_tell[0]!r}.",
                self.job.trial,
            )

    def _count(self, metrics: ResultDict) -> ResultDict:
        """Metrics that tell one iteration's timesteps or episodes, with their sums so far."""
        counted = dict(metrics)
        for each, total in TOTALS.items():
            if isinstance(counted.get(each), (int, float)):
                self._totals[total] = self._totals.get(total, 0) + counted[each]
                counted.setdefault(total, self._totals[total])
        return counted

    def save(self, checkpoint: object, again: bool = False, result: tuple[int, Metrics] | None = None) -> None:
        with self._lock:
            if self._closed:
                self._say_if_stray()
            elif result is not None and result[0] != self.iteration:
                iteration, metrics = result
                name = self._save(checkpoint, iteration)
                plain, _ = plain_metrics(metrics, {})
                self._pipe.add(ev.Saved(self.job.trial, iteration, name, self.job.attempt, plain))
            elif self.last_metrics is None and self.job.iteration:
                return  # nothing since what this attempt began with, maybe another trial's: no model of the last result
            elif again or self._saved_at != self.iteration:
                name = self._save(checkpoint)
                event = ev.Saved(self.job.trial, self.iteration, name, self.job.attempt)
                self._pipe.add(event)

    def checkpoint_due(self, metrics: Mapping[str, object]) -> bool:
        return self._spec.saves_at_lease_end and self.lease_would_end(metrics)

    def preempted(self) -> bool:
        if self._closed or self.ended_how is not None:
            return self.ended_how == "revoked"
        with self._lock:
            while self._asked_to_end is None and self._pipe.link.has_message():
                message = self._pipe.receive()
                if message[0] == "revoke" and message[1:3] == (self.job.trial, self.job.attempt):
                    self._asked_to_end = message  # acted on behind the trial's next report
                else:
                    self.take(message)
        return self._asked_to_end is not None or self.ended_how == "revoked"

    def at_end(self, function: Callable[[], None]) -> None:
        self._at_end.append(function)

    def close(self) -> None:
        """The attempt is over: from now on nothing reaches the driver through this session.

        Waits for a thread of the trial's that is just being answered.
        """
        if self._is_over:
            return
        self._closed = True  # before the lock: threads that report without pause might not let go of it
        with self._lock:
            self._at_end.clear()
        self._is_over = True

    def _say_if_stray(self) -> None:
        """Something that the trial has left behind still reports: say so once."""
        if self._closed and not self._stray_said:
            self._stray_said = True
            trial_id = f"{self.job.trial:05d}"
            note = f"trial {trial_id} left a thread behind that still reports; what it reports counts for no trial"
            self._pipe.note(note, self.job.trial)

    def run_at_end(self) -> None:
        """The objective has returned, or left at the driver's wish: what was asked for last comes first."""
        while self._at_end:
            self._at_end.pop()()

    # --- leases -------------------------------------------------------------------------------------------------------

    def lease_would_end(self, metrics: Mapping[str, object]) -> bool:
        """Whether the next report will wait for the scheduler; class trainables save a checkpoint with it."""
        if not self._has_lease_metrics(metrics):
            return False
        if self._steps is not None and self._steps <= 1:
            return True
        if self._until is None:
            return False
        if self._time_attr == "training_iteration":
            return self.iteration + 1 >= self._until
        if self._time_attr == "time_total_s":
            return time.perf_counter() - self._began - self._waited + self._base >= self._until
        value: Any = lookup(metrics, self._time_attr)
        try:
            return value is not None and bool(value >= self._until)
        except (TypeError, ValueError):
            return False  # the report will say what is wrong with it

    def _lease_ends(self, event: ev.Reported) -> bool:
        """Whether the scheduler is to judge this result: it is due, and it has what is judged by."""
        if self._steps is not None and self._has_lease_metrics(event.metrics):
            self._steps -= 1
            if self._steps <= 0:
                return True
        if self._until is None:
            return False
        by_count = self._time_attr == "training_iteration"
        value = event.iteration if by_count else ev.value_of(event, self._time_attr)
        return value is not None and bool(value >= self._until) and self._has_lease_metrics(event.metrics)

    def _has_lease_metrics(self, metrics: Mapping[str, object]) -> bool:
        """Whether a result has the metrics that the scheduler judges by; one without them goes by."""
        return all(lookup(metrics, name) is not None for name in self._spec.lease_metrics)

    def _meets_stop(self, event: ev.Reported) -> bool:
        end = end_reached(event, self._spec.stop)
        if end is not None:
            self.end(*end)
        return end is not None

    def _await_verdict(self) -> None:
        self._pipe.flush()
        began = time.perf_counter()
        while not self.take(self._pipe.receive()):
            pass
        self._waited += time.perf_counter() - began

    def take(self, message: Message) -> bool:
        """Act on a message from the driver; whether it answers a waiting trial."""
        kind = message[0]
        if kind == "launch":
            self._pipe.inbox.append(message)
            return False
        if message[1:3] != (self.job.trial, self.job.attempt):
            return False  # for an attempt that is over
        if kind == "extend":
            lease: ev.Lease | None = message[3]
            if lease is not None:
                self._until, self._steps, self.advice = lease.until, lease.steps, lease.advice
                self._has_lease_end = self._until is not None or self._steps is not None
        elif kind == "halt":
            self.halted = True
            self.end(message[3], message[4])
        elif kind == "revoke":
            self.halted = True
            self.end("revoked", message[3])
        return True

    def end(self, how: str, why: str) -> None:
        """From now on the trial is to end."""
        if self.ended_how is None:
            self.ended_how, self.ended_why = how, why

    # --- checks and checkpoints ---------------------------------------------------------------------------------------

    def _look_for_unseen(self, event: ev.Reported) -> None:
        seen = event.metrics
        self._unseen = [n for n in self._unseen if seen.get(n) is None and ev.value_of(event, n) is None]
        if self._unseen:
            self._seen.update(dict.fromkeys(flatten(event.metrics)))

    def unmeasured(self) -> str:
        """What to say of an attempt that has ended by itself and never reported what it is judged by; else empty."""
        if self.halted or self.last_metrics is None or self.job.iteration or not self._unseen:
            return ""
        name, seen = self._unseen[0], list(self._seen)
        judges = "the scheduler measures a trial's progress" if name == self._time_attr else "trials are compared"
        if name in seen:
            return str(
                MissingMetricError(
                    f"The metric {name!r}",
                    "was None in each result",
                    f"{judges} by it, and None is no value",
                    f"Report a number: tune.report({{{name!r}: ...}}).",
                )
            )
        close = nearest(name, seen)
        error = MissingMetricError(
            f"The metric {name!r}",
            f"was never reported; reported were {', '.join(map(repr, seen[:20])) or 'no metrics'}",
            f"{judges} by it",
            f"Report it: tune.report({{{name!r}: ...}})"
            + (f". Did you mean {close!r}?" if close else ", or name one of the reported metrics."),
        )
        return str(error)

    def _save(self, checkpoint: Any, earlier: int | None = None) -> str:
        """Keep a checkpoint with the last result, or with the ``earlier`` one of that iteration."""
        name = self.checkpoint_name(earlier)
        if earlier is not None or self._saved_at == self.iteration:
            name += "_end"
        if earlier is None:
            self._saved_at = self.iteration
        with checkpoint.as_directory() as folder:
            self._store.save(folder, self.job.trial, name)
        return name

    def checkpoint_name(self, iteration: int | None = None) -> str:
        """Name for a checkpoint made at the present iteration, or another; no two attempts of a trial share one."""
        name = f"checkpoint_{self.iteration if iteration is None else iteration:06d}"
        return name if self.job.attempt == 1 else f"{name}_{self.job.attempt}"
