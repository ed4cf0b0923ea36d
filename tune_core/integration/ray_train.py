"""Ray Train inside of a trial: a callback for a trainer's ``RunConfig`` that reports to the trial.

The trainer's workers and its controller are Ray actors of the trial's; the controller calls back to the trial's own
process, wherever that is in the cluster.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tune_core.checkpoint import Checkpoint
from tune_core.core.optional_imports import require
from tune_core.errors import TuneError
from tune_core.trainable.base import node_ip
from tune_core.trainable.protocol import STOPPED
from tune_core.trainable.scope import current_scope
from tune_core.trainable.session_remote import RemoteSession, connect, serve

require("tune_core.integration.ray_train", "ray.train", "ray")
from ray.train import UserCallback  # noqa: E402

__all__ = ["CHECKPOINT_PATH_KEY", "TuneReportCallback"]

CHECKPOINT_PATH_KEY = "checkpoint_path"
"""Name under which a result tells where Ray Train has put its checkpoint."""


class TrialEnds(Exception):
    """Ends a trainer whose trial is to end; no failure."""


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
        scope = current_scope()
        if scope is None or scope.session is None:
            raise TuneError(
                "TuneReportCallback()",
                "was made outside of a trial",
                "it reports to the trial that it was made in",
                "Make it inside of the function that is given to Tuner.",
            )
        self._address, close = serve(scope.session, node_ip())
        scope.session.at_end(close)
        self._session: RemoteSession | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_address": self._address, "_session": None}

    def after_report(self, run_context: Any, metrics: list[Mapping[str, Any]], checkpoint: Any) -> None:
        """Called in the trainer's controller when all workers have reported."""
        if self._session is None:
            self._session = connect(self._address, RemoteSession)
        if self._session is None:
            raise TrialEnds(STOPPED)
        result, kept = dict(metrics[0]), None
        if checkpoint is not None:
            result[CHECKPOINT_PATH_KEY] = checkpoint.path
            if os.path.isdir(checkpoint.path):
                kept = Checkpoint.from_directory(checkpoint.path)
        if not self._session.report(result, kept):
            raise TrialEnds(STOPPED)
