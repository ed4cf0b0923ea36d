"""``Tuner``: puts the parts of a run together, runs it, and hands back the results.

This is the door that scripts come in by, so what only a run or a restore needs is imported there.
"""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tune_core import space
from tune_core.config import RunConfig, TuneConfig
from tune_core.core.flatten import flatten
from tune_core.core.user_warnings import warn_user
from tune_core.core.validation import python_value
from tune_core.errors import InvalidArgumentError, RestoreError, TuneError
from tune_core.trainable import Prepared, prepare, request_of
from tune_core.trainable.export import ExportFormat

if TYPE_CHECKING:
    from tune_core.core.events import Header
    from tune_core.fit.stored import StoredExperiment
    from tune_core.results import ResultGrid


class Tuner:
    """Tunes a trainable over a search space.

    Parameters
    ----------
    trainable
        A function of the configuration that reports, yields or returns metrics; or a class derived from
        :class:`tune_core.Trainable`.
    param_space
        Names and values: constants, domains (``tune.uniform`` …), grids, nested dicts and lists of these.
    tune_config, run_config
        How to search (metric, searcher, scheduler, …), and where the run goes (name, storage, callbacks, …).

    Raises
    ------
    TuneError
        For whatever can be known to be wrong before the first trial.

    Examples
    --------
    >>> import tune_core as tune
    >>> def objective(config):
    ...     return {"loss": (config["x"] - 3) ** 2}
    >>> tuner = tune.Tuner(
    ...     objective,
    ...     param_space={"x": tune.grid_search([1, 2, 3])},
    ...     tune_config=tune.TuneConfig(metric="loss", mode="min"),
    ...     run_config=tune.RunConfig(verbose=0),
    ... )
    >>> tuner.fit().get_best_result().config
    {'x': 3}
    """

    def __init__(
        self,
        trainable: object,
        *,
        param_space: Mapping[str, object] | None = None,
        tune_config: TuneConfig | None = None,
        run_config: RunConfig | None = None,
    ) -> None:
        self._prepared = prepare(trainable)
        self._space = _check_space(param_space)
        self._tune = _expect("Tuner(tune_config)", tune_config, TuneConfig)
        self._run = _expect("Tuner(run_config)", run_config, RunConfig)
        self._restored: dict[str, object] | None = None
        self._folder: str | None = None
        self._start_from: str | None = None  # a checkpoint that every trial starts from
        self._export_formats: Sequence[str] | None = None
        self._stored: StoredExperiment | None = None
        self._kept: dict[str, Any] | None = None  # the configuration as it was before the first call of fit
        _check_trainable_fits(self._prepared, self._run)

    # --- running ------------------------------------------------------------------------------------------------------

    def fit(self) -> ResultGrid:
        """Run the trials and return their results.

        Raises
        ------
        TuneError
            If the run could not begin or had to end; all results up to then are kept in the folder.
        """
        from tune_core.executors import load_ahead

        load_ahead(self._run.executor, self._run.env, request_of(self._prepared))
        from tune_core.fit.experiment_run import ExperimentRun
        from tune_core.results import ResultGrid

        args = (self._prepared, self._space, *self._unused())
        run = ExperimentRun(*args, self._folder, self._restored, self._stored)
        run.start_from, run.export_formats = self._starts()
        try:
            run.run()
        except KeyboardInterrupt:
            if not run.begun:
                raise
            path = run.place.path  # what was interrupted is of no use to the reader: anything may have been
            then = f"The run was ended at once; Tuner.restore({path!r}, ...) goes on with it."
            raise KeyboardInterrupt(then) from None
        finally:
            if run.begun:  # another call goes on with this run
                self._folder, self._restored, self._stored = run.folder, {}, run.stored
                self._kept, self._tune = self._kept or run.kept, replace(self._tune, seed=run.seed)
        return ResultGrid.from_trials(run.place, run.header, run.controller.trials)

    def _unused(self) -> tuple[TuneConfig, RunConfig]:
        """The configuration; where an earlier call has used it up, with the parts that learn as they were given."""
        if self._kept is None:
            return self._tune, self._run
        tune, run = self._kept["tune_config"], self._kept["run_config"]
        scheduler, search_alg, stop = tune.scheduler, tune.search_alg, run.stop
        with contextlib.suppress(Exception):  # what cannot be copied is refused where it is not as it was given
            scheduler, search_alg, stop = copy.deepcopy((scheduler, search_alg, stop))
        return replace(self._tune, scheduler=scheduler, search_alg=search_alg), replace(self._run, stop=stop)

    def _starts(self) -> tuple[str | None, tuple[str, ...]]:
        """What ``tune.run(restore, export_formats)`` asked for, checked."""
        from tune_core.checkpoint import Checkpoint

        formats = tuple(ExportFormat.validate(self._export_formats or ()))
        if formats and not self._prepared.is_class:
            raise InvalidArgumentError(
                "tune.run(export_formats)",
                f"is {list(formats)}, and {self._prepared.__name__} is a function",
                "only class trainables define how their model is exported",
                "Write the model into a checkpoint: tune.report(metrics, checkpoint=...).",
            )
        if self._start_from is None:
            return None, formats
        return Checkpoint.from_directory(getattr(self._start_from, "path", self._start_from)).path, formats

    def _go_on_with(self, finished: str = "skip", restart_unfinished: bool = False) -> None:
        """Further ways to go on with a restored run; see :class:`tune_core.ResumeConfig`."""
        if self._restored is not None:
            self._restored.update(finished=finished, restart_unfinished=restart_unfinished)

    def get_results(self) -> ResultGrid:
        """Results of a run that was restored or has been fitted, read from its folder."""
        from tune_core.results import ResultGrid

        if self._folder is None:
            raise RestoreError(
                "Tuner.get_results()", "was called before fit()", "there are no results yet", "Call fit() first."
            )
        if self._stored is not None:
            return ResultGrid.from_path(self._stored.url, self._stored.filesystem)
        return ResultGrid.from_path(self._folder)

    # --- restoring ----------------------------------------------------------------------------------------------------

    @classmethod
    def can_restore(cls, path: str | os.PathLike[str], storage_filesystem: object = None) -> bool:
        """Whether the folder or URL ``path`` holds an experiment.

        Raises
        ------
        StorageError
            If a store cannot be asked.
        """
        from tune_core.journal import reader as journal
        from tune_core.journal.place import is_stored

        if is_stored(path, storage_filesystem):
            from tune_core.journal.stored import exists

            return exists(path, storage_filesystem)
        try:
            journal.outline(os.path.expanduser(os.fspath(path)))
        except TuneError:
            return False
        return True

    @classmethod
    def restore(
        cls,
        path: str | os.PathLike[str],
        trainable: object,
        resume_unfinished: bool = True,
        resume_errored: bool = False,
        restart_errored: bool = False,
        param_space: Mapping[str, object] | None = None,
        tune_config: TuneConfig | None = None,
        run_config: RunConfig | None = None,
        num_samples: int | None = None,
        storage_filesystem: object = None,
    ) -> Tuner:
        """A tuner that goes on where the experiment in ``path`` ended or was cut off.

        Parameters
        ----------
        path
            The experiment's folder, or its URL: then nothing of the machine that ran it is needed.
        trainable
            The trainable of the first run.
        resume_unfinished
            Run unfinished trials on from their last checkpoints.
        resume_errored, restart_errored
            Run failed trials again, from their last checkpoints or from the start.
        param_space, tune_config, run_config
            Those of the first run; needed only where they could not be pickled then.
        num_samples
            A new, larger number of samples, to extend the experiment.
        storage_filesystem
            What reaches ``path``, if the first run was given something; it is kept nowhere, since it may hold secrets.

        Raises
        ------
        RestoreError, JournalError
            If the folder holds no experiment, ``param_space`` has other hyperparameters than the run's, or it cannot be
            restored as asked. A function of another name is taken, with a warning; a class is not.
        """
        from tune_core.fit.directory import load_setup
        from tune_core.journal import reader as journal
        from tune_core.journal.place import is_stored

        stored = None
        num_samples = python_value(num_samples)
        if is_stored(path, storage_filesystem):
            from tune_core.fit.stored import StoredExperiment

            stored = StoredExperiment(os.fspath(path), storage_filesystem)
        folder = stored.fetch() if stored is not None else os.path.abspath(os.path.expanduser(os.fspath(path)))
        header, restores = journal.outline(folder)
        setup = {} if param_space is not None and tune_config and run_config else load_setup(folder)
        known_space = setup.get("param_space")
        known = {"param_space": param_space, "tune_config": tune_config, "run_config": run_config}
        for key, value in known.items():
            if value is not None:
                setup[key] = value
        if "param_space" not in setup or "tune_config" not in setup:
            raise RestoreError(
                f"Tuner.restore({folder!r})",
                "finds no configuration beside the journal",
                "there is no tuner.pkl: it was deleted or not copied, or could not be pickled when the run began",
                "Pass param_space=, tune_config= and run_config= as in the first run.",
            )
        _check_same_trainable(header, trainable)
        if param_space is not None:
            _check_same_names(known_space, param_space)
        before = next((r.num_samples for r in reversed(restores) if r.num_samples), header.num_samples)
        ignored = _ignored(header, folder, stored, param_space, run_config)
        if tune_config is not None:
            asked = tune_config.num_samples
            if num_samples is None and before != -1 and (asked > before or asked == -1):
                num_samples = asked
            ignored += _ignored_settings(header, before, tune_config, num_samples)
        for one in ignored:
            warn_user(f"Tuner.restore({one}.")
        _check_restore(header, before, num_samples, setup["tune_config"], resume_errored and restart_errored)
        samples = before if num_samples is None else num_samples
        tuner = cls(
            trainable,
            param_space=setup["param_space"],
            tune_config=replace(setup["tune_config"], seed=header.seed, num_samples=samples),
            run_config=replace(
                setup.get("run_config") or RunConfig(),
                name=header.name,
                storage_path=os.path.dirname(folder) if stored is None else stored.url.rpartition("/")[0],
                storage_filesystem=storage_filesystem,
            ),
        )
        tuner._folder = folder
        tuner._stored = stored
        tuner._restored = {
            "unfinished": resume_unfinished,
            "errored": resume_errored,
            "restart_errored": restart_errored,
            "num_samples": num_samples,
        }
        return tuner


