"""``tune.run``: the older, one-call form of :class:`tune_core.Tuner`, with Ray Tune's arguments."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tune_core.config import FailureConfig, ResumeConfig, RunConfig, TuneConfig
from tune_core.core.user_warnings import warn_user
from tune_core.core.validation import python_values
from tune_core.core.values import ConfigView
from tune_core.engine.checkpoint_retention import CheckpointConfig
from tune_core.errors import InvalidArgumentError, TrialError, in_terms_of
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.place import is_stored
from tune_core.journal.stored import exists
from tune_core.storage import default_storage_path
from tune_core.trainable import prepare, with_resources
from tune_core.tuner import Tuner

if TYPE_CHECKING:
    from tune_core.results.analysis import ExperimentAnalysis

_SKIP, _RESUME, _RESTART = ResumeConfig.ResumeType.SKIP, ResumeConfig.ResumeType.RESUME, ResumeConfig.ResumeType.RESTART
_WAYS: dict[object, ResumeConfig] = {
    True: ResumeConfig(),
    "AUTO": ResumeConfig(),
    "LOCAL": ResumeConfig(),
    "ERRORED_ONLY": ResumeConfig(unfinished=_SKIP, errored=_RESUME),
    "AUTO+ERRORED": ResumeConfig(errored=_RESUME),
    "AUTO+ERRORED_ONLY": ResumeConfig(unfinished=_SKIP, errored=_RESUME),
    "AUTO+RESTART_ERRORED": ResumeConfig(errored=_RESTART),
    "AUTO+RESTART_ERRORED_ONLY": ResumeConfig(unfinished=_SKIP, errored=_RESTART),
}


_ITS = ("metric", "mode", "search_alg", "scheduler", "num_samples", "max_concurrent_trials", "time_budget_s", "seed")
_ALSO = ("reuse_actors", "trial_timeout_s", "trial_name_creator", "trial_dirname_creator", "chdir_to_trial_dir")
_OF_RUN = ("name", "storage_filesystem", "stop", "callbacks", "progress_reporter", "verbose", "log_to_file", "executor")
_NAMES = {
    **{name: name for name in (*_ITS, *_ALSO, *_OF_RUN, "max_failures", "fail_fast", "sync_config")},
    "param_space": "config",
    "trainable": "run_or_experiment",
}
"""What the arguments of a Tuner and its configurations are called in :func:`run`."""


@python_values
def run(
    run_or_experiment: object,
    *,
    name: str | None = None,
    metric: str | None = None,
    mode: str | None = None,
    stop: object = None,
    time_budget_s: float | datetime.timedelta | None = None,
    config: ConfigView | None = None,
    resources_per_trial: object = None,
    num_samples: int = 1,
    storage_path: str | None = None,
    storage_filesystem: object = None,
    local_dir: str | None = None,
    search_alg: object = None,
    scheduler: Any = None,
    checkpoint_config: CheckpointConfig | None = None,
    checkpoint_freq: int = 0,
    checkpoint_at_end: bool = False,
    keep_checkpoints_num: int | None = None,
    checkpoint_score_attr: str | None = None,
    verbose: int | None = None,
    progress_reporter: object = None,
    log_to_file: object = False,
    trial_name_creator: Callable[[Any], str] | None = None,
    trial_dirname_creator: Callable[[Any], str] | None = None,
    chdir_to_trial_dir: bool = True,
    sync_config: object = None,
    export_formats: Sequence[str] | None = None,
    max_failures: int = 0,
    fail_fast: bool | str = False,
    restore: str | None = None,
    resume: bool | str | None = None,
    resume_config: ResumeConfig | None = None,
    reuse_actors: bool | None = None,
    raise_on_failed_trial: bool = True,
    callbacks: Sequence[object] | None = None,
    max_concurrent_trials: int | None = None,
    seed: int | None = None,
    executor: object = None,
    trial_timeout_s: float | None = None,
    trial_executor: object = None,
    _remote: object = None,
    _remote_string_queue: object = None,
    _entrypoint: object = None,
) -> ExperimentAnalysis:
    """Run trials and return their analysis.

    Parameters that are not told of here are those of :class:`TuneConfig`, :class:`RunConfig`, :class:`FailureConfig`
    and :class:`CheckpointConfig` with the same names.

    Parameters
    ----------
    run_or_experiment
        The trainable, as for :class:`tune_core.Tuner`; or an :class:`Experiment`, or a list of them, whose arguments
        stand in place of these.
    config
        The search space.
    resources_per_trial
        As for :func:`tune_core.with_resources`.
    storage_path, local_dir
        Folder of experiments; ``local_dir`` is the older name.
    checkpoint_freq, checkpoint_at_end, keep_checkpoints_num, checkpoint_score_attr
        Older forms of ``CheckpointConfig``'s ``checkpoint_frequency``, ``checkpoint_at_end``, ``num_to_keep`` and
        ``checkpoint_score_attribute``; the latter with ``min-`` before the name where less is better.
    export_formats
        Class trainables export their model in these formats when they end (``Trainable.export_model``).
    restore
        A checkpoint's folder from which every trial starts.
    resume
        ``True`` or ``"AUTO"``: go on with the experiment ``name`` if there is one; with ``"+ERRORED"`` failed trials
        too, with ``"+RESTART_ERRORED"`` those from the start; ``"ERRORED_ONLY"`` those alone.
    resume_config
        The same trial state by trial state; see :class:`ResumeConfig`.
    raise_on_failed_trial
        Raise :class:`tune_core.errors.TrialError` if trials failed.
    trial_executor, _remote, _remote_string_queue, _entrypoint
        Accepted and ignored: the run is always driven from here.

    Raises
    ------
    TrialError
        If trials failed and ``raise_on_failed_trial`` is set.
    """
    from tune_core.compat.experiment import Experiment
    from tune_core.results.analysis import ExperimentAnalysis

    given = {k: v for k, v in locals().items() if k not in ("run_or_experiment", "Experiment", "ExperimentAnalysis")}
    if isinstance(run_or_experiment, (list, tuple)) and len(run_or_experiment) == 1:
        run_or_experiment = run_or_experiment[0]
    if isinstance(run_or_experiment, Experiment):
        return run(run_or_experiment.run, **{**given, **run_or_experiment.arguments, "name": run_or_experiment.name})
    names = {**_NAMES, "storage_path": "storage_path" if storage_path or not local_dir else "local_dir"}
    with in_terms_of("tune.run", names):
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
            trial_name_creator=trial_name_creator,
            trial_dirname_creator=trial_dirname_creator,
            chdir_to_trial_dir=chdir_to_trial_dir,
        )
        run_config = RunConfig(
            name=name,
            storage_path=storage_path or local_dir,
            storage_filesystem=storage_filesystem,
            failure_config=FailureConfig(max_failures, fail_fast),
            checkpoint_config=_checkpoints(
                checkpoint_config, checkpoint_freq, checkpoint_at_end, keep_checkpoints_num, checkpoint_score_attr
            ),
            stop=stop,
            callbacks=callbacks,
            progress_reporter=progress_reporter,
            verbose=verbose,
            log_to_file=log_to_file,
            sync_config=sync_config,
            executor=executor,
        )
        tuner = _resumed(trainable, config, tune_config, run_config, resume, resume_config) or Tuner(
            trainable, param_space=config, tune_config=tune_config, run_config=run_config
        )
        tuner._start_from, tuner._export_formats = restore, export_formats
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


def _checkpoints(
    config: CheckpointConfig | None, frequency: int, at_end: bool, keep: int | None, score: str | None
) -> CheckpointConfig | None:
    """What the older arguments say, in place of ``checkpoint_config``."""
    older = (frequency, at_end, keep, score)
    if not any(older):
        return config
    if config is not None:
        raise InvalidArgumentError(
            "tune.run(checkpoint_config)",
            "was given beside checkpoint_freq, checkpoint_at_end, keep_checkpoints_num or checkpoint_score_attr",
            "the latter are older forms of its fields",
            "Give everything in CheckpointConfig(...).",
        )
    order = "max"
    if score is not None and score.startswith("min-"):
        order, score = "min", score.removeprefix("min-")
    return CheckpointConfig(keep, score, order, frequency, at_end)


def _resumed(
    trainable: object,
    config: Any,
    tune_config: TuneConfig,
    run_config: RunConfig,
    resume: object,
    resume_config: ResumeConfig | None,
) -> Tuner | None:
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
    base, filesystem = run_config.storage_path or default_storage_path(), run_config.storage_filesystem
    if is_stored(base, filesystem):
        folder = f"{base.rstrip('/')}/{run_config.name}"
        found = exists(folder, filesystem)
    else:
        folder = os.path.join(os.path.abspath(os.path.expanduser(base)), run_config.name)
        found = os.path.exists(os.path.join(folder, JOURNAL_FILE))
    if not found:
        return None
    way = resume_config or _WAYS[resume]
    tuner = Tuner.restore(
        folder,
        trainable,
        resume_unfinished=way.unfinished is not _SKIP,
        resume_errored=way.errored is _RESUME,
        restart_errored=way.errored is _RESTART,
        param_space=config,
        tune_config=replace(tune_config),
        run_config=run_config,
        storage_filesystem=filesystem,
    )
    tuner._go_on_with(finished=way.finished.value, restart_unfinished=way.unfinished is _RESTART)
    return tuner


def run_experiments(
    experiments: object,
    scheduler: Any = None,
    verbose: int | None = None,
    progress_reporter: object = None,
    resume: Any = None,
    resume_config: Any = None,
    reuse_actors: bool | None = None,
    raise_on_failed_trial: bool = True,
    concurrent: bool = True,
    callbacks: Sequence[object] | None = None,
) -> list[Any]:
    """Run experiments one after another.

    Parameters
    ----------
    experiments
        An :class:`~tune_core.Experiment`, a list of them, or a dict ``{name: {"run": trainable, "config": {...}, …}}``.
    scheduler, verbose, progress_reporter, resume, resume_config, reuse_actors, raise_on_failed_trial, callbacks
        As for :func:`tune_core.run`; a scheduler's instance serves one experiment only.
    concurrent
        Accepted: each experiment uses all that there is, so nothing is gained by starting several at once.

    Returns
    -------
    list
        The trials of all experiments.
    """
    from tune_core.compat.experiment import experiments_from

    found = experiments_from(experiments)
    if concurrent and len(found) > 1:
        warn_user(
            "run_experiments: the experiments run one after another, each on all resources; results are the same."
        )
    trials: list[Any] = []
    for experiment in found:
        analysis = run(
            experiment,
            scheduler=scheduler,
            verbose=verbose,
            progress_reporter=progress_reporter,
            resume=resume,
            resume_config=resume_config,
            reuse_actors=reuse_actors,
            raise_on_failed_trial=raise_on_failed_trial,
            callbacks=callbacks,
        )
        trials += analysis.trials
    return trials
