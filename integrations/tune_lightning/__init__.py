"""Lightning (``pytorch_lightning``, ``lightning.pytorch``) in tune-core: a callback for the ``Trainer``; resuming."""

from __future__ import annotations

import atexit
import inspect
import os
import sys
from collections.abc import Sequence
from multiprocessing.context import get_spawning_popen
from typing import Any

from tune_core import Checkpoint
from tune_core import integration as tc
from tune_lightning.flavour import EarlyStopping, Trainer, refuse_script_launcher

__all__ = ["TuneReportCallback", "TuneReportCheckpointCallback", "get_model", "resume"]

MODEL_FILE = "checkpoint"
HOOKS = (
    "train_epoch_end", "epoch_end", "validation_end", "validation_epoch_end", "train_batch_end", "batch_end",
    "train_start", "train_end", "fit_end",
)  # fmt: skip

_EPOCH = "epoch"  # our own: once an epoch, when it has all its results
_ALIASES = {"epoch_end": "train_epoch_end", "batch_end": "train_batch_end"}

if hasattr(os, "register_at_fork"):  # a strategy that forks: the new processes are to find the trial
    os.register_at_fork(before=tc.share)


class TuneReportCallback(EarlyStopping):
    """Reports what the module logs, and ends the training when the trial is to end.

    Outside of a trial it does nothing. Of several processes the one of rank zero reports, and all end together.

    It derives from Lightning's ``EarlyStopping`` because Lightning calls callbacks of that kind after the module's own
    hook, so that what the module logs in ``on_train_epoch_end`` is there.

    Parameters
    ----------
    metrics
        None for all, a name, a list of names, or a dict from the name to report to the name that was logged.
    on
        Lightning's hook to report on, without ``on_``, or several: ``"train_epoch_end"``, ``"validation_end"``,
        ``"train_batch_end"`` and so on. None reports once an epoch, when its training and its validation are done;
        epochs that are not validated are left out if the training has a validation.

    Examples
    --------
    >>> trainer = Trainer(max_epochs=10, callbacks=[TuneReportCallback({"loss": "val_loss"})])  # doctest: +SKIP
    """

    def __init__(self, metrics: tc.Metrics = None, on: str | Sequence[str] | None = None) -> None:
        refuse_script_launcher()
        self.metrics = metrics
        hooks = (_EPOCH,) if on is None else tc.check_hooks(type(self).__name__, on, HOOKS)
        self.on = tuple(dict.fromkeys(_ALIASES.get(hook, hook) for hook in hooks))
        self._validated = False
        self._fresh_settings: list[list[dict[str, Any]]] = []
        self._reported: list[Any] = []  # the hook and the step of the last report
        self._restored: list[Any] = []  # the same, in the checkpoint that the training goes on from

    # --- what EarlyStopping would do otherwise ------------------------------------------------------------------------

    @property
    def state_key(self) -> str:
        """Lightning asks under which name to keep our state."""
        return f"{type(self).__qualname__}{self.on}"

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Lightning's hook."""

    def state_dict(self) -> dict[str, Any]:
        """Lightning's hook."""
        return {"reported": self._reported}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning's hook."""
        self._restored = list(state_dict.get("reported", ()))

    # --- several processes --------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Pickled for a process that a strategy spawns: it is to find the trial."""
        state = dict(vars(self))
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

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The optimizers are as the configuration made them, and about to be restored."""
        self._validated = False
        self._fresh_settings = []
        found = tc.start() if tc.in_session() and trainer.ckpt_path else None
        if found is not None and not found.same_config and str(trainer.ckpt_path).startswith(found.folder):
            self._fresh_settings = [[_settings(group) for group in o.param_groups] for o in trainer.optimizers]

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        for optimizer, groups in zip(trainer.optimizers, self._fresh_settings):
            for group, settings in zip(optimizer.param_groups, groups):
                group.update(settings)
        if self._fresh_settings:
            for config in trainer.lr_scheduler_configs:
                if hasattr(config.scheduler, "base_lrs"):
                    groups = config.scheduler.optimizer.param_groups
                    config.scheduler.base_lrs = [group.get("initial_lr", group["lr"]) for group in groups]
        self._at("train_start", trainer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._at("train_batch_end", trainer)

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self._at("validation_epoch_end", trainer)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            self._validated = True
        self._at("validation_end", trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self._at("train_epoch_end", trainer)
        if _EPOCH in self.on and (self._validated or not trainer.enable_validation):
            self._at(_EPOCH, trainer)
        self._validated = False

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._at("train_end", trainer)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        self._at("fit_end", trainer)

    # --- reporting ----------------------------------------------------------------------------------------------------

    def _at(self, hook: str, trainer: Any) -> None:
        if hook not in self.on or trainer.sanity_checking or trainer.state.fn != "fit" or not tc.in_session():
            return
        self._reported = [hook, trainer.global_step]
        if self._reported == self._restored:
            return  # Lightning 2.4 calls some hooks again when it goes on
        stop = not self._report(trainer, self._results(trainer) if trainer.is_global_zero else {})
        if trainer.strategy.reduce_boolean_decision(stop, all=False):
            trainer.should_stop = True
            trainer.fit_loop.min_epochs = 0  # or should_stop would wait for them
            trainer.fit_loop.epoch_loop.min_steps = None
            self._stopped(trainer)

    def _results(self, trainer: Any) -> dict[str, Any]:
        there = {name: value for name, value in trainer.callback_metrics.items() if value.numel() == 1}
        return {k: float(v) for k, v in tc.choose_metrics(self.metrics, there, type(self).__name__).items()}

    def _report(self, trainer: Any, results: dict[str, Any]) -> bool:
        return tc.report_metrics(results) if trainer.is_global_zero else True

    def _stopped(self, trainer: Any) -> None:
        """The trial is to end with the last result."""


def _leave_process_group() -> None:
    """A spawned process ends: Lightning leaves Torch's process group open, whose threads can then abort the process."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_initialized():
        distributed.destroy_process_group()


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


