"""The trial's side, shared by every executor: takes trials from a link, runs them, and sends their events back.

Events leave as the journal's own lines. Under its lease a trial sends them in batches without waiting; at the lease's
end, and where the driver wants to test each result, it sends what it has and waits for the answer.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import threading
import time
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import Any

from tune_core.core import events as ev
from tune_core.core.objective import DEFAULT_METRIC
from tune_core.core.paths import CheckpointStore, trial_folder
from tune_core.core.values import Message, ResultDict
from tune_core.errors import CheckpointError, FatalError, InvalidArgumentError, MetricError, TuneError
from tune_core.executors.base import FINAL, RunSpec
from tune_core.executors.local.output import Output
from tune_core.executors.worker.class_state import ClassCheckpoint, UnloadableError, restore_state
from tune_core.executors.worker.leftovers import can_be_left
from tune_core.executors.worker.pipe import EventPipe, Link
from tune_core.executors.worker.stored_checkpoints import checkpoints_of
from tune_core.executors.worker.surroundings import Surroundings, hint_at_folder
from tune_core.executors.worker.trial_session import TrialSession
from tune_core.trainable import RESULT_DUPLICATE, SHOULD_CHECKPOINT, Prepared, Trainable
from tune_core.trainable.prepared import asynchronous
from tune_core.trainable.protocol import STOPPED, NothingLeft, ProcessLost, StopTrial
from tune_core.trainable.scope import entered


class Worker:
    """Runs trials one after another, from a link, until it closes.

    Parameters
    ----------
    link
        Where trials come from, and where their events go.
    spec
        What holds for all trials of the run.
    prepared
        The trainable.
    store
        Where checkpoints go; None: where ``spec`` says.
    anew
        Loads the trainable once more, for a trial after the first: what an earlier trial has changed in what is bound
        to it is not there then. None: the trials share it.
    """

    def __init__(
        self,
        link: Link,
        spec: RunSpec,
        prepared: Prepared,
        store: CheckpointStore | None = None,
        anew: Callable[[], Prepared] | None = None,
    ) -> None:
        self.pipe = EventPipe(link)
        self.spec = spec
        self.store: CheckpointStore = store or checkpoints_of(spec)
        self.output: Output | None = None
        self.surroundings: Surroundings | None = None
        self._prepared: Prepared | None = prepared
        self._anew = anew if anew is not None and not spec.reuse_objects and can_be_left(prepared) else None
        self._is_class = prepared.is_class
        self._is_used = False
        self._kept: Trainable | None = None

    # --- running ------------------------------------------------------------------------------------------------------

    def serve(self, next_message: Callable[[], Message | None]) -> Message | None:
        """Run what the driver sends until there is no next message, or until it is told to rest: that message."""
        while True:
            message = self.pipe.inbox.popleft() if self.pipe.inbox else next_message()
            if message is None or message[0] == "rest":
                break
            if message[0] == "launch":
                self.run(message[1])
        self._discard_kept()
        return message

    def run(self, job: ev.Launch) -> None:
        """Run one attempt at a trial and send its end."""
        folder = trial_folder(self.spec.folder, job.trial)
        if self.output is not None:
            self.output.begin(folder)
        session = TrialSession(self.pipe, self.store, self.spec, job)
        how, error = "completed", ""
        try:
            if self.surroundings is not None:
                self.surroundings.enter(folder)
            with entered(session, owns_process=self.output is not None):
                prepared = self._unused()
                if self._is_class:
                    self._run_class(session, prepared)
                else:
                    self._run_function(session, prepared)
            session.close()
            how = session.ended_how or "completed"
            if how == "completed" and session.last_metrics is None and job.iteration == 0 and self.spec.metrics:
                how, error = "errored", str(_nothing_reported(self.spec))
            elif how in ("completed", "stopped") and (missing := session.unmeasured()):
                how, error = "unmeasured", missing
        except StopTrial:
            how = session.ended_how or "revoked"
        except FatalError as raised:
            how, error = "invalid", str(raised)
        except ProcessLost as raised:
            how, error = "lost", str(raised)
        except KeyboardInterrupt:
            how, error = "errored", "KeyboardInterrupt"
            if threading.current_thread() is threading.main_thread() and self.output is None:
                raise
        except UnloadableError as raised:
            how, error = "unloadable", str(raised)
        except SystemExit as raised:
            how, error = "errored", f"the objective called sys.exit({raised.code!r})"
        except BaseException as raised:
            how, error = ("invalid", session.refused) if session.refused else ("errored", describe(raised))
            if session.ended_how is not None and _is_a_stop(raised):
                how, error = session.ended_how, ""
            if isinstance(raised, CheckpointError) and session.could_not_start(raised):
                how = "unloadable"
        finally:
            session.close()
            if how == "errored":
                self._discard_kept()
            if self.surroundings is not None:
                self.surroundings.leave(is_final=how in FINAL)
        if self.output is not None:
            tail = self.output.end(keep_tail=bool(error))
            if error:
                error = ev.with_output(error, tail)
        self.pipe.add(ev.Ended(job.trial, how, time.time(), session.ended_why, error, job.attempt))
        self.pipe.flush()

    def _unused(self) -> Prepared:
        """The trainable as no trial has changed it."""
        if self._is_used and self._anew is not None:
            self._prepared = None  # else two are in memory while the new one is loaded
        prepared = self._prepared
        if prepared is None:
            assert self._anew is not None
            prepared = self._prepared = self._anew()
        self._is_used = True
        return prepared

    def _run_function(self, session: TrialSession, prepared: Prepared) -> None:
        try:
            self._drive(session, prepared)
        except NothingLeft:
            pass
        except StopTrial:
            if session.ended_how is None:
                raise
        session.run_at_end()

    def _drive(self, session: TrialSession, prepared: Prepared) -> None:
        answer = prepared(session.job.config)
        if inspect.isgenerator(answer):
            answer = self._follow(session, answer)
        if answer is None or answer.__class__ is bool:  # a bool is what tune.report() returned
            return
        if answer.__class__ is dict:  # the usual answers are told first
            session.report(answer)
        elif inspect.isawaitable(answer) or inspect.isasyncgen(answer):
            if inspect.iscoroutine(answer):
                answer.close()  # else Python warns that nobody awaited it
            raise FatalError(*asynchronous(self.spec.trainable_name))
        else:
            session.report(_as_metrics(answer, self.spec))

    def _follow(self, session: TrialSession, generator: Generator[Any, Any, Any]) -> Any:
        """Report what it yields; what it returns, None if it was stopped before."""
        with contextlib.closing(generator):
            while True:
                try:
                    item = next(generator)
                except StopIteration as end:
                    return end.value
                if not session.report(_as_metrics(item, self.spec)):
                    return None

    def _run_class(self, session: TrialSession, prepared: Prepared) -> None:
        trainable = self._trainable_for(session, prepared)
        try:
            self._train(trainable, session)
        except BaseException:
            with contextlib.suppress(Exception):
                trainable.stop()
            raise
        if self.spec.reuse_objects and _overrides(trainable, "reset_config"):
            self._kept = trainable
        else:
            trainable.stop()

    def _train(self, trainable: Trainable, session: TrialSession) -> None:
        """Step by step, with a checkpoint where one is due."""
        spec, job = self.spec, session.job
        trainable._iteration = job.iteration
        if job.checkpoint is not None:
            restore_state(trainable, self.store.fetch(*job.checkpoint))
        elif spec.start_from is not None:
            restore_state(trainable, spec.start_from)
        logs_results = _overrides(trainable, "log_result")
        saved_at = job.iteration
        go_on = True
        while go_on:
            began = time.perf_counter()
            result = _as_result(trainable.step(), trainable)
            if result.pop(RESULT_DUPLICATE, False):
                break
            if logs_results:
                trainable.log_result(trainable._tune_complete(result, time.perf_counter() - began))
            else:
                trainable._iteration += 1
            asked = result.pop(SHOULD_CHECKPOINT, False)
            every = spec.checkpoint_frequency
            checkpoint = None
            if (
                asked
                or (every and trainable._iteration % every == 0)
                or (spec.saves_at_lease_end and session.lease_would_end(result))
            ):
                checkpoint = ClassCheckpoint(trainable)
                saved_at = trainable._iteration
            go_on = session.report(result, checkpoint)
        if saved_at != trainable._iteration and (spec.checkpoint_at_end or session.ended_how == "revoked"):
            with contextlib.suppress(NotImplementedError):
                name = session._save(ClassCheckpoint(trainable))
                self.pipe.add(ev.Saved(job.trial, session.iteration, name, job.attempt))
        if spec.export_formats and session.ended_how in (None, "completed", "stopped"):
            folder = session.info["trial_dir"]
            os.makedirs(folder, exist_ok=True)
            trainable.export_model(spec.export_formats, folder)

    def _trainable_for(self, session: TrialSession, prepared: Prepared) -> Trainable:
        """A new object; or, if reusing them was asked for, the last one where it accepts the new configuration."""
        kept, self._kept = self._kept, None
        config = session.job.config
        if kept is not None:
            kept._trial_info = session.info
            if kept.reset_config(config):
                kept.config = config
                return kept
            kept.stop()
        cls: Any = prepared.trainable
        made: Trainable = cls.__new__(cls)
        made._trial_info = session.info
        made.__init__(config, **prepared.parameters)  # type: ignore[misc]
        return made

    def _discard_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            with contextlib.suppress(Exception):
                kept.stop()


def _overrides(trainable: Trainable, method: str) -> bool:
    return getattr(type(trainable), method) is not getattr(Trainable, method)


def _nothing_reported(spec: RunSpec) -> MetricError:
    wanted = ", ".join(map(repr, spec.metrics))
    return MetricError(
        f"The objective {spec.trainable_name}",
        "returned without reporting anything",
        f"trials are compared by the metric {wanted}",
        f"Report it with tune.report({{{spec.metrics[0]!r}: ...}}), or return it: return {{{spec.metrics[0]!r}: ...}}.",
    )


def _as_result(answer: Any, trainable: Trainable) -> ResultDict:
    """What a class trainable's step returned, to be changed."""
    if isinstance(answer, Mapping):
        return dict(answer)
    raise InvalidArgumentError(
        f"{type(trainable).__name__}.step()",
        f"returned {answer!r}",
        "an iteration's result is a dict of metrics",
        'Return one from step, e.g. {"loss": 0.5}.',
    )


