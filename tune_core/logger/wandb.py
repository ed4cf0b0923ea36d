"""Each trial as a run of Weights & Biases, and ``setup_wandb`` for objectives that log themselves."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.core.flatten import flatten
from tune_core.core.optional_imports import require
from tune_core.core.values import ConfigView, ResultDict
from tune_core.errors import InvalidArgumentError
from tune_core.logger.tracker import FINISH_S, TrackedTrial, Tracker, in_trial

__all__ = ["WandbLoggerCallback", "setup_wandb"]

PROJECT_ENVIRONMENT = "WANDB_PROJECT_NAME"
GROUP_ENVIRONMENT = "WANDB_GROUP_NAME"


class WandbLoggerCallback(Tracker):
    """Log each trial as a run of Weights & Biases: its configuration, its results and, if asked, its checkpoints.

    Everything is sent by one thread of the driver, from the journal: a slow network delays no trial. A run's step is
    the number of the report, so that nothing is lost when a trial goes back to a checkpoint; ``training_iteration`` is
    the default axis. After a kill, ``Tuner.restore`` goes on in the same runs and sends what they lack. With
    ``WANDB_MODE=offline``, a restored trial's second folder holds the whole log.

    Parameters
    ----------
    project
        Project; None takes ``WANDB_PROJECT_NAME``, or else the experiment's name.
    group
        Group of the runs; None takes ``WANDB_GROUP_NAME``, or else the experiment's name.
    api_key_file, api_key
        Where the key is, or the key; None takes ``WANDB_API_KEY`` or what ``wandb login`` has kept.
    excludes
        Names of metrics that are not sent.
    log_config
        Whether each result carries the configuration, under ``config/``.
    upload_checkpoints
        Whether checkpoints are sent as artifacts.
    save_checkpoints
        Older name of ``upload_checkpoints``.
    upload_timeout
        Most seconds that the end of a run waits for what is still to be sent.
    video_kwargs, image_kwargs
        Not used: the journal holds numbers and text, no arrays. A warning says so.
    **kwargs
        For ``wandb.init``.

    Raises
    ------
    MissingDependencyError
        If wandb is not installed.
    InvalidArgumentError
        If there is no key, and the mode is neither offline nor disabled.
    """

    def __init__(
        self,
        project: str | None = None,
        group: str | None = None,
        api_key_file: str | None = None,
        api_key: str | None = None,
        excludes: Sequence[str] | None = None,
        log_config: bool = False,
        upload_checkpoints: bool = False,
        save_checkpoints: bool = False,
        upload_timeout: float = FINISH_S,
        video_kwargs: Mapping[str, object] | None = None,
        image_kwargs: Mapping[str, object] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(upload_timeout)
        wandb = require("WandbLoggerCallback", "wandb", "wandb")
        if video_kwargs or image_kwargs:
            warnings.warn("video_kwargs and image_kwargs have no effect: results are numbers and text", stacklevel=2)
        self._project = project or os.environ.get(PROJECT_ENVIRONMENT)
        self._group = group or os.environ.get(GROUP_ENVIRONMENT)
        self._excludes = frozenset(excludes or ())
        self._log_config = log_config
        self._upload_checkpoints = upload_checkpoints or save_checkpoints
        self._init = kwargs
        _use_key(wandb, "WandbLoggerCallback", api_key, api_key_file, kwargs.get("mode"))

    def send_open(self, trial: TrackedTrial) -> tuple[Any, int]:
        """A run of its own in this process; the step tells the service what it has already."""
        wandb = require("WandbLoggerCallback", "wandb", "wandb")
        settings = wandb.Settings(x_disable_stats=True, x_disable_machine_info=True, console="off", silent=True)
        given = {"settings": settings, **self._init}
        config = {**trial.config, **given.pop("config", {})}
        run = wandb.init(
            project=self._project or _clean(trial.experiment),
            group=self._group or trial.experiment,
            id=trial.key,
            name=given.pop("name", None) or trial.trial_id,
            resume="allow",
            reinit="create_new",
            config=_plain(config),
            allow_val_change=True,
            dir=given.pop("dir", None) or os.environ.get("WANDB_DIR") or trial.folder,
            **given,
        )
        if getattr(run, "offline", False):
            runs = os.path.dirname(os.path.dirname(run.dir))
            self.how_to_look = f"Weights & Biases: wandb sync {runs}/offline-run-*"
        elif url := getattr(run, "project_url", None):
            self.how_to_look = f"Weights & Biases: {url}"
        run.define_metric("training_iteration")
        run.define_metric("*", step_metric="training_iteration")
        return run, 0  # an online run drops the steps that it has

    def send_result(self, trial: TrackedTrial, number: int, result: ResultDict) -> None:
        """All numbers and short texts, at the number of the report."""
        values = {name: v for name, v in result.items() if isinstance(v, (bool, int, float, str))}
        if self._log_config:
            values.update({f"config/{name}": value for name, value in _plain(trial.config).items()})
        trial.handle.log({name: v for name, v in values.items() if name not in self._excludes}, step=number)

    def send_config(self, trial: TrackedTrial) -> None:
        """A population's trial has changed its configuration."""
        trial.handle.config.update(_plain(trial.config), allow_val_change=True)

    def send_checkpoint(self, trial: TrackedTrial, name: str) -> None:
        """An artifact, if asked."""
        folder = os.path.join(trial.path, name)
        if not self._upload_checkpoints or not os.path.isdir(folder):
            return
        wandb = require("WandbLoggerCallback", "wandb", "wandb")
        artifact = wandb.Artifact(name=f"checkpoint_{trial.key}", type="model")
        artifact.add_dir(folder)
        trial.handle.log_artifact(artifact)

    def send_end(self, trial: TrackedTrial, status: str) -> None:
        """An interrupted run stays resumable."""
        trial.handle.summary["tune_core_status"] = status
        trial.handle.finish(exit_code=1 if status == "failed" else 0)