class TuneReportCheckpointCallback(TuneReportCallback):
    """Reports like :class:`TuneReportCallback`, and saves a checkpoint with Lightning's own means.

    Parameters
    ----------
    metrics
        See :class:`TuneReportCallback`.
    filename
        Name of Lightning's file in the checkpoint.
    save_checkpoints
        False reports only.
    on
        See :class:`TuneReportCallback`.
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

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        super().on_train_end(trainer, pl_module)
        self._stopped(trainer)

    def _report(self, trainer: Any, results: dict[str, Any]) -> bool:
        self._reports += 1
        often = self.frequency and self._reports % self.frequency == 0
        due = trainer.strategy.broadcast(bool(often or (trainer.is_global_zero and tc.checkpoint_due(results))))
        self._saved = due = due and self.save_checkpoints
        if trainer.is_global_zero:
            return tc.report_metrics(results, (lambda folder: self._write(trainer, folder)) if due else None)
        if due:
            self._write(trainer, None)
        return True

    def _stopped(self, trainer: Any) -> None:
        if self._saved or not (self.save_checkpoints and self.checkpoint_at_end):
            return
        self._saved = True
        if trainer.is_global_zero:
            tc.save_checkpoint(lambda folder: self._write(trainer, folder))
        else:
            self._write(trainer, None)

    def _write(self, trainer: Any, folder: str | None) -> None:
        """Every rank takes part in saving; rank zero says where."""
        trainer.save_checkpoint(os.path.join(trainer.strategy.broadcast(folder), self.filename))

    @staticmethod
    def get_model(checkpoint: Checkpoint, module: Any, filename: str = MODEL_FILE, **how: Any) -> Any:
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
    arguments: dict[str, Any] = {"ckpt_path": None if found is None else found.file(filename)}
    if "weights_only" in inspect.signature(Trainer.fit).parameters:  # since 2.6; without it Lightning warns
        arguments["weights_only"] = None if found is None else False
    return arguments
