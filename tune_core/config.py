"""How a run is configured: :class:`TuneConfig` (what to tune), :class:`RunConfig` (where, and what if things fail)."""

from __future__ import annotations

import datetime
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tune_core.core import validation
from tune_core.core.constraints import constraints_from
from tune_core.core.objective import check_objectives
from tune_core.core.user_warnings import warn_user
from tune_core.engine.checkpoint_retention import CheckpointConfig
from tune_core.errors import InvalidArgumentError
from tune_core.stopper import coerce

_OF_TRIALS = ("start", "restore", "save", "result", "complete", "recover", "error")
_HOOKS = ("setup", "on_step_begin", "on_step_end", *(f"on_trial_{what}" for what in _OF_TRIALS), "on_checkpoint")


@dataclass
class TuneConfig:
    """What to tune, and how.

    Parameters
    ----------
    metric
        Name of the reported metric to optimise; ``"a/b"`` reaches into nested dicts. A list of names searches for the
        best compromises between several (``search_alg``: random search, ``"auto"``, ``"optuna"``); then no trial is the
        best, and ``ResultGrid.pareto_front`` has those that no other one beats.
    mode
        ``"min"`` or ``"max"``; with several metrics one for all, or a list with one for each.
    search_alg
        A searcher or its name (``"optuna"``, …); None: random search and grids.
    scheduler
        A scheduler or its name (``"asha"``, …); None: every trial runs to its end.
    num_samples
        Number of configurations (for random search: of draws for each point of the grid); -1: without end, until a
        time budget or a stopper ends the run.
    max_concurrent_trials
        How many trials may run at once; None, or 0 as in Ray Tune: as many as the resources allow.
    time_budget_s
        Seconds (or a ``timedelta``) after which the run ends, over all restores: no trial begins any more, and those
        that run have ``RunConfig(end_grace_s)`` to finish their step.
    reuse_actors
        What trials share. None: a worker process takes one trial after another, and each trial gets objects of its
        own: what is bound to the trainable or captured by it (not large arrays, which are read-only), and the object of
        a class trainable. What imported modules keep, and the states of random generators, stay. True: bound and
        captured objects stay as well, as they always do with ``executor="inline"``, where they are the caller's own;
        and the object of a class trainable is handed on if its ``reset_config`` accepts the next configuration. False:
        each trial gets a process of its own.
    seed
        Seeds all chance of the run; None draws one and journals it.
    trial_timeout_s
        Seconds that one attempt at a trial may take before it is ended as failed.
    chdir_to_trial_dir
        Whether a trial that runs in a worker process has its own folder as working directory. The folder in which the
        run was started is in ``os.environ["TUNE_ORIG_WORKING_DIR"]``. False: all trials work in that folder. Trials
        that run in the driver's own process (``executor="inline"``) never change it. The environment variable
        ``RAY_CHDIR_TO_TRIAL_DIR=0``, which Ray Tune knows, turns it off too.
    trial_name_creator, trial_dirname_creator
        Functions of a trial (with ``trial_id``, ``config``, ``trainable_name``, ``experiment_tag``, …) that return its
        name, as views and the trial's context show it, and the name of its folder.
    constraints
        Conditions on reported metrics that a good trial meets: ``{"latency": ("<=", 10)}``. ``"auto"``, ``"optuna"``
        and ``"ax"`` look where they are likely to be met; results that meet them come before all others.
    """

    mode: str | Sequence[str] | None = None
    metric: str | Sequence[str] | None = None
    search_alg: Any = None
    scheduler: Any = None
    num_samples: int = 1
    max_concurrent_trials: int | None = None
    time_budget_s: float | datetime.timedelta | None = None
    reuse_actors: bool | None = None
    seed: int | None = None
    trial_timeout_s: float | None = None
    chdir_to_trial_dir: bool = True
    trial_name_creator: Callable[[Any], str] | None = None
    trial_dirname_creator: Callable[[Any], str] | None = None
    constraints: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        validation.python_fields(self)
        check_objectives(self.metric, self.mode)
        constraints_from(self.constraints)
        for name in ("trial_name_creator", "trial_dirname_creator"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                raise InvalidArgumentError(
                    f"TuneConfig({name})",
                    f"is {getattr(self, name)!r}",
                    "it is a function of a trial that returns a name",
                    'Use e.g. lambda trial: f"model_{trial.trial_id}".',
                )
        if self.num_samples != -1 or isinstance(self.num_samples, bool):
            self.num_samples = validation.integer("TuneConfig(num_samples)", self.num_samples, 1, ", or -1 for no end")
        if self.max_concurrent_trials is not None:
            if self.max_concurrent_trials == 0 and not isinstance(self.max_concurrent_trials, bool):
                self.max_concurrent_trials = None  # Ray Tune's "no limit"
            else:
                asked, most = "TuneConfig(max_concurrent_trials)", self.max_concurrent_trials
                self.max_concurrent_trials = validation.integer(asked, most, 1, ", or None")
        if isinstance(self.time_budget_s, datetime.timedelta):
            self.time_budget_s = self.time_budget_s.total_seconds()
        if not isinstance(self.reuse_actors, bool | None):
            raise InvalidArgumentError(
                "TuneConfig(reuse_actors)", f"is {self.reuse_actors!r}", "it says yes or no", "Use True, False or None."
            )
        if not isinstance(self.chdir_to_trial_dir, bool):
            raise InvalidArgumentError(
                "TuneConfig(chdir_to_trial_dir)",
                f"is {self.chdir_to_trial_dir!r}",
                "it says yes or no",
                "Use True or False.",
            )
        for name in ("time_budget_s", "trial_timeout_s"):
            if getattr(self, name) is not None:
                validation.seconds(f"TuneConfig({name})", getattr(self, name))
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0):
            raise InvalidArgumentError(
                "TuneConfig(seed)", f"is {self.seed!r}", "a seed is a whole number from 0", "Use e.g. seed=0, or None."
            )

    @property
    def objectives(self) -> list[tuple[str, str]]:
        """The metrics with their modes, if there are several; else empty."""
        if not isinstance(self.metric, (list, tuple)):
            return []
        modes = [str(self.mode)] * len(self.metric) if isinstance(self.mode, str) else list(self.mode or ())
        return list(zip(self.metric, modes, strict=True))