def setup_wandb(
    config: ConfigView | None = None,
    api_key: str | None = None,
    api_key_file: str | None = None,
    rank_zero_only: bool = True,
    **kwargs: Any,
) -> Any:
    """Begin a run of Weights & Biases in an objective, named and grouped by its trial; it ends with the trial.

    Parameters
    ----------
    config
        The configuration to log; None takes the trial's.
    api_key, api_key_file
        The key, or where it is; None takes ``WANDB_API_KEY`` or what ``wandb login`` has kept.
    rank_zero_only
        In distributed training, let only the first worker log; the others get a run that does nothing.
    **kwargs
        For ``wandb.init``; they come before what the trial says.

    Returns
    -------
    wandb.Run
        ``wandb.log`` and the run's own ``log`` write to it.

    Raises
    ------
    MissingDependencyError
        If wandb is not installed.
    InvalidArgumentError
        If there is no key, and the mode is neither offline nor disabled.
    """
    wandb = require("setup_wandb", "wandb", "wandb")
    context = in_trial()
    if context is not None and rank_zero_only and (context.get_world_rank() or 0) != 0:
        return wandb.init(mode="disabled")
    _use_key(wandb, "setup_wandb", api_key, api_key_file, kwargs.get("mode"))
    given: dict[str, Any] = {
        "project": os.environ.get(PROJECT_ENVIRONMENT),
        "group": os.environ.get(GROUP_ENVIRONMENT),
        "resume": "allow",
        "reinit": "finish_previous",
        "allow_val_change": True,
        "config": _plain(flatten(dict(config))) if config is not None else None,
    }
    if context is not None:
        from tune_core.trainable.session import at_end

        experiment, trial = str(context.get_experiment_name()), str(context.get_trial_id())
        given.update(
            id=_clean(f"{experiment}-{trial}"),
            name=context.get_trial_name() or trial,
            project=given["project"] or _clean(experiment),
            group=given["group"] or experiment,
            dir=os.environ.get("WANDB_DIR") or context.get_trial_dir(),
        )
        if config is None:
            given["config"] = _plain(flatten(dict(context.get_config())))
        at_end(lambda: _finish(wandb))
    given.update(kwargs)
    return wandb.init(**{name: value for name, value in given.items() if value is not None})


def _finish(wandb: Any) -> None:
    if wandb.run is not None:
        wandb.finish()


def _use_key(wandb: Any, who: str, key: str | None, key_file: str | None, mode: str | None) -> None:
    if key_file is not None:
        if key is not None:
            raise InvalidArgumentError(
                f"{who}(api_key, api_key_file)", "are both given", "they name two keys", "Give one of them."
            )
        try:
            with open(os.path.expanduser(key_file), encoding="utf-8") as file:
                key = file.readline().strip()
        except OSError as error:
            raise InvalidArgumentError(
                f"{who}(api_key_file)", f"is {key_file!r}", str(error.strerror or error), "Check the path."
            ) from error
    if key is not None:
        os.environ["WANDB_API_KEY"] = key
    mode = mode or os.environ.get("WANDB_MODE", "online")
    if mode != "online" or os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_DISABLED"):
        return
    if not getattr(wandb.api, "api_key", None):
        raise InvalidArgumentError(
            who,
            "has no key of Weights & Biases",
            "WANDB_API_KEY is not set, and `wandb login` was not run",
            "Set one of these, give api_key, or log without a server: WANDB_MODE=offline.",
        )


def _clean(text: str) -> str:
    """A name with only the characters that projects and ids may have."""
    return re.sub(r"[^\w.-]", "_", text, flags=re.ASCII)[:120] or "tune-core"


def _plain(config: ConfigView) -> dict[str, Any]:
    return {k: v if isinstance(v, (bool, int, float, str, type(None))) else repr(v)[:1000] for k, v in config.items()}
