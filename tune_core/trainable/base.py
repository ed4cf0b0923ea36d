"""A training as a class: :class:`Trainable`, which a run drives step by step, and a script may drive by hand."""

from __future__ import annotations

import datetime
import functools
import os
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tune_core.core.values import Config, Metrics, ResultDict
from tune_core.errors import CheckpointError, InvalidArgumentError
from tune_core.trainable.export import ExportFormat
from tune_core.trainable.resources import as_held
from tune_core.trainable.state import TrainingResult, load_state, read_progress, write_progress, write_state

DONE = "done"
SHOULD_CHECKPOINT = "should_checkpoint"
RESULT_DUPLICATE = "__duplicate__"

_TOTALS = {"timesteps_this_iter": "timesteps_total", "episodes_this_iter": "episodes_total"}


class Trainable:
    """A training as a class: :meth:`setup` once, then :meth:`step` until something stops it.

    Override :meth:`setup`, :meth:`step`, and, so that it can be paused, exploited or tried again without starting
    over, :meth:`save_checkpoint` and :meth:`load_checkpoint`. Names and semantics are Ray Tune's.

    Parameters
    ----------
    config
        The trial's configuration.
    """

    _trial_info: Mapping[str, Any] = MappingProxyType({})  # set by the worker before __init__ is called

    def __init__(self, config: Config | None = None, **setup_arguments: Any) -> None:
        self.config: Config = config if config is not None else {}
        self._iteration = 0
        self._time_total = 0.0
        self._tune_totals: dict[str, float] = {}  # timesteps_total and episodes_total, where steps tell theirs
        self._tune_restored_at: tuple[int, float, float] = (0, 0.0, 0.0)  # iteration, seconds, timesteps
        self._last_result: ResultDict = {}
        self.setup(self.config, **setup_arguments)

    @classmethod
    def default_resource_request(cls, config: Config) -> Mapping[str, float] | None:
        """Resources that a trial with ``config`` asks for, e.g. ``{"cpu": 1, "gpu": 0.5}``; None: the default."""
        return None

    def setup(self, config: Config) -> None:
        """Prepare to train with ``config``."""

    def step(self) -> ResultDict:
        """Train for one iteration and return its metrics; ``{"done": True}`` among them ends the trial."""
        raise NotImplementedError(f"{type(self).__name__} has to define step(self), which returns a dict of metrics")

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | str | None:
        """Write what is needed to go on into ``checkpoint_dir``, or return it as a dict."""
        raise NotImplementedError(f"{type(self).__name__} defines no save_checkpoint(self, checkpoint_dir)")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from what :meth:`save_checkpoint` wrote (its folder) or returned (its dict)."""
        raise NotImplementedError(f"{type(self).__name__} defines no load_checkpoint(self, checkpoint)")

    def reset_config(self, new_config: Config) -> bool:
        """Take a new configuration in place of being built anew; return True if that was possible."""
        return False

    def cleanup(self) -> None:
        """Release what :meth:`setup` took."""

    def log_result(self, result: ResultDict) -> None:
        """Called with every result and its automatic fields; override it to log where the training runs."""

    # --- by hand ------------------------------------------------------------------------------------------------------

    def train(self) -> ResultDict:
        """One iteration: :meth:`step`'s metrics with the automatic fields, after :meth:`log_result` has seen them."""
        began = time.perf_counter()
        answer = self.step()
        if not isinstance(answer, Mapping):
            raise InvalidArgumentError(
                f"{type(self).__name__}.step()",
                f"returned {answer!r}",
                "an iteration's result is a dict of metrics",
                'Return one from step, e.g. {"loss": 0.5}.',
            )
        result = dict(answer)
        if RESULT_DUPLICATE in result:
            return result
        result = self._tune_complete(result, time.perf_counter() - began)
        self.log_result(result)
        self._last_result = result
        return result

    def _tune_complete(self, metrics: Metrics, took: float) -> ResultDict:
        """Count an iteration that took so many seconds; its result with the automatic fields."""
        result = dict(metrics)
        took = result["time_this_iter_s"] if result.get("time_this_iter_s") is not None else took
        self._iteration += 1
        self._time_total += took
        result.setdefault(DONE, False)
        for each, total in _TOTALS.items():
            if result.get(each) is not None:
                self._tune_totals[total] = self._tune_totals.get(total, 0) + result[each]
            if total in self._tune_totals:
                result.setdefault(total, self._tune_totals[total])
        result.setdefault("training_iteration", self._iteration)
        result.update(self.get_auto_filled_metrics(time_this_iter=took, timestamp=result.get("timestamp")))
        return result

    def get_auto_filled_metrics(
        self,
        now: datetime.datetime | None = None,
        time_this_iter: float | None = None,
        timestamp: int | None = None,
        debug_metrics_only: bool = False,
    ) -> ResultDict:
        """The automatic fields of a result; with ``debug_metrics_only`` those that need no iteration."""
        now = now or datetime.datetime.now()
        host, process = self.get_current_ip_pid()
        filled: Config = {
            "trial_id": self.trial_id,
            "date": now.strftime("%Y-%m-%d_%H-%M-%S"),
            "timestamp": timestamp if timestamp else int(now.timestamp()),
            "pid": process,
            "hostname": node_name(),
            "node_ip": host,
            "config": self.config,
        }
        if debug_metrics_only:
            return filled
        iteration, seconds, timesteps = self._tune_restored_at
        filled.update(
            time_this_iter_s=time_this_iter,
            time_total_s=self._time_total,
            time_since_restore=self._time_total - seconds,
            iterations_since_restore=self._iteration - iteration,
        )
        if "timesteps_total" in self._tune_totals:
            filled["timesteps_since_restore"] = self._tune_totals["timesteps_total"] - timesteps
        return filled

    def train_buffered(self, buffer_time_s: float, max_buffer_length: int = 1000) -> list[ResultDict]:
        """Iterations for ``buffer_time_s`` seconds, at least one: their results."""
        results: list[ResultDict] = []
        until = time.monotonic() + buffer_time_s
        while not results or time.monotonic() < until:
            result = self.train()
            results.append(result)
            ends = result.get(DONE) or result.get(SHOULD_CHECKPOINT) or RESULT_DUPLICATE in result
            if ends or len(results) >= max_buffer_length:
                break
        return results

    def save(self, checkpoint_dir: str | None = None) -> TrainingResult:
        """Save the state into a folder, a temporary one if none is given, for :meth:`restore`.

        Raises
        ------
        NotImplementedError
            If the class defines no :meth:`save_checkpoint`.
        """
        from tune_core.checkpoint import Checkpoint

        if not checkpoint_dir:
            import tempfile  # needs shutil and what packs files: nothing for all who import the Tuner

            checkpoint_dir = tempfile.mkdtemp(prefix="checkpoint_")
        folder = os.path.abspath(checkpoint_dir)
        os.makedirs(folder, exist_ok=True)
        answer = self.save_checkpoint(folder)
        if isinstance(answer, str) and os.path.abspath(answer) != folder:
            raise CheckpointError(
                f"{type(self).__name__}.save_checkpoint({folder!r})",
                f"returned {answer!r}",
                "files elsewhere are not part of the checkpoint",
                "Write into the folder given, and return None, that folder or a dict.",
            )
        write_state(answer, folder)
        totals = {"iteration": self._iteration, "time_total": self._time_total, "totals": self._tune_totals}
        write_progress(folder, totals)
        return TrainingResult(Checkpoint.from_directory(folder), dict(self._last_result))

    def restore(self, checkpoint_path: Any) -> None:
        """Go on from what :meth:`save` returned, from a checkpoint, or from a checkpoint's folder."""
        from tune_core.checkpoint import Checkpoint

        found = getattr(checkpoint_path, "checkpoint", checkpoint_path)
        checkpoint = found if isinstance(found, Checkpoint) else Checkpoint.from_directory(found)
        with checkpoint.as_directory() as folder:
            progress = read_progress(folder)
            self.load_checkpoint(load_state(folder))
        self._iteration = int(progress.get("iteration", 0))
        self._time_total = float(progress.get("time_total", 0.0))
        self._tune_totals = dict(progress.get("totals", {}))
        self._tune_restored_at = (self._iteration, self._time_total, self._tune_totals.get("timesteps_total", 0.0))

    def reset(self, new_config: Config, logger_creator: Any = None, storage: Any = None) -> bool:
        """Start over with another configuration, if :meth:`reset_config` can; whether it could.

        ``logger_creator`` and ``storage`` are accepted and ignored: a trainable writes no logs of its own.
        """
        if not self.reset_config(new_config):
            return False
        self.config = new_config
        self._iteration, self._time_total, self._tune_totals = 0, 0.0, {}
        self._tune_restored_at = (0, 0.0, 0.0)
        self._last_result = {}
        return True

    def export_model(self, export_formats: str | Sequence[str], export_dir: str | None = None) -> dict[str, str]:
        """Export the model: the path of each format, from ``_export_model(formats, folder)``, which a class defines.

        Parameters
        ----------
        export_formats
            One or several of :class:`~tune_core.experiment.trial.ExportFormat`.
        export_dir
            Where to; None: the trial's folder, or outside of a run the working directory.
        """
        formats = [export_formats] if isinstance(export_formats, str) else list(export_formats)
        return self._export_model(ExportFormat.validate(formats), export_dir or self.logdir or os.getcwd())

    def _export_model(self, export_formats: list[str], export_dir: str) -> dict[str, str]:
        """Override this to export; returns the path of each format."""
        return {}

    def get_state(self) -> dict[str, Any]:
        """How far the training has come."""
        return {
            "iteration": self._iteration,
            "timesteps_total": self._tune_totals.get("timesteps_total"),
            "time_total": self._time_total,
            "episodes_total": self._tune_totals.get("episodes_total"),
            "last_result": self._last_result,
        }

    def get_current_ip_pid(self) -> tuple[str, int]:
        """The address of this machine and the id of this process."""
        return node_ip(), os.getpid()

    @classmethod
    def resource_help(cls, config: Config) -> str:
        """Help on the resources that a trial needs; for people."""
        return ""

    # --- facts --------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the training: calls :meth:`cleanup`."""
        self.cleanup()

    @property
    def iteration(self) -> int:
        """Iterations done so far."""
        return self._iteration

    @property
    def training_iteration(self) -> int:
        """Iterations done so far."""
        return self._iteration

    @property
    def trial_id(self) -> str:
        """The trial's id, or ``"default"`` outside of a run."""
        return str(self._trial_info.get("trial_id", "default"))

    @property
    def trial_name(self) -> str:
        """The trial's name, or ``"default"`` outside of a run."""
        return str(self._trial_info.get("trial_name", "default"))

    @property
    def logdir(self) -> str | None:
        """The trial's folder, made on first use; None outside of a run."""
        folder = self._trial_info.get("trial_dir")
        if folder is not None:
            os.makedirs(folder, exist_ok=True)
        return folder

    @property
    def trial_resources(self) -> Any:
        """What the trial was given."""
        return as_held(self._trial_info.get("resources"))

    def get_config(self) -> Config:
        """The configuration in force."""
        return self.config


_node_ip = ""


@functools.cache
def place() -> tuple[str, str]:
    """The name of this machine and its address, as the automatic fields tell them."""
    return node_name(), node_ip()


def node_name() -> str:
    """The name of this machine."""
    import platform

    return platform.node()


def node_ip() -> str:
    """The address by which other machines would reach this one; 127.0.0.1 without a network."""
    global _node_ip
    if not _node_ip:
        import contextlib
        import socket

        _node_ip = "127.0.0.1"
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # documentation address: nothing is sent, a route is chosen
            _node_ip = probe.getsockname()[0]
    return _node_ip