@dataclass
class ResumeConfig:
    """Which trials of an earlier run ``tune.run(resume=True, resume_config=ResumeConfig(...))`` goes on with.

    Parameters
    ----------
    finished, unfinished, errored
        What to do with trials in each state: one of :class:`ResumeConfig.ResumeType`: ``SKIP`` leaves them as they
        are, ``RESUME`` goes on from their last checkpoints, ``RESTART`` starts them anew.
    """

    class ResumeType(Enum):
        """What to do with trials."""

        RESUME = "resume"
        RESTART = "restart"
        SKIP = "skip"

    finished: ResumeType = ResumeType.SKIP
    unfinished: ResumeType = ResumeType.RESUME
    errored: ResumeType = ResumeType.SKIP

    def __post_init__(self) -> None:
        for name in ("finished", "unfinished", "errored"):
            value = getattr(self, name)
            if isinstance(value, str) and value.lower() in [one.value for one in self.ResumeType]:
                setattr(self, name, self.ResumeType(value.lower()))
            elif not isinstance(value, self.ResumeType):
                raise InvalidArgumentError(
                    f"ResumeConfig({name})",
                    f"is {value!r}",
                    "it is RESUME, RESTART or SKIP",
                    "Use e.g. ResumeConfig.ResumeType.RESUME.",
                )


@dataclass
class SyncConfig:
    """How what a run writes is brought to an object store that is its storage path.

    Parameters
    ----------
    sync_artifacts
        Whether the other files that trials write into their folders are sent, too.
    sync_artifacts_on_checkpoint
        Accepted and ignored: artifacts are sent as they come.
    artifact_patterns
        Which of them: names with wildcards, e.g. ``("*.png", "plots/*")``.
    max_artifact_bytes
        Larger files are left out, and named.
    mirror_interval_s
        Seconds between two parts of the journal: how old the store may be while it keeps up.
    upload_queue_bytes
        How much of checkpoints may wait to be sent before trials wait with their next one.
    flush_timeout_s
        Seconds that the end of a run waits for a store that does not answer; ``tune-core sync`` sends the rest then.
    sync_period, sync_timeout, upload_dir, syncer
        Accepted and ignored, so that scripts written for Ray Tune run.
    """

    sync_period: int = 300
    sync_timeout: int = 1800
    sync_artifacts: bool = False
    sync_artifacts_on_checkpoint: bool = True
    upload_dir: Any = None
    syncer: Any = None
    artifact_patterns: Sequence[str] = ("*",)
    max_artifact_bytes: int = 1 << 30
    mirror_interval_s: float = 3.0
    upload_queue_bytes: int = 20 << 30
    flush_timeout_s: float = 120.0

    def __post_init__(self) -> None:
        validation.python_fields(self)
        for name in ("mirror_interval_s", "upload_queue_bytes", "flush_timeout_s", "max_artifact_bytes"):
            validation.number(f"SyncConfig({name})", getattr(self, name), 0)
        if isinstance(self.artifact_patterns, str):
            self.artifact_patterns = (self.artifact_patterns,)

    def warn_of_needless(self) -> None:
        """Say which of the given settings have no effect here."""
        needless = {"sync_period": 300, "sync_timeout": 1800, "upload_dir": None, "syncer": None}
        given = [name for name, default in needless.items() if getattr(self, name) not in (default, "auto")]
        if given:
            warn_user(
                f"SyncConfig({', '.join(given)}) has no effect: what a run writes is brought to its storage_path as it "
                "is made, and an upload that fails is tried again."
            )


