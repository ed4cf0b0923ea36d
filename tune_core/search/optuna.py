"""Optuna's samplers as a searcher: its define-by-run functions, several objectives, pruned and failed trials."""

from __future__ import annotations

import copy
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.core.automatic import AUTO_RESULT_KEYS
from tune_core.core.constraints import Constraint
from tune_core.core.objective import Objective, check_mode
from tune_core.core.optional_imports import require
from tune_core.core.random_state import portable_state, set_portable_state
from tune_core.core.values import Config, ConfigView, JsonObject, Metrics, ResultDict
from tune_core.errors import InvalidArgumentError, MetricError
from tune_core.search.encoding.optuna_params import NativeParam, suggest
from tune_core.search.encoding.params import Values, plain
from tune_core.search.library_searcher import ModelSearcher


class OptunaSearch(ModelSearcher):
    """Searches with a sampler of Optuna, by default its TPE.

    Parameters
    ----------
    space
        None (the Tuner's ``param_space``), a space of :mod:`tune_core.space`, a dict of Optuna's distributions, or a
        function that is given an Optuna trial, calls its ``suggest_...`` methods, and may return constants to add.
    metric, mode
        What to optimise; lists for several objectives.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    sampler
        One of ``optuna.samplers``; None: ``TPESampler(seed=seed)``.
    study_name, storage
        Where Optuna is to keep the study; by default in memory only. A study that is already in the storage is
        continued. The study holds parameters and metrics as the trials had them, each result as an intermediate value
        (in memory: each on which a scheduler decides), and other reported numbers as user attributes. Where Optuna
        cannot hold a parameter (``randn``, choices of objects), it has a quantile or a label, and the user attribute
        ``tune_core_config`` has the configuration.
    seed
        Of the default sampler.

    Examples
    --------
    >>> from tune_core.search.optuna import OptunaSearch
    >>> OptunaSearch(metric=["loss", "size"], mode=["min", "min"]).metric
    ['loss', 'size']
    """

    library = extra = "optuna"
    native_conditions = True
    multi_objective = True
    results_wanted = "rungs"

    def __init__(
        self,
        space: object = None,
        metric: str | Sequence[str] | None = None,
        mode: str | Sequence[str] | None = None,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        sampler: object = None,
        study_name: str | None = None,
        storage: object = None,
        seed: int | None = None,
        evaluated_rewards: Sequence[object] | None = None,
    ) -> None:
        require("OptunaSearch", "optuna", "optuna")
        if sampler is not None and not isinstance(sampler, self._optuna.samplers.BaseSampler):
            raise InvalidArgumentError(
                "OptunaSearch(sampler)",
                f"is {sampler!r}",
                "it is a class, not a sampler" if isinstance(sampler, type) else "it is not a sampler of Optuna",
                "Use e.g. optuna.samplers.CmaEsSampler(seed=0).",
            )
        metrics, modes = _objectives(metric, mode)
        self._sampler, self._study_name, self._storage = sampler, study_name, storage
        self._study: Any = None
        self._trials: dict[str, Any] = {}
        self._objectives: list[Objective] = []
        self._distributions: dict[str, object] = {}
        self._over = False
        self._constraints: tuple[Constraint, ...] = ()
        self._excesses: list[float] = []  # of the result that is being told
        self.replays = storage is None
        self._keeps_metrics = storage is not None or getattr(sampler, "_constraints_func", None) is not None
        self._known: dict[str, list[Any]] | None = None  # trials of ours that the storage has, by our ids
        if storage is not None:
            self.results_wanted = "all"
        super().__init__(space, metrics, modes, points_to_evaluate, evaluated_rewards, seed)

    @staticmethod
    def convert_search_space(spec: Mapping[str, object], join: bool = False) -> Any:
        """A search space as Optuna's distributions, which ``space`` takes, too."""
        from tune_core.search.encoding.native_spaces import to_optuna

        return to_optuna(spec)

    @property
    def _optuna(self) -> Any:
        import optuna

        return optuna

    # --- space --------------------------------------------------------------------------------------------------------

    def _takes(self, space: object) -> bool:
        if callable(space) or isinstance(space, Mapping):
            return True
        raise InvalidArgumentError(
            "OptunaSearch(space)",
            f"is {space!r}",
            "it is neither a dict nor a define-by-run function",
            'Use e.g. {"lr": tune.loguniform(1e-5, 1e-1)}, or a function of an Optuna trial.',
        )

    def _is_native(self, space: object) -> bool:
        return callable(space) or (isinstance(space, Mapping) and any(map(self._is_distribution, space.values())))

    def _is_distribution(self, value: object) -> bool:
        return isinstance(value, self._optuna.distributions.BaseDistribution)

    def _setup(self) -> None:
        optuna = self._optuna
        metrics: list[str] = [self._metric] if isinstance(self._metric, str) else list(self._metric or ())
        modes: list[str] = [self._mode] * len(metrics) if isinstance(self._mode, str) else list(self._mode or ())
        self._objectives = [Objective(metric, mode) for metric, mode in zip(metrics, modes, strict=True)]
        if self.handles_constraints:
            self._constraints = tuple(self._spec.get("constraints") or ())
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))  # Optuna logs each new study
        try:
            self._study = optuna.create_study(
                study_name=self._study_name,
                storage=self._storage,
                sampler=self._sampler or self._own_sampler(),
                pruner=optuna.pruners.NopPruner(),
                directions=["minimize" if objective.mode == "min" else "maximize" for objective in self._objectives],
                load_if_exists=self._storage is not None,
            )
        finally:
            optuna.logging.set_verbosity(verbosity)
        self._study.stop = self._stop  # samplers call it when they have tried every point
        if self._storage is not None:
            self._draw_others(len(self._study.get_trials(deepcopy=False)))
        if self.encoding is not None:
            self._params = {p.name: NativeParam(self._optuna.distributions, p) for p in self.encoding.params}
            self._distributions = {name: native.distribution for name, native in self._params.items()}
            self._is_exact = all(native.is_exact for native in self._params.values())

    def _own_sampler(self) -> Any:
        if not self._constraints or hasattr(self._optuna.Trial, "set_constraint"):
            return self._optuna.samplers.TPESampler(seed=self.seed)
        with warnings.catch_warnings():  # constraints are marked as experimental
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            return self._optuna.samplers.TPESampler(
                seed=self.seed, constraints_func=lambda trial: trial.user_attrs.get(_EXCESSES, (math.inf,))
            )

    @property
    def handles_constraints(self) -> bool:  # type: ignore[override]
        """Whether constraints guide the search: from Optuna 5 on with any sampler, before with the default one."""
        return self._sampler is None or hasattr(self._optuna.Trial, "set_constraint")

    def _stop(self) -> None:
        self._over = True

    def _draw_others(self, known: int) -> None:
        """Where the study has trials already: a sampler that begins with its seed again would repeat its first ones."""
        for generator in self._generators() if known else ():
            generator.seed([*generator.randint(2**32, size=4, dtype="uint32").tolist(), known])

    # --- asking -------------------------------------------------------------------------------------------------------

    def _ask(self, trial_id: str) -> Values | str | None:
        if self._over:
            return self.FINISHED
        trial = self._study.ask()
        if self._storage is not None:
            trial.set_user_attr(_OURS, trial_id)
        self._trials[trial_id] = trial
        return self._draw(trial)

    def _draw(self, trial: Any) -> Values:
        if self.encoding is not None:
            values: Values = {}
            for param in self.encoding.params:
                if not param.condition or param.is_active(values):
                    values[param.name] = self._params[param.name].suggest(trial)
            if not self._is_exact:
                trial.set_user_attr(_CONFIG, _plain_text(super()._decode(values)))
            return values
        if not callable(self._space_given):
            space = self._space_given
            return {k: suggest(trial, k, v) if self._is_distribution(v) else v for k, v in space.items()}
        constants = self._space_given(trial)
        if not isinstance(constants, (Mapping, type(None))):
            raise InvalidArgumentError(
                "OptunaSearch(space)",
                f"returned {constants!r}",
                "a define-by-run function may return a dict of constants, or nothing",
                "Let it call trial.suggest_..., and return None or a dict.",
            )
        return {**(constants or {}), **trial.params}

    def _decode(self, values: Values) -> Config:
        return super()._decode(values) if self.encoding is not None else dict(values)

    def _encode(self, config: ConfigView, asked: str) -> Values:
        return super()._encode(config, asked) if self.encoding is not None else dict(config)

    def _queue_points(self) -> None:
        if self.encoding is not None:
            super()._queue_points()
            return
        rewards = self._rewards or [None] * len(self._points)
        for point, reward in zip(self._points, rewards, strict=True):
            if reward is None:
                self._study.enqueue_trial(dict(point))  # the function draws what the point leaves out
            else:
                self._learn_point(point, reward)

    # --- going on after a restore -------------------------------------------------------------------------------------

    def resume_state(self) -> JsonObject | None:
        """The states of the sampler's generators, of samplers that keep nothing else; the study is in the journal."""
        if type(self) is not OptunaSearch or self._storage is not None or self._study is None or self._over:
            return None
        if self.encoding is None or not self.encoding.is_reversible:
            return None
        generators = self._generators()
        if not generators:
            return None
        return {
            "searcher": f"OptunaSearch({type(self._study.sampler).__name__})",
            "space": self.encoding.digest,
            "generators": [portable_state(generator) for generator in generators],
        }

    def set_resume_state(self, state: JsonObject) -> None:
        """Go on from there."""
        generators = self._generators()
        for generator, one in zip(copy.deepcopy(generators), state["generators"], strict=True):
            set_portable_state(generator, one)  # raises before anything has changed
        for generator, one in zip(generators, state["generators"], strict=True):
            set_portable_state(generator, one)

    def _generators(self) -> list[Any]:
        """The generators of a sampler whose draws depend on these and the study's trials alone; none of others."""
        sampler, kinds = self._study.sampler, self._optuna.samplers
        try:
            if type(sampler) is kinds.TPESampler:
                return [sampler._rng.rng, sampler._random_sampler._rng.rng]
            return [sampler._rng.rng] if type(sampler) is kinds.RandomSampler else []
        except AttributeError:  # another version of Optuna keeps them elsewhere
            return []

    def _recall(self, trial_id: str, values: Values, reason: str) -> None:
        """Let the study have the trial as if its sampler had drawn it."""
        storage = self._study._storage
        trial = self._optuna.trial.Trial(self._study, storage.create_new_trial(self._study._study_id))
        for name, native in self._params.items():
            if name not in values:
                continue
            internal = native.distribution.to_internal_repr(native.write(values[name]))
            storage.set_trial_param(trial._trial_id, name, internal, native.distribution)
        if not self._is_exact:
            trial.set_user_attr(_CONFIG, _plain_text(super()._decode(values)))
        self._trials[trial_id] = trial

    # --- telling ------------------------------------------------------------------------------------------------------

    def _loss(self, result: Metrics) -> list[float] | None:
        losses = [objective.loss(result) for objective in self._objectives]
        self._excesses = [constraint.excess(result) for constraint in self._constraints]
        return losses if all(map(math.isfinite, [*losses, *self._excesses])) else None

    def _loss_of_value(self, value: object) -> list[float] | None:
        values = value if isinstance(value, (list, tuple)) else [value]
        if len(values) != len(self._objectives) or self._constraints:
            raise InvalidArgumentError(
                "OptunaSearch(evaluated_rewards)",
                f"holds {value!r}, for {len(self._objectives)} metrics and {len(self._constraints)} constraints",
                "a point that was evaluated elsewhere needs the value of each",
                "Give a list with one value for each metric; with constraints use warm_start(experiment).",
            )
        losses = [objective.as_loss(v) for objective, v in zip(self._objectives, values, strict=True)]
        return losses if all(map(math.isfinite, losses)) else None

    def _facts(self, result: Metrics) -> ResultDict:
        """Other numbers of a result, for constraints and dashboards."""
        if not self._keeps_metrics:
            return {}
        known = {*AUTO_RESULT_KEYS, "done", *(objective.metric for objective in self._objectives)}
        numbers = {name: plain(value) for name, value in result.items() if name not in known}
        return {name: value for name, value in numbers.items() if isinstance(value, (int, float))}

    def _native(self, loss: Any) -> list[float]:
        """The metrics' values as the trial reported them."""
        return [objective.as_value(one) for objective, one in zip(self._objectives, loss, strict=True)]

    def _rung(self, trial_id: str, values: Values, loss: Any, step: int) -> None:
        if len(loss) == 1:  # Optuna takes intermediate values with one objective only
            self._trials[trial_id].report(self._native(loss)[0], step)

    def _take(self, trial_id: str) -> Any:
        """The trial that has ended, with its other metrics set."""
        trial = self._trials.pop(trial_id)
        for name, value in self.facts.items():
            trial.set_user_attr(name, value)
        return trial

    def _tell(self, trial_id: str, values: Values, loss: Any) -> None:
        trial = self._take(trial_id)
        self._tell_excesses(trial)
        self._study.tell(trial, self._native(loss))

    def _prune(self, trial_id: str, values: Values, loss: Any, step: int) -> None:
        if len(loss) > 1:  # Optuna prunes only with one objective
            self._tell(trial_id, values, loss)
            return
        trial = self._take(trial_id)
        self._tell_excesses(trial)
        if step not in trial._cached_frozen_trial.intermediate_values:
            trial.report(self._native(loss)[0], step)
        self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)

    def _tell_excesses(self, trial: Any) -> None:
        for constraint, excess in zip(self._constraints, self._excesses, strict=False):
            if hasattr(trial, "set_constraint"):
                trial.set_constraint(str(constraint), excess)
        if self._constraints:
            trial.set_user_attr(_EXCESSES, self._excesses)

    def _fail(self, trial_id: str, values: Values) -> None:
        self._study.tell(self._take(trial_id), state=self._optuna.trial.TrialState.FAIL)

    def _tell_before(self, values: Values, loss: Any) -> None:
        self._study.add_trial(self._made(values, values=self._native(loss), user_attrs=dict(self.facts)))

    def _prune_before(self, values: Values, loss: Any, step: int) -> None:
        if len(loss) > 1:
            self._tell_before(values, loss)
            return
        (value,) = self._native(loss)
        made = self._made(
            values,
            value=value,
            state=self._optuna.trial.TrialState.PRUNED,
            intermediate_values={step: value},
            user_attrs=dict(self.facts),
        )
        self._study.add_trial(made)

    def _fail_before(self, values: Values) -> None:
        self._study.add_trial(self._made(values, state=self._optuna.trial.TrialState.FAIL))

    def _begin_foreign(self, trial_id: str, values: Values) -> None:
        """Let the study know of the trial while it runs."""
        running = self._made(values, state=self._optuna.trial.TrialState.RUNNING)
        storage, study_id = self._study._storage, self._study._study_id
        trial = self._optuna.trial.Trial(self._study, storage.create_new_trial(study_id, template_trial=running))
        self._begin(trial_id, trial, values)

    def _begin(self, trial_id: str, trial: Any, values: Values) -> None:
        self._trials[trial_id] = trial
        self._live[trial_id] = values
        if self._storage is not None:
            trial.set_user_attr(_OURS, trial_id)

    def _made(self, point: Values, **more: Any) -> Any:
        """A trial of Optuna's with these parameters."""
        if self.encoding is not None:
            distributions = self._distributions
        elif not callable(self._space_given):
            distributions = {k: v for k, v in self._space_given.items() if self._is_distribution(v)}
        else:
            fixed = self._optuna.trial.FixedTrial(dict(point))  # the function says what it would have drawn from
            self._space_given(fixed)
            distributions = fixed.distributions
        params = {
            k: self._params[k].write(point[k]) if self.encoding else point[k] for k in distributions if k in point
        }
        if self._constraints and self._excesses:
            more["user_attrs"] = {**more.get("user_attrs", {}), _EXCESSES: self._excesses}
            named = {f"constraints:{c}": by for c, by in zip(self._constraints, self._excesses, strict=True)}
            more["system_attrs"] = {"constraints": self._excesses, **named}  # as Optuna keeps them, before 5 and since
        return self._optuna.trial.create_trial(
            params=params, distributions={k: distributions[k] for k in params}, **more
        )

    def _adopt(self, trial_id: str, point: Values) -> None:
        found = self._known_trial(trial_id, point)  # the storage may have the trial already
        if found is None:
            super()._adopt(trial_id, point)
            return
        self._asked += 1
        if self._queue:
            self._queue.popleft()
        if not found.state.is_finished():
            self._trials[trial_id] = self._optuna.trial.Trial(self._study, found._trial_id)
            self._live[trial_id] = point

    def _known_trial(self, trial_id: str, point: Values) -> Any:
        """The latest trial of that id and configuration that the storage had when the run was restored.

        Other runs of the study have trials of the same ids.
        """
        if self._known is None:
            self._known = {}
            for trial in self._study.get_trials(deepcopy=False) if self._storage is not None else ():
                self._known.setdefault(trial.user_attrs.get(_OURS, ""), []).append(trial)
        written = {k: self._params[k].write(v) for k, v in point.items()} if self.encoding is not None else point
        alike = (
            trial
            for trial in reversed(self._known.get(trial_id, []))
            if all(k in written and written[k] == v for k, v in trial.params.items())
        )
        return next(alike, None)

    def describe(self) -> str:
        """The searcher and its sampler."""
        sampler = self._sampler or (self._study.sampler if self._study is not None else None)
        return f"OptunaSearch({type(sampler).__name__ if sampler is not None else 'TPESampler'})"


_OURS, _CONFIG = "tune_core_trial", "tune_core_config"
_EXCESSES = "tune_core_constraints"


def _plain_text(config: Any) -> object:
    """A configuration as JSON, where a storage takes nothing else."""
    return json.loads(json.dumps(config, default=repr))


def _objectives(metric: object, mode: object) -> tuple[Any, Any]:
    """Metric and mode as strings, or as lists of the same length."""
    if not isinstance(metric, (list, tuple)) and not isinstance(mode, (list, tuple)):
        return metric, mode
    metrics = list(metric) if isinstance(metric, (list, tuple)) else [metric]
    modes = list(mode) if isinstance(mode, (list, tuple)) else [mode] * len(metrics)
    if len(metrics) != len(modes) or not metrics or not all(isinstance(m, str) for m in metrics):
        raise MetricError(
            "OptunaSearch(metric, mode)",
            f"are {metric!r} and {mode!r}",
            "each metric needs its mode",
            'Use e.g. metric=["loss", "size"], mode=["min", "min"].',
        )
    for one in modes:
        check_mode(one, "OptunaSearch(mode)")
    return metrics, modes