def _check_same_trainable(header: Header, trainable: object) -> None:
    """A class of another name is refused, as in Ray Tune; a function may be a mended one under another name."""
    prepared = prepare(trainable)
    name = prepared.__name__
    if not header.trainable or name == header.trainable:
        return
    found = f"is called {name!r}, and the run's was {header.trainable!r}"
    if prepared.is_class:
        raise RestoreError(
            "Tuner.restore(trainable)",
            found,
            "its results so far are those of another trainable",
            "Pass the trainable of the first run, under its name; or start a new run.",
        )
    warn_user(f"Tuner.restore(trainable) {found}: results so far stay, and trials go on with {name!r}.")


def _check_same_names(before: object, param_space: Mapping[str, object]) -> None:
    """``before``: the first run's space, or None where it could not be pickled."""
    if not isinstance(before, Mapping) or not isinstance(param_space, Mapping):
        return
    first, now = set(flatten(dict(before))), set(flatten(dict(param_space)))
    if first != now:
        raise RestoreError(
            "Tuner.restore(param_space)",
            f"has {', '.join(sorted(map(str, now - first))) or 'nothing'} that the run's had not, and lacks "
            f"{', '.join(sorted(map(str, first - now))) or 'nothing'}",
            "its trials so far have other hyperparameters",
            "Pass the param_space of the first run, or start a new run.",
        )


