"""The callbacks of Hugging Face's ``Trainer``, and resuming."""

from __future__ import annotations

import inspect
import os
import shutil
from typing import TYPE_CHECKING, Any

from tune_core import Checkpoint
from tune_core import integration as tc

if TYPE_CHECKING:
    from transformers import TrainerControl as Control
    from transformers import TrainerState as State
    from transformers import TrainingArguments as Arguments


transformers: Any = tc.require("tune_transformers", "transformers", "transformers")
_TrainerCallback: Any = transformers.TrainerCallback

__all__ = ["TuneReportCallback", "TuneReportCheckpointCallback", "get_folder", "resume"]

HOOKS = ("evaluate", "log")
Logs = dict[str, float]


class TuneReportCallback(_TrainerCallback):
    """Reports what the ``Trainer`` evaluates or logs, and ends the training when the trial is to end.

    An evaluation of several data sets (``eval_dataset={"a": ..., "b": ...}``) is one result. Outside of a trial the
    callback does nothing.

    Parameters
    ----------
    metrics
        None for all, a name, a list of names, or a dict from the name to report to the Trainer's, e.g.
        ``{"loss": "eval_loss"}``.
    on
        ``"evaluate"`` reports each evaluation (``eval_strategy`` says when these are), ``"log"`` each entry of the
        training's log (``logging_strategy``).

    Examples
    --------
    >>> trainer = Trainer(model, args, train_dataset=data, callbacks=[TuneReportCallback()])  # doctest: +SKIP
    """

    def __init__(self, metrics: tc.Metrics = None, on: str = "evaluate") -> None:
        (self.on,) = tc.check_hooks(type(self).__name__, on, HOOKS)
        self.metrics = metrics
        self._active = False
        self._sets: tuple[str, ...] = ()  # names of the data sets that the Trainer evaluates one after another
        self._evaluated: dict[str, Any] = {}  # of those so far

    # --- the Trainer's hooks ------------------------------------------------------------------------------------------

    def on_train_begin(self, args: Arguments, state: State, control: Control, **what: object) -> None:
        self._active = tc.in_session() and state.is_world_process_zero
        self._sets = _names_of_evaluation_sets() if self._active else ()
        self._evaluated = {}
        found = tc.start() if self._active else None
        if found is not None and not found.same_config:
            _set_learning_rate(what.get("optimizer"), what.get("lr_scheduler"), args.learning_rate)

    def on_evaluate(
        self, args: Arguments, state: State, control: Control, metrics: Logs | None = None, **_: object
    ) -> None:
        if not self._active or self.on != "evaluate":
            return
        metrics = metrics or {}
        name = next((name for name in self._sets if f"eval_{name}_runtime" in metrics), None)
        if name is None:
            self._handle(metrics, control)
            return
        self._evaluated.update(metrics)
        if name == self._sets[-1]:
            everything, self._evaluated = self._evaluated, {}
            self._handle(everything, control)

    def on_log(self, args: Arguments, state: State, control: Control, logs: Logs | None = None, **_: object) -> None:
        is_training = "loss" in (logs or {})  # evaluations and the summary at the end are logged too
        if self._active and self.on == "log" and is_training:
            self._handle(logs or {}, control)

    def on_train_end(self, args: Arguments, state: State, control: Control, **_: object) -> None:
        self._active = False

    # --- reporting ----------------------------------------------------------------------------------------------------

    def _handle(self, there: dict[str, Any], control: Control) -> None:
        self._report(tc.choose_metrics(self.metrics, there, type(self).__name__), control)

    def _report(self, results: dict[str, Any], control: Control) -> None:
        if not tc.report_metrics(results):
            control.should_training_stop = True


def _names_of_evaluation_sets() -> tuple[str, ...]:
    """The keys of the ``eval_dataset`` of the Trainer that is calling; it passes itself to no callback."""
    frame = inspect.currentframe()
    while frame is not None:
        trainer = frame.f_locals.get("self")
        if isinstance(trainer, transformers.Trainer):
            sets = trainer.eval_dataset
            return tuple(sets) if isinstance(sets, dict) else ()
        frame = frame.f_back
    return ()


def _set_learning_rate(optimizer: Any, scheduler: Any, rate: float) -> None:
    """After an exploit: the new configuration's learning rate, at the checkpoint's place in the schedule."""
    if optimizer is None:
        return
    for group in optimizer.param_groups:
        group["lr"] *= rate / group.get("initial_lr", group["lr"])
        group["initial_lr"] = rate
    if hasattr(scheduler, "base_lrs"):
        scheduler.base_lrs = [rate for _ in scheduler.base_lrs]


