"""Lightning (``pytorch_lightning``, ``lightning.pytorch``) in tune-core: a callback for the ``Trainer``; resuming."""

from __future__ import annotations

import atexit
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import get_spawning_popen
from typing import Any

from tune_core import Checkpoint
from tune_core import integration as tc
from tune_lightning.flavour import Callback, Trainer, monitoring_base, refuse_script_launcher

__all__ = ["TuneReportCallback", "TuneReportCheckpointCallback", "get_model", "resume"]

MODEL_FILE = "checkpoint"
HOOKS = (
    "train_epoch_end", "epoch_end", "validation_end", "validation_epoch_end", "train_batch_end", "batch_end",
    "train_start", "train_end", "fit_end",
)  # fmt: skip

_EPOCH = "epoch"  # our own: each validation, and each epoch of a training without any, when all results are there
_VALIDATION = ("validation_end", "validation_epoch_end")
_ALIASES = {"epoch_end": "train_epoch_end", "batch_end": "train_batch_end"}

if hasattr(os, "register_at_fork"):  # a strategy that forks: the new processes are to find the trial
    os.register_at_fork(before=tc.share)


class TuneReportCallback(Callback):
    """Reports what the module logs, and ends the training when the trial is to end.

    Outside of a trial it does nothing. Of several processes the one of rank zero reports, and all end together.

    Parameters
    ----------
    metrics
        None for all, a name, a list of names, or a dict from the name to report to the name that was logged.
    on
        Lightning's hook to report on, without ``on_``, or several: ``"train_epoch_end"``, ``"validation_end"``,
        ``"train_batch_end"`` and so on. None reports each validation: at the end of an epoch, together with what the
        training has logged for it; amid an epoch or a stream of steps (``val_check_interval``), without what is still
        the last epoch's. A training without validation reports each epoch. What ``Trainer.validate`` finds is reported
        by the hooks of the validation, unless ``fit`` has reported it.

    Examples
    --------
    >>> trainer = Trainer(max_epochs=10, callbacks=[TuneReportCallback({"loss": "val_loss"})])  # doctest: +SKIP
    """

    def __init__(self, metrics: tc.Metrics = None, on: str | Sequence[str] | None = None) -> None:
        refuse_script_launcher()
        self.metrics = metrics
        hooks = (_EPOCH,) if on is None else tc.check_hooks(type(self).__name__, on, HOOKS)
        self.on = tuple(dict.fromkeys(_ALIASES.get(hook, hook) for hook in hooks))
        self._validated = False  # at the end of the epoch whose training is about to end
        self._at_epoch_start: dict[str, float] = {}  # what was logged before
        self._after_module: object = None  # see on_train_epoch_end
        self._fresh_settings: list[list[dict[str, object]]] = []
        self._reported: list[object] = []  # the hook and the step of the last report
        self._restored: list[object] = []  # the same, in the checkpoint that the training goes on from

    # --- state in Lightning's checkpoints -----------------------------------------------------------------------------

    @property
    def state_key(self) -> str:
        """Lightning asks under which name to keep our state."""
        return f"{type(self).__qualname__}{self.on}"

    def state_dict(self) -> dict[str, Any]:
        """Lightning's hook."""
        return {"reported": self._reported}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning's hook."""
        self._restored = list(state_dict.get("reported", ()))

    # --- several processes --------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, object]:
        """Pickled for a process that a strategy spawns: it is to find the trial."""
        state = {**vars(self), "_after_module": None}
        if get_spawning_popen() is not None:
            state["_shared"] = tc.share()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        shared = state.pop("_shared", None)
        if shared is not None:
            tc.join(shared)
            atexit.register(_leave_process_group)
        self.__dict__.update(state)

    # --- Lightning's hooks --------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: Trainer, pl_module: object) -> None:
        """The optimizers are as the configuration made them, and about to be restored."""
        self._validated = False
        self._fresh_settings = []
        found = tc.start() if tc.in_session() and trainer.ckpt_path else None
        if found is not None and not found.same_config and str(trainer.ckpt_path).startswith(found.folder):
            self._fresh_settings = [[_settings(group) for group in o.param_groups] for o in trainer.optimizers]

    def on_train_start(self, trainer: Trainer, pl_module: object) -> None:
        for optimizer, groups in zip(trainer.optimizers, self._fresh_settings):
            for group, settings in zip(optimizer.param_groups, groups):
                group.update(settings)
        if self._fresh_settings:
            for config in trainer.lr_scheduler_configs:
                if hasattr(config.scheduler, "base_lrs"):
                    groups = config.scheduler.optimizer.param_groups
                    config.scheduler.base_lrs = [group.get("initial_lr", group["lr"]) for group in groups]
        self._at("train_start", trainer)

    def on_train_epoch_start(self, trainer: object, pl_module: object) -> None:
        self._at_epoch_start = self._logged(trainer)

    def on_train_batch_end(
        self, trainer: object, pl_module: object, outputs: object, batch: object, batch_idx: int
    ) -> None:
        self._at("train_batch_end", trainer)

    def on_validation_epoch_end(self, trainer: object, pl_module: object) -> None:
        self._at("validation_epoch_end", trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: object) -> None:
        self._at("validation_end", trainer)
        if _EPOCH in self.on and not trainer.sanity_checking and trainer.state.fn == "fit":
            self._validated = _ends_epoch(trainer)
            if not self._validated:
                self._at(_EPOCH, trainer, amid_epoch=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: object) -> None:
        """Report when the module's own hook has run, which may log.

        Lightning calls callbacks before the module, but those that derive from its ``EarlyStopping`` after it. To be
        one would hide the user's own from ``trainer.early_stopping_callback``; so one is in the list for this hook.
        """
        if tc.in_session():
            self._after_module = monitoring_base(trainer)(lambda: self._end_epoch(trainer))
            trainer.callbacks.append(self._after_module)

    def _end_epoch(self, trainer: Trainer) -> None:
        self._withdraw(trainer)
        self._at("train_epoch_end", trainer)
        if _EPOCH in self.on and (self._validated or not trainer.enable_validation):
            self._at(_EPOCH, trainer)
        self._validated = False

    def _withdraw(self, trainer: Trainer) -> None:
        if self._after_module in trainer.callbacks:
            trainer.callbacks.remove(self._after_module)
        self._after_module = None

    def on_exception(self, trainer: object, pl_module: object, exception: BaseException) -> None:
        self._withdraw(trainer)

    def on_train_end(self, trainer: object, pl_module: object) -> None:
        self._at("train_end", trainer)

    def on_fit_end(self, trainer: object, pl_module: object) -> None:
        self._at("fit_end", trainer)

    # --- reporting ----------------------------------------------------------------------------------------------------

    def _at(self, hook: str, trainer: Trainer, amid_epoch: bool = False) -> None:
        stages = ("fit", "validate") if hook in _VALIDATION else ("fit",)
        if hook not in self.on or trainer.sanity_checking or trainer.state.fn not in stages or not tc.in_session():
            return
        place = [hook, trainer.global_step]
        if place == self._restored:
            return  # Lightning 2.4 calls some hooks again when it goes on
        if trainer.state.fn == "fit":
            self._reported = place
        elif place == self._reported:
            return  # ``validate`` behind a ``fit`` that has reported this model's validation
        results = self._results(trainer, amid_epoch) if trainer.is_global_zero else {}
        if trainer.strategy.broadcast(not results and amid_epoch):
            return  # none of those asked for has been computed since the last epoch
        stop = not self._report(trainer, results)
        if trainer.strategy.reduce_boolean_decision(stop, all=False):
            trainer.should_stop = True
            trainer.fit_loop.min_epochs = 0  # or should_stop would wait for them
            trainer.fit_loop.epoch_loop.min_steps = None
            self._stopped(trainer)

    def _results(self, trainer: object, amid_epoch: bool) -> dict[str, Any]:
        there, who = self._logged(trainer), type(self).__name__
        if not amid_epoch:
            return tc.choose_metrics(self.metrics, there, who)
        validated = _of_active_loop(trainer)
        new = {k: v for k, v in there.items() if k in validated or self._at_epoch_start.get(k) != v}
        return tc.choose_metrics(self.metrics, new, who, those_there=True)

    @staticmethod
    def _logged(trainer: Trainer) -> dict[str, float]:
        return {name: float(value) for name, value in trainer.callback_metrics.items() if value.numel() == 1}

    def _report(self, trainer: Trainer, results: dict[str, Any]) -> bool:
        return tc.report_metrics(results) if trainer.is_global_zero else True

    def _stopped(self, trainer: object) -> None:
        """The trial is to end with the last result."""


