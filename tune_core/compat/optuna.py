"""Optuna's interface, run by tune-core: trials in parallel processes, journaled, resumable.

Change one line of a script::

    import tune_core.compat.optuna as optuna

``create_study`` then gives a study whose ``optimize`` runs the trials with tune-core; all other names are Optuna's own.
The objective stays as it is, pruning and conditional parameters included.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tune_core.core.optional_imports import require

_METRIC = "value"


def __getattr__(name: str) -> Any:
    return getattr(require("tune_core.compat.optuna", "optuna", "optuna"), name)


def create_study(
    *,
    storage: Any = None,
    sampler: Any = None,
    pruner: Any = None,
    study_name: str | None = None,
    direction: Any = None,
    load_if_exists: bool = False,
    directions: Sequence[Any] | None = None,
    storage_path: str | None = None,
) -> Study:
    """As ``optuna.create_study``; ``storage_path`` is tune-core's folder of experiments.

    With ``study_name`` and ``load_if_exists=True``, ``optimize`` goes on with the experiment of that name, which may
    have been cut off. ``storage`` is kept up to date for Optuna's dashboard; it is not read from.
    """
    return Study(storage, sampler, pruner, study_name, direction, load_if_exists, directions, storage_path)


class Study:
    """An Optuna study whose ``optimize`` runs trials with tune-core. All else is passed on to the study itself.

    Parameters
    ----------
    storage, sampler, pruner, study_name, direction, load_if_exists, directions, storage_path
        See :func:`create_study`.
    """

    def __init__(
        self,
        storage: Any,
        sampler: Any,
        pruner: Any,
        study_name: str | None,
        direction: Any,
        load_if_exists: bool,
        directions: Sequence[Any] | None,
        storage_path: str | None,
    ) -> None:
        self._options = {
            "storage": storage,
            "sampler": sampler,
            "pruner": pruner,
            "direction": direction,
            "directions": directions,
        }
        self._name, self._resumes, self._storage_path = study_name, load_if_exists, storage_path
        self._folder: str | None = None
        self._done = 0  # trials of earlier calls of optimize
        self._stopped = False
        self._study = self._new_study(load_if_exists)

    @property
    def study(self) -> Any:
        """The Optuna study itself, for functions that insist on one."""
        return self._study

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._study, name)

    def stop(self) -> None:
        """Let ``optimize`` suggest no more; for callbacks."""
        self._stopped = True

    def _new_study(self, load_if_exists: bool) -> Any:
        import optuna

        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(max(level, optuna.logging.WARNING))
        try:
            name = self._name if self._options["storage"] is not None else None
            return optuna.create_study(study_name=name, load_if_exists=load_if_exists, **self._options)
        finally:
            optuna.logging.set_verbosity(level)

    def optimize(
        self,
        func: Callable[[Any], Any],
        n_trials: int | None = None,
        timeout: float | None = None,
        n_jobs: int | None = None,
        catch: Any = (),
        callbacks: Sequence[Callable[[Any, Any], None]] | None = None,
        gc_after_trial: bool = False,
        show_progress_bar: bool = False,
        run_config: Any = None,
    ) -> None:
        """Run the objective, as ``Study.optimize`` does.

        Parameters
        ----------
        func, n_trials, timeout, catch, callbacks, show_progress_bar
            As in Optuna. Callbacks run in this process, and may call ``study.stop()``.
        n_jobs
            How many trials may run at once; None or -1: as many as the machine has room for.
        gc_after_trial
            Ignored.
        run_config
            A ``tune_core.RunConfig`` to use in place of the default one.
        """
        from tune_core.compat.optuna_run import run

        self._stopped = False
        catch = catch if isinstance(catch, tuple) else tuple(catch) if isinstance(catch, Sequence) else (catch,)
        run(self, func, n_trials, timeout, n_jobs, catch, callbacks or (), show_progress_bar, run_config)


class Trial:
    """What the objective gets in place of ``optuna.Trial``.

    Parameters
    ----------
    number
        Its number.
    proposed
        Values that the sampler proposes.
    seed
        For parameters that the sampler does not know yet.
    """

    def __init__(self, number: int, proposed: Mapping[str, Any], seed: int) -> None:
        self.number = number
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, Any] = {}
        self.user_attrs: dict[str, Any] = {}
        self.system_attrs: dict[str, Any] = {}
        self.datetime_start = datetime.datetime.now()
        self._proposed = proposed
        self._seed = seed
        self._sampler: Any = None
        self._last: tuple[int, float] | None = None
        self._pruned = False

    # --- parameters ---------------------------------------------------------------------------------------------------

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """As in Optuna."""
        import optuna

        return float(self._suggest(name, optuna.distributions.FloatDistribution(low, high, log=log, step=step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """As in Optuna."""
        import optuna

        return int(self._suggest(name, optuna.distributions.IntDistribution(low, high, log=log, step=step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """As in Optuna."""
        import optuna

        return self._suggest(name, optuna.distributions.CategoricalDistribution(tuple(choices)))

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        """As in older versions of Optuna."""
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        """As in older versions of Optuna."""
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        """As in older versions of Optuna."""
        return self.suggest_float(name, low, high, step=q)

    def _suggest(self, name: str, distribution: Any) -> Any:
        if name in self.params:
            return self.params[name]
        value = self._proposed.get(name)
        if name not in self._proposed or not _holds(distribution, value):
            value = self._draw(name, distribution)
        self.params[name], self.distributions[name] = value, distribution
        return value

    def _draw(self, name: str, distribution: Any) -> Any:
        import optuna

        if self._sampler is None:
            self._sampler = optuna.samplers.RandomSampler(seed=self._seed)
        return self._sampler.sample_independent(None, None, name, distribution)

    # --- results ------------------------------------------------------------------------------------------------------

    def report(self, value: float, step: int) -> None:
        """Report an intermediate value; it is journaled, and the study's pruner sees it."""
        import tune_core as tune

        if self._pruned:
            return
        self._last = (int(step), float(value))
        result = {_METRIC: float(value), "step": int(step), **self._record()}
        self._pruned = not tune.report(result, raise_on_stop=False)

    def should_prune(self) -> bool:
        """Whether the pruner has decided to end this trial."""
        return self._pruned

    def set_user_attr(self, key: str, value: Any) -> None:
        """As in Optuna."""
        self.user_attrs[key] = value

    def set_system_attr(self, key: str, value: Any) -> None:
        """As in Optuna."""
        self.system_attrs[key] = value

    def _record(self) -> dict[str, Any]:
        from optuna.distributions import distribution_to_json

        return {
            "params": dict(self.params),
            "distributions": {k: distribution_to_json(v) for k, v in self.distributions.items()},
            "user_attrs": dict(self.user_attrs),
        }


def _holds(distribution: Any, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError, KeyError):
        return False