def _as_metrics(value: Any, spec: RunSpec) -> Any:
    """What a function returned or yielded, as metrics: a bare number gets the default metric's name."""
    if isinstance(value, Mapping):
        return value
    if hasattr(value, "__float__"):
        return {DEFAULT_METRIC: value}
    raise InvalidArgumentError(
        f"The objective {spec.trainable_name}",
        f"returned or yielded {value!r} of type {type(value).__name__}",
        "a result is a dict of metrics, or one number",
        'Return e.g. {"loss": 0.5}; put other things into a checkpoint or into the trial\'s folder.',
    )


def _is_a_stop(error: BaseException) -> bool:
    """Whether an exception is what became of a stop that other processes of the trial were ended by."""
    link: BaseException | None = error
    for _ in range(10):
        if link is None:
            return False
        if isinstance(link, StopTrial) or STOPPED in str(link):
            return True
        link = link.__cause__ or link.__context__
    return False


def describe(error: BaseException) -> str:
    """An exception as text: tune-core's own errors without a traceback, the user's without our frames."""
    if isinstance(error, TuneError):
        return f"{type(error).__name__}: {error}"
    frames = error.__traceback__
    here = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(here):
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames)).strip()
    hint = hint_at_folder(error)
    return f"{text}. {hint}" if hint else text
