"""Ray Train inside of a trial: a callback for a trainer's ``RunConfig`` that reports to the trial.

The trainer's workers and its controller are Ray actors of the trial's; the controller calls back to the trial's own
process, wherever that is in the cluster.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tune_core import Checkpoint
from tune_core import integration as tc
from tune_core.integration.remote import RemoteTrial

UserCallback: Any = tc.require("tune_ray_train", "ray.train", "ray").UserCallback

__all__ = ["CHECKPOINT_PATH_KEY", "TuneReportCallback"]

CHECKPOINT_PATH_KEY = "checkpoint_path"
"""Name under which a result tells where Ray Train has put its checkpoint."""


class TuneReportCallback(UserCallback):
    """Reports what rank zero of a Ray Train trainer reports, and keeps its checkpoint.

    To be made inside of the objective. When the trial is to end, the trainer is ended.

    Raises
    ------
    TuneError
        If it is made outside of a trial.

    Examples
    --------
    >>> def objective(config):  # doctest: +SKIP
    ...     trainer = ray.train.torch.TorchTrainer(
    ...         train_loop,
    ...         train_loop_config=config,
    ...         scaling_config=ray.train.ScalingConfig(num_workers=2),
    ...         run_config=ray.train.RunConfig(callbacks=[TuneReportCallback()]),
    ...     )
    ...     trainer.fit()
    """

    def __init__(self) -> None:
        self._trial = RemoteTrial("TuneReportCallback()")

    def after_report(self, run_context: object, metrics: list[Mapping[str, object]], checkpoint: Any) -> None:
        """Called in the trainer's controller when all workers have reported."""
        result, kept = dict(metrics[0]), None
        if checkpoint is not None:
            result[CHECKPOINT_PATH_KEY] = checkpoint.path
            if os.path.isdir(checkpoint.path):
                kept = Checkpoint.from_directory(checkpoint.path)
        self._trial.report(result, kept)