def _ignored(
    header: Header,
    folder: str,
    stored: StoredExperiment | None,
    param_space: Mapping[str, object] | None,
    run_config: RunConfig | None,
) -> list[str]:
    """What was given to a restore and is not what the run had: what happens to it, for a warning each."""
    found = []
    if isinstance(param_space, Mapping) and isinstance(header.space, Mapping):
        first, now = flatten(dict(header.space)), flatten(space.describe(dict(param_space)))
        changed = [name for name in first if name in now and first[name] != now[name]]
        for one in changed[:3]:
            found.append(
                f"param_space): {one!r} was {first[one]} in the run and is {now[one]} now: trials so far keep "
                "what they have, those to come are drawn from the new space"
            )
    if run_config is not None:
        name, path = run_config.name, run_config.storage_path
        place = os.path.dirname(folder) if stored is None else stored.url.rpartition("/")[0]
        if name is not None and name != header.name:
            found.append(f"run_config): the run is called {header.name!r} and goes on under that name, not {name!r}")
        if path is not None and not _is_same_place(os.fspath(path), place):
            found.append(f"run_config): the run goes on where it is, in {place}, not in {os.fspath(path)}")
    return found


def _is_same_place(path: str, place: str) -> bool:
    if "://" in path or "://" in place:
        return path.rstrip("/") == place.rstrip("/")
    return os.path.realpath(os.path.expanduser(path)) == os.path.realpath(place)