@dataclass
class FailureConfig:
    """What to do when trials fail.

    Parameters
    ----------
    max_failures
        How often a failed trial is tried again from its last checkpoint; -1: without end. A lost node or worker that
        was not the trial's fault does not count.
    fail_fast
        End the whole run at the first trial that fails for good. ``"raise"`` raises its error from ``fit`` as well.
    max_worker_losses
        How often a trial is tried again after losing its worker through no fault of its own.
    """

    max_failures: int = 0
    fail_fast: bool | str = False
    max_worker_losses: int = 100

    def __post_init__(self) -> None:
        validation.python_fields(self)
        if self.max_failures != -1 or isinstance(self.max_failures, bool):
            validation.integer("FailureConfig(max_failures)", self.max_failures, 0, ", or -1 for no limit")
        if self.fail_fast not in (True, False, "raise"):
            raise InvalidArgumentError(
                "FailureConfig(fail_fast)",
                f"is {self.fail_fast!r}",
                "it says whether the first failure ends the run",
                'Use True, False or "raise".',
            )
        validation.integer("FailureConfig(max_worker_losses)", self.max_worker_losses, 0)


@dataclass
class RunConfig:
    """Where a run goes and what accompanies it.

    Parameters
    ----------
    name
        Name of the experiment and of its folder; None makes one of the trainable's name and the time.
    storage_path
        Folder of experiments; None: ``$TUNE_CORE_STORAGE``, else ``~/tune_results``.
    failure_config, checkpoint_config
        How often a failed trial is tried again, and which checkpoints are kept; None: no retries, all checkpoints.
    stop
        When a trial ends: ``{"training_iteration": 100}`` or ``{"accuracy": 0.9}`` (at or above the value; of a loss
        that falls write a function), a function of trial id and result, a ``Stopper``,
        or a list of these.
    callbacks
        Objects with the hooks of :class:`tune_core.Callback`.
    verbose
        0 silent; 1 a live view and a summary; 2 also the end of each trial; 3 also each result.
    progress_reporter
        A view of your own in place of the built-in one.
    executor
        ``"local"`` (worker processes), ``"ray"``, ``"inline"`` (in this process, for debuggers), or an executor; None:
        ``$TUNE_CORE_EXECUTOR``, else Ray if it is up, else local.
    env
        Environment variables for the trials. They are kept in ``tuner.pkl``, which only its owner may read.
    local_dir
        The former name of ``storage_path``; refused, with what to write instead.
    end_grace_s
        Seconds that a trial which is told to end (by a budget, a stopper, a scheduler or Ctrl-C) may take to finish its
        step, save its last checkpoint and clean up before its process is killed; ``math.inf``: as long as it likes.
        None: ``$TUNE_FORCE_TRIAL_CLEANUP_S`` as in Ray Tune (0: as long as it likes), else 600.
    ray_files
        Write the files that Ray Tune writes by default (``params.json``, ``result.json``, ``progress.csv``,
        TensorBoard's events, ``error.txt``, ``pbt_policy_<trial>.txt``); None: as ``$TUNE_CORE_RAY_FILES`` says, else
        not.
    log_to_file
        What a trial prints always goes to ``output.log`` in its folder. A name, or two for Ray Tune's stdout and
        stderr, or True for these, make links to it under those names.
    control
        Whether the run takes commands from outside while it goes on: stop a trial or the run, start no further trials
        for a while, another time budget. They come through a file in the experiment's folder, e.g. from
        ``tune-core dashboard --control``, and each is journaled.
    sync_config
        Accepted for scripts of Ray Tune's: results are brought into the experiment's folder by the run itself.
    storage_filesystem
        An fsspec or pyarrow file system that reaches ``storage_path``.
    """

    name: str | None = None
    storage_path: str | None = None
    storage_filesystem: Any = None
    failure_config: FailureConfig | None = None
    checkpoint_config: CheckpointConfig | None = None
    sync_config: Any = None
    stop: Any = None
    callbacks: Sequence[Any] | None = None
    progress_reporter: Any = None
    verbose: int | None = None
    log_to_file: Any = False
    executor: Any = None
    env: Mapping[str, str] = field(default_factory=dict)
    ray_files: bool | None = None
    local_dir: Any = None
    end_grace_s: float | None = None
    control: bool = False

    def __post_init__(self) -> None:
        validation.python_fields(self)
        if self.local_dir is not None:
            raise InvalidArgumentError(
                "RunConfig(local_dir)",
                f"is {self.local_dir!r}",
                "the folder of experiments has another name now, as in Ray Tune",
                f"Use RunConfig(storage_path={self.local_dir!r}).",
            )
        if not isinstance(self.control, bool):
            raise InvalidArgumentError(
                "RunConfig(control)", f"is {self.control!r}", "it is on or off", "Use True or False."
            )
        if self.end_grace_s is not None and self.end_grace_s != math.inf:
            validation.number("RunConfig(end_grace_s)", self.end_grace_s, 0)
        if self.storage_path is not None:
            if not isinstance(self.storage_path, (str, os.PathLike)) or not os.fspath(self.storage_path):
                raise InvalidArgumentError(
                    "RunConfig(storage_path)",
                    f"is {self.storage_path!r}",
                    "it is the path of a folder",
                    'Use e.g. storage_path="~/experiments".',
                )
            self.storage_path = os.fspath(self.storage_path)
        if isinstance(self.sync_config, SyncConfig):
            self.sync_config.warn_of_needless()
        if not isinstance(self.log_to_file, (bool, str)) and not (
            isinstance(self.log_to_file, Sequence)
            and len(self.log_to_file) == 2
            and all(isinstance(name, str) and name for name in self.log_to_file)
        ):
            raise InvalidArgumentError(
                "RunConfig(log_to_file)",
                f"is {self.log_to_file!r}",
                "it is True, a file's name, or two names",
                'Use e.g. log_to_file=True, or log_to_file=("stdout.txt", "stderr.txt").',
            )
        if not isinstance(self.env, Mapping):
            raise InvalidArgumentError(
                "RunConfig(env)", f"is {self.env!r}", "it is a dict of names and values", 'Use e.g. env={"DEBUG": "1"}.'
            )
        if self.name is not None and (
            not isinstance(self.name, str)
            or self.name.strip() in ("", ".", "..")
            or "/" in self.name
            or "\0" in self.name
        ):
            raise InvalidArgumentError(
                "RunConfig(name)",
                f"is {self.name!r}",
                "it names one folder, in storage_path: it cannot be empty or hold a slash",
                'Use e.g. name="my_experiment".',
            )
        if self.verbose is not None and self.verbose not in (0, 1, 2, 3):
            raise InvalidArgumentError(
                "RunConfig(verbose)", f"is {self.verbose!r}", "there are four levels", "Use 0, 1, 2 or 3."
            )
        for name, kind in (("failure_config", FailureConfig), ("checkpoint_config", CheckpointConfig)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise InvalidArgumentError(
                    f"RunConfig({name})", f"is {value!r}", f"it must be a {kind.__name__}", f"Use {kind.__name__}(...)."
                )
        if self.callbacks is not None and (
            isinstance(self.callbacks, (str, bytes)) or not isinstance(self.callbacks, Sequence)
        ):
            raise InvalidArgumentError(
                "RunConfig(callbacks)", f"is {self.callbacks!r}", "it is a list of callbacks", "Use callbacks=[...]."
            )
        for callback in self.callbacks or ():
            if isinstance(callback, type) or not hasattr(callback, "on_trial_result"):
                raise InvalidArgumentError(
                    "RunConfig(callbacks)",
                    f"holds {callback!r}",
                    "it has none of a callback's hooks" if not isinstance(callback, type) else "it is a class",
                    "Use an instance of a subclass of tune_core.Callback.",
                )
            for hook in _HOOKS:
                if hasattr(callback, hook):
                    asked = f"RunConfig(callbacks), {type(callback).__name__}.{hook},"
                    validation.synchronous(asked, getattr(callback, hook))
        for key, text in self.env.items():
            if not isinstance(key, str) or not isinstance(text, str):
                raise InvalidArgumentError(
                    f"RunConfig(env)[{key!r}]", f"is {text!r}", "names and values are strings", f"Use {str(text)!r}."
                )
            if not key or "=" in key or "\0" in key + text:
                raise InvalidArgumentError(
                    f"RunConfig(env)[{key!r}]",
                    f"is {text!r}",
                    "the system takes no such variable: a name has no = and is not empty, and neither has a NUL",
                    'Use e.g. env={"DEBUG": "1"}.',
                )
        coerce(self.stop)
