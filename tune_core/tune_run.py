"""``tune.run``: the older, one-call form of :class:`tune_core.Tuner`, with Ray Tune's arguments."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tune_core.config import FailureConfig, RunConfig, TuneConfig
from tune_core.engine.checkpoint_retention import CheckpointConfig
from tune_core.errors import InvalidArgumentError, TrialError
from tune_core.journal.writer import JOURNAL_FILE
from tune_core.storage import default_storage_path
from tune_core.trainable import prepare, with_resources
from tune_core.tuner import Tuner

if TYPE_CHECKING:
    from tune_core.results.analysis import ExperimentAnalysis

_WAYS: dict[Any, tuple[bool, bool, bool]] = {  # unfinished, errored, errored from the start
    True: (True, False, False),
    "AUTO": (True, False, False),
    "LOCAL": (True, False, False),
    "ERRORED_ONLY": (False, True, False),
    "AUTO+ERRORED": (True, True, False),
    "AUTO+RESTART_ERRORED": (True, False, True),
}


def run(
    run_or_experiment: Any,
    *,
    name: str | None = None,
    metric: str | None = None,
    mode: str | None = None,
    stop: Any = None,
    time_budget_s: float | datetime.timedelta | None = None,
    config: Mapping[str, Any] | None = None,
    resources_per_trial: Any = None,
    num_samples: int = 1,
    storage_path: str | None = None,
    local_dir: str | None = None,
    search_alg: Any = None,
    scheduler: Any = None,
    checkpoint_config: CheckpointConfig | None = None,
    verbose: int | None = None,
    progress_reporter: Any = None,
    max_failures: int = 0,
    fail_fast: bool | str = False,
    resume: bool | str | None = None,
    reuse_actors: bool = True,
    raise_on_failed_trial: bool = True,
    callbacks: Sequence[Any] | None = None,
    max_concurrent_trials: int | None = None,
    seed: int | None = None,
    executor: Any = None,
    trial_timeout_s: float | None = None,
) -> ExperimentAnalysis:
    """Run trials and return their analysis.

    Parameters that are not told of here are those of :class:`TuneConfig`, :class:`RunConfig`, :class:`FailureConfig`
    and :class:`CheckpointConfig` with the same names.

    Parameters
    ----------
    run_or_experiment
        The trainable, as for :class:`tune_core.Tuner`.
    config
        The search space.
    resources_per_trial
        As for :func:`tune_core.with_resources`.
    storage_path, local_dir
        Folder of experiments; ``local_dir`` is the older name.
    resume
        ``True`` or ``"AUTO"``: go on with the experiment ``name`` if there is one; with ``"+ERRORED"`` failed trials
        too, with ``"+RESTART_ERRORED"`` those from the start; ``"ERRORED_ONLY"`` those alone.
    raise_on_failed_trial
        Raise :class:`tune_core.errors.TrialError` if trials failed.

    Raises
    ------
    TrialError
        If trials failed and ``raise_on_failed_trial`` is set.
    """
    from tune_core.results.analysis import ExperimentAnalysis

    trainable = prepare(run_or_experiment)
    if resources_per_trial is not None:
        trainable = with_resources(trainable, resources_per_trial)
    tune_config = TuneConfig(
        metric=metric,
        mode=mode,
        search_alg=search_alg,
        scheduler=scheduler,
        num_samples=num_samples,
        max_concurrent_trials=max_concurrent_trials,
        time_budget_s=time_budget_s,
        reuse_actors=reuse_actors,
        seed=seed,
        trial_timeout_s=trial_timeout_s,
    )
    run_config = RunConfig(
        name=name,
        storage_path=storage_path or local_dir,
        failure_config=FailureConfig(max_failures, fail_fast),
        checkpoint_config=checkpoint_config,
        stop=stop,
        callbacks=callbacks,
        progress_reporter=progress_reporter,
        verbose=verbose,
        executor=executor,
    )
    tuner = _resumed(trainable, config, tune_config, run_config, resume) or Tuner(
        trainable, param_space=config, tune_config=tune_config, run_config=run_config
    )
    results = tuner.fit()
    if raise_on_failed_trial and results.num_errors:
        first = results.errors[0]
        raise TrialError(
            f"{results.num_errors} of {len(results)} trials",
            f"failed, the first with:\n{first}",
            "their own code raised",
            f"All other results are kept in {results.experiment_path}; raise_on_failed_trial=False returns them.",
        )
    return ExperimentAnalysis(results, default_metric=metric, default_mode=mode)


def _resumed(trainable: Any, config: Any, tune_config: TuneConfig, run_config: RunConfig, resume: Any) -> Tuner | None:
    """The tuner that goes on with an earlier experiment, if that was asked for and there is one."""
    if resume in (None, False, "PROMPT", "REMOTE"):
        return None
    if resume not in _WAYS:
        raise InvalidArgumentError(
            "tune.run(resume)", f"is {resume!r}", "there is no such way to resume", f"Use one of {list(_WAYS)}."
        )
    if run_config.name is None:
        raise InvalidArgumentError(
            "tune.run(resume)", "was given without a name", "it says which experiment to go on with", "Add name=..."
        )
    base = os.path.abspath(os.path.expanduser(run_config.storage_path or default_storage_path()))
    folder = os.path.join(base, run_config.name)
    if not os.path.exists(os.path.join(folder, JOURNAL_FILE)):
        return None
    unfinished, errored, restart = _WAYS[resume]
    return Tuner.restore(
        folder,
        trainable,
        resume_unfinished=unfinished,
        resume_errored=errored,
        restart_errored=restart,
        param_space=config,
        tune_config=replace(tune_config),
        run_config=run_config,
    )