class TuneReportCheckpointCallback(TuneReportCallback):
    """Reports like :class:`TuneReportCallback`, and keeps what the ``Trainer`` saves.

    The Trainer is made to save with every ``frequency``-th report and where the scheduler may pause or copy the trial,
    beside what its own ``save_strategy`` says; what it saves goes into the trial's checkpoints.

    Parameters
    ----------
    metrics
        Which to report: None for all, a name, a list of names, or a dict from the name to report to
        the Trainer's, e.g. ``{"loss": "eval_loss"}``.
    on
        ``"evaluate"`` reports each evaluation, ``"log"`` each entry of the training's log.
    frequency
        Save with every so many reports; 0 saves none of these.
    checkpoint_at_end
        Whether to save when the trial is stopped.
    """

    def __init__(
        self, metrics: tc.Metrics = None, on: str = "evaluate", frequency: int = 1, checkpoint_at_end: bool = True
    ) -> None:
        super().__init__(metrics, on)
        tc.check_count(type(self).__name__, "frequency", frequency)
        self.frequency = frequency
        self.checkpoint_at_end = checkpoint_at_end
        self._reports = 0
        self._results: dict[str, Any] | None = None  # to be reported with the checkpoint that is being saved

    def on_evaluate(
        self, args: Arguments, state: State, control: Control, metrics: Logs | None = None, **what: object
    ) -> Any:
        super().on_evaluate(args, state, control, metrics, **what)
        return _insist(args, control) if self._results is not None else None

    def on_log(self, args: Arguments, state: State, control: Control, logs: Logs | None = None, **what: object) -> Any:
        super().on_log(args, state, control, logs, **what)
        return _insist(args, control) if self._results is not None else None

    def on_save(self, args: Arguments, state: State, control: Control, **_: object) -> Any:
        if not self._active:
            return None
        folder = os.path.join(self._output_dir(args), f"checkpoint-{state.global_step}")
        results, self._results = self._results, None

        def write(target: str) -> None:
            shutil.copytree(folder, target, dirs_exist_ok=True)

        if results is None:
            tc.save_checkpoint(write)
        elif not tc.report_metrics(results, write):
            control.should_training_stop = True
        return _at_ease(control)

    def _output_dir(self, args: Arguments) -> str:
        """The folder that the Trainer saves in."""
        folder: str = args.output_dir
        return folder

    def on_step_begin(self, args: Arguments, state: State, control: Control, **_: object) -> None:
        self._flush(control)

    def on_train_end(self, args: Arguments, state: State, control: Control, **what: object) -> None:
        self._flush(control)
        super().on_train_end(args, state, control, **what)

    def _flush(self, control: Control) -> None:
        """Report what was to wait for a checkpoint that the Trainer did not make after all."""
        results, self._results = self._results, None
        if results is not None:
            super()._report(results, control)

    def _report(self, results: dict[str, Any], control: Control) -> None:
        self._reports += 1
        if (self.frequency and self._reports % self.frequency == 0) or tc.checkpoint_due(results):
            self._results = results
            control.should_save = True
            return
        super()._report(results, control)
        if control.should_training_stop and self.checkpoint_at_end:
            control.should_save = True


def _insist(args: Arguments, control: Control) -> Any:
    """A control under which ``save_strategy="best"``, which saves the best only, saves this time too."""
    if not control.should_save or getattr(args.save_strategy, "value", args.save_strategy) != "best":
        return control
    insistent = _InsistentControl()
    insistent.__dict__.update(vars(control))
    return insistent


def _at_ease(control: Control) -> Any:
    """The Trainer's own kind of control again."""
    if not isinstance(control, _InsistentControl):
        return control
    plain = transformers.TrainerControl()
    plain.__dict__.update(vars(control))
    return plain


class _InsistentControl(transformers.TrainerControl):
    """Saves whatever the Trainer decides; until :func:`_at_ease`."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, True if name == "should_save" else value)


_InsistentControl.__name__ = transformers.TrainerControl.__name__  # the Trainer keeps its state under this name


def get_folder(checkpoint: Checkpoint) -> str:
    """A local folder with what the Trainer saved, for ``from_pretrained``.

    Parameters
    ----------
    checkpoint
        The checkpoint, e.g. ``results.get_best_result().checkpoint``. One that lies elsewhere is fetched.
    """
    path: str = checkpoint.path
    return path if os.path.isdir(path) else checkpoint.to_directory()


def resume() -> dict[str, Any]:
    """Arguments with which ``Trainer.train`` goes on where the trial left off.

    If the trial goes on with another configuration than the checkpoint was made with (as in population based
    training), the learning rate is that of the ``TrainingArguments``; :class:`TuneReportCallback` sees to that.

    Returns
    -------
    dict
        ``resume_from_checkpoint``, a folder or None.

    Examples
    --------
    >>> resume()  # outside of a trial
    {'resume_from_checkpoint': None}
    """
    found = tc.start()
    return {"resume_from_checkpoint": None if found is None else found.folder}