def _ends_epoch(trainer: Trainer) -> bool:
    """Whether the validation that has just ended was the last thing of its epoch: the epoch's end comes next."""
    progress = trainer.fit_loop.epoch_loop.batch_progress
    out_of_steps = 0 <= trainer.max_steps <= trainer.global_step
    out_of_batches = progress.is_last_batch or progress.current.ready >= trainer.num_training_batches
    return bool(
        out_of_steps or out_of_batches or (trainer.should_stop and getattr(trainer.fit_loop, "_can_stop_early", True))
    )


def _of_active_loop(trainer: object) -> set[str]:
    """Names of what was logged by the loop that runs now: during a validation, by the validation."""
    connector = getattr(trainer, "_logger_connector", None)
    metrics = getattr(connector, "metrics", None)
    return set(metrics["callback"]) if metrics else set()


def _leave_process_group() -> None:
    """A spawned process ends: Lightning leaves Torch's process group open, whose threads can then abort the process."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_initialized():
        distributed.destroy_process_group()


def _settings(group: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


class TuneReportCheckpointCallback(TuneReportCallback):
    """Reports like :class:`TuneReportCallback`, and saves a checkpoint with Lightning's own means.

    Parameters
    ----------
    metrics
        Which to report: None for all, a name, a list of names, or a dict from the name to report to
        the name that was logged.
    filename
        Name of Lightning's file in the checkpoint.
    save_checkpoints
        False reports only.
    on
        Lightning's hook to report on, or several: ``"train_epoch_end"``, ``"validation_end"`` and so on. None reports
        each validation, and each epoch of a training without any.
    frequency
        Save with every so many reports; 0 only where the scheduler may pause or copy the trial, and at the end.
    checkpoint_at_end
        Whether to save when the training ends, also when it is ended early.
    """

    def __init__(
        self,
        metrics: tc.Metrics = None,
        filename: str = MODEL_FILE,
        save_checkpoints: bool = True,
        on: str | Sequence[str] | None = None,
        frequency: int = 1,
        checkpoint_at_end: bool = True,
    ) -> None:
        super().__init__(metrics, on)
        tc.check_count(type(self).__name__, "frequency", frequency)
        self.filename = filename
        self.save_checkpoints = save_checkpoints
        self.frequency = frequency
        self.checkpoint_at_end = checkpoint_at_end
        self._reports = 0
        self._saved = True  # the last result has a checkpoint, or there is none yet

    def on_train_end(self, trainer: object, pl_module: object) -> None:
        super().on_train_end(trainer, pl_module)
        self._stopped(trainer)

    def _report(self, trainer: Trainer, results: dict[str, Any]) -> bool:
        self._reports += 1
        often = self.frequency and self._reports % self.frequency == 0
        due = trainer.strategy.broadcast(bool(often or (trainer.is_global_zero and tc.checkpoint_due(results))))
        self._saved = due = due and self.save_checkpoints
        if trainer.is_global_zero:
            return tc.report_metrics(results, (lambda folder: self._write(trainer, folder)) if due else None)
        if due:
            self._write(trainer, None)
        return True

    def _stopped(self, trainer: Trainer) -> None:
        if self._saved or not (self.save_checkpoints and self.checkpoint_at_end):
            return
        self._saved = True
        if trainer.is_global_zero:
            tc.save_checkpoint(lambda folder: self._write(trainer, folder))
        else:
            self._write(trainer, None)

    def _write(self, trainer: Trainer, folder: str | None) -> None:
        """Every rank takes part in saving; rank zero says where."""
        path = os.path.join(trainer.strategy.broadcast(folder), self.filename)
        trainer.save_checkpoint(path, weights_only=False)  # said, or Lightning 2.6 remarks upon it each time

    @staticmethod
    def get_model(checkpoint: Checkpoint, module: object, filename: str = MODEL_FILE, **how: object) -> Any:
        """See :func:`get_model`."""
        return get_model(checkpoint, module, filename, **how)


def get_model(checkpoint: Checkpoint, module: Any, filename: str = MODEL_FILE, **how: Any) -> Any:
    """The module in a checkpoint that :class:`TuneReportCheckpointCallback` made, e.g. the best result's.

    Parameters
    ----------
    checkpoint
        The checkpoint.
    module
        The ``LightningModule``'s class.
    filename
        The name that the callback was given.
    **how
        Goes to ``module.load_from_checkpoint``: arguments of the module that ``save_hyperparameters`` did not keep.
    """
    if "weights_only" in inspect.signature(module.load_from_checkpoint).parameters:
        how.setdefault("weights_only", False)
    with tc.checkpoint_file(checkpoint, filename) as path:
        return module.load_from_checkpoint(path, **how)


def resume(filename: str = MODEL_FILE) -> dict[str, Any]:
    """Arguments with which ``Trainer.fit`` goes on where the trial left off.

    Everything is restored by Lightning. If the trial goes on with another configuration than the checkpoint was made
    with (as in population based training), the optimizers' settings (learning rate and so on) are those that the
    module has configured; :class:`TuneReportCallback` sees to that.

    Parameters
    ----------
    filename
        The name that the callback was given.

    Returns
    -------
    dict
        ``ckpt_path``, None if there is nothing to go on from; and ``weights_only=False`` where ``fit`` takes it.

    Examples
    --------
    >>> trainer.fit(module, data, **resume())  # doctest: +SKIP
    """
    found = tc.start()
    arguments: dict[str, object] = {"ckpt_path": None if found is None else found.file(filename)}
    if "weights_only" in inspect.signature(Trainer.fit).parameters:  # since 2.6; without it Lightning warns
        arguments["weights_only"] = None if found is None else False
    return arguments
