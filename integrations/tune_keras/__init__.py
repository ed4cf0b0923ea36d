"""Keras 3 (on any backend, ``tf.keras`` too) in tune-core: callbacks, resuming, and KerasTuner's search spaces."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tune_core import Checkpoint
from tune_core import integration as tc
from tune_core.errors import CheckpointError
from tune_keras.hyperparameters import default_config, hyperparameters, search_space

keras: Any = tc.require("tune_keras", "keras", "keras")
_Callback: Any = keras.callbacks.Callback

__all__ = [
    "TuneReportCallback",
    "TuneReportCheckpointCallback",
    "default_config",
    "get_model",
    "hyperparameters",
    "resume",
    "search_space",
]

MODEL_FILE = "model.keras"
HOOKS = ("epoch_end", "train_batch_end", "batch_end", "test_batch_end", "test_end", "train_end")

_EPOCH = "epoch"


class TuneReportCallback(_Callback):
    """Reports what Keras logs, and ends the training when the trial is to end.

    Outside of a trial it does nothing.

    Parameters
    ----------
    metrics
        None for all, a name, a list of names, or a dict from the name to report to Keras', e.g.
        ``{"accuracy": "val_accuracy"}``. Epochs without validation (``validation_freq``) are not reported if one of
        the names begins with ``val_``.
    on
        Keras' hook to report on, without ``on_``, or several: ``"epoch_end"``, ``"train_batch_end"`` (also
        ``"batch_end"``), ``"test_batch_end"``, ``"test_end"``, ``"train_end"``.

    Examples
    --------
    >>> model.fit(x, y, validation_split=0.2, callbacks=[TuneReportCallback()])  # doctest: +SKIP
    """

    def __init__(self, metrics: tc.Metrics = None, on: str | Sequence[str] = "epoch_end") -> None:
        super().__init__()
        self.metrics = metrics
        self.on = tc.check_hooks(type(self).__name__, on, HOOKS)
        self._active = False
        self._validated = False
        self._reported = 0
        self._epoch = 0
        self._batches = 0

    @property
    def async_safe(self) -> bool:
        """Keras asks: whether it need not wait for our batch hooks."""
        return not any("batch" in hook for hook in self.on)

    # --- Keras' hooks -------------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: object = None) -> None:
        self._active = tc.in_session()
        self._reported = self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._epoch = epoch
        self._validated = False

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self._batches += 1
        if self._active and ("train_batch_end" in self.on or "batch_end" in self.on):
            self._handle("train_batch_end", logs, self._batches)

    def on_test_batch_end(self, batch: int, logs: object = None) -> None:
        if "test_batch_end" in self.on and tc.in_session():
            self._handle("test_batch_end", logs, batch + 1)

    def on_test_end(self, logs: object = None) -> None:
        self._validated = True
        if "test_end" in self.on and tc.in_session():
            self._handle("test_end", logs, self._epoch + 1)

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self._epoch = epoch + 1  # what a checkpoint from here on resumes with
        if self._active and "epoch_end" in self.on:
            self._handle("epoch_end", logs, epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        if self._active and "train_end" in self.on:
            self._handle("train_end", logs, self._epoch)
        if self._active and not self._reported and self._epoch:
            tc.choose_metrics(self.metrics, logs or {}, type(self).__name__)  # says which of them was never there
        self._active = False

    # --- reporting ----------------------------------------------------------------------------------------------------

    def _handle(self, hook: str, logs: Any, count: int) -> None:
        logs = logs or {}
        if hook == "epoch_end" and not self._validated and self._wants_validation(logs):
            return
        results = tc.choose_metrics(self.metrics, logs, type(self).__name__)
        self._reported += 1
        if not self._report(hook, count, results):
            self.model.stop_training = True

    def _wants_validation(self, logs: Any) -> bool:
        """Whether a result of validation is asked for and not there."""
        if self.metrics is None:
            return False
        wanted = [self.metrics] if isinstance(self.metrics, str) else self.metrics
        names = wanted.values() if hasattr(wanted, "values") else wanted
        return any(name.startswith("val_") and name not in logs for name in names)

    def _report(self, hook: str, count: int, results: dict[str, Any]) -> bool:
        return tc.report_metrics(results)


class TuneReportCheckpointCallback(TuneReportCallback):
    """Reports like :class:`TuneReportCallback`, and saves the model with its optimizer.

    It is saved every ``frequency`` epochs (or batches, or whatever ``on`` names), where the scheduler may pause or copy
    the trial, and at the end of the training.

    Parameters
    ----------
    metrics
        Which to report: None for all, a name, a list of names, or a dict from the name to report to
        Keras', e.g. ``{"accuracy": "val_accuracy"}``.
    filename
        Name of the model's file in the checkpoint; ``.keras`` is added if it is missing.
    frequency
        Save with every so many reports; 0 saves none of these.
    on
        Keras' hook to report on, or several: ``"epoch_end"``, ``"train_batch_end"``, ``"test_end"`` and so on.
    checkpoint_at_end
        Whether to save when the training ends, also when it is ended early.
    checkpoint_on, report_metrics_on
        Ray Tune's way to say when: hooks to save on and hooks to report on. A checkpoint is reported with the metrics,
        so a hook to save on is one to report on too.
    """

    def __init__(
        self,
        metrics: tc.Metrics = None,
        filename: str = MODEL_FILE,
        frequency: int = 1,
        on: str | Sequence[str] = "epoch_end",
        checkpoint_at_end: bool = True,
        checkpoint_on: str | Sequence[str] | None = None,
        report_metrics_on: str | Sequence[str] | None = None,
    ) -> None:
        who = type(self).__name__
        report_on = tc.check_hooks(who, on if report_metrics_on is None else report_metrics_on, HOOKS)
        save_on = report_on if checkpoint_on is None else tc.check_hooks(who, checkpoint_on, HOOKS)
        super().__init__(metrics, tuple(dict.fromkeys((*report_on, *save_on))))
        tc.check_count(who, "frequency", frequency)
        self.filename = filename
        self.frequency = frequency
        self.checkpoint_at_end = checkpoint_at_end
        self.checkpoint_on = tuple("train_batch_end" if hook == "batch_end" else hook for hook in save_on)

    def on_train_end(self, logs: object = None) -> None:
        active = self._active
        super().on_train_end(logs)
        if active and self.checkpoint_at_end and self._epoch:
            tc.save_checkpoint(self._write, {_EPOCH: self._epoch})

    def _report(self, hook: str, count: int, results: dict[str, Any]) -> bool:
        often = self.frequency and hook in self.checkpoint_on and count % self.frequency == 0
        is_last = hook == "epoch_end" and hook in self.checkpoint_on and self._is_last()
        if often or tc.checkpoint_due(results) or is_last:
            return tc.report_metrics(results, self._write, {_EPOCH: self._epoch})
        goes_on = tc.report_metrics(results)
        if not goes_on and self.checkpoint_at_end:
            tc.save_checkpoint(self._write, {_EPOCH: self._epoch})
        return goes_on

    def _is_last(self) -> bool:
        """Whether the training ends with this epoch: then callbacks may put other weights back before we are asked."""
        last = self._epoch >= (self.params or {}).get("epochs", 0)
        return self.checkpoint_at_end and (last or bool(self.model.stop_training))

    def _write(self, folder: str) -> None:
        self.model.save(os.path.join(folder, _with_suffix(self.filename)))

    @staticmethod
    def get_model(checkpoint: Checkpoint, filename: str = MODEL_FILE, **how: object) -> Any:
        """See :func:`get_model`."""
        return get_model(checkpoint, filename, **how)


def _with_suffix(filename: str) -> str:
    return filename if filename.endswith(".keras") else f"{filename}.keras"


def get_model(checkpoint: Checkpoint, filename: str = MODEL_FILE, **how: Any) -> Any:
    """The model in a checkpoint that :class:`TuneReportCheckpointCallback` made, e.g. the best result's.

    Parameters
    ----------
    checkpoint
        The checkpoint.
    filename
        The name that the callback was given.
    **how
        Goes to ``keras.models.load_model``, e.g. ``custom_objects``.
    """
    with tc.checkpoint_file(checkpoint, _with_suffix(filename)) as path:
        return keras.models.load_model(path, **how)


def resume(model: Any, filename: str = MODEL_FILE) -> dict[str, Any]:
    """Put a trial's model back where it was, and say with which argument ``fit`` goes on from there.

    Weights and optimizer state are those of the checkpoint; so is the learning rate, unless the trial goes on with
    another configuration than the checkpoint was made with (as in population based training): then it is the one that
    the model was compiled with.

    Parameters
    ----------
    model
        The model, built (its input's shape is known) and compiled.
    filename
        The name that the callback was given.

    Returns
    -------
    dict
        ``initial_epoch``: the epochs that are done.

    Examples
    --------
    >>> model.fit(x, y, epochs=20, callbacks=[TuneReportCheckpointCallback()], **resume(model))  # doctest: +SKIP
    """
    found = tc.start()
    if found is None:
        return {"initial_epoch": 0}
    path = found.file(_with_suffix(filename))
    if not model.built or model.optimizer is None:
        raise CheckpointError(
            "tune_keras.resume(model)",
            "got a model that is not built or not compiled",
            "there is nothing yet to load weights and optimizer state into",
            "Begin the model with keras.Input(shape) or call model.build(shape), and compile it, before resume(model).",
        )
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    rate = keras.ops.convert_to_numpy(optimizer.learning_rate)
    model.load_weights(path)
    if not found.same_config and hasattr(optimizer.learning_rate, "assign"):
        optimizer.learning_rate.assign(rate)
    return {"initial_epoch": int(found.metadata.get(_EPOCH, 0))}