def _ignored_settings(header: Header, before: int, config: TuneConfig, num_samples: int | None) -> list[str]:
    """The same for what stands in a ``TuneConfig``."""
    found = []
    if config.seed is not None and config.seed != header.seed:
        found.append(f"tune_config): seed is {config.seed}, and the run goes on with its own, {header.seed}")
    if config.num_samples != before and num_samples is None:
        found.append(
            f"tune_config): num_samples is {config.num_samples}, and the run's was {before}, which stays: an "
            "experiment can only be extended"
        )
    return found


def _check_restore(header: Header, before: int, num_samples: object, config: TuneConfig, both: bool) -> None:
    if num_samples is not None and (
        isinstance(num_samples, bool)
        or not isinstance(num_samples, int)
        or (num_samples != -1 and (num_samples < before or before == -1))
    ):
        raise RestoreError(
            "Tuner.restore(num_samples)",
            f"is {num_samples!r}, and {before} were asked for before",
            "an experiment can only be extended",
            f"Use a whole number from {before}." if before != -1 else "Leave it out: the run has no end already.",
        )
    if both:
        raise RestoreError(
            "Tuner.restore(resume_errored, restart_errored)",
            "are both set",
            "a failed trial either goes on from its last checkpoint or starts over",
            "Give one of them: resume_errored=True or restart_errored=True.",
        )
    for what in ("metric", "mode"):
        asked, first = getattr(config, what), getattr(header, what)
        if asked is not None and first is not None and asked != first:
            raise RestoreError(
                f"Tuner.restore(tune_config): {what}",
                f"is {asked!r}, and the run's was {first!r}",
                "its decisions so far were made by that, and would not fit those to come",
                f"Use {what}={first!r}, or start a new run.",
            )


def _check_space(param_space: object) -> dict[str, Any]:
    if param_space is None:
        return {}
    if not isinstance(param_space, Mapping):
        raise InvalidArgumentError(
            "Tuner(param_space)",
            f"is {param_space!r} of type {type(param_space).__name__}",
            "it is a dict of names and domains or constants",
            'Use e.g. {"lr": tune.loguniform(1e-4, 1e-1)}.',
        )
    space.validate(dict(param_space))
    return dict(param_space)


def _expect(asked: str, value: object, kind: type) -> Any:
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise InvalidArgumentError(
            asked,
            f"is {value!r} of type {type(value).__name__}",
            f"it must be a {kind.__name__}",
            f"Use {kind.__name__}(...).",
        )
    return value


def _check_trainable_fits(prepared: Prepared, run: RunConfig) -> None:
    checkpoints = run.checkpoint_config
    if checkpoints is None or prepared.is_class:
        return
    for name in ("checkpoint_frequency", "checkpoint_at_end"):
        if getattr(checkpoints, name):
            raise InvalidArgumentError(
                f"CheckpointConfig({name})",
                f"is {getattr(checkpoints, name)!r}, and {prepared.__name__} is a function",
                "only class trainables can be asked for a checkpoint",
                "Report it from the function: tune.report(metrics, checkpoint=...).",
            )
