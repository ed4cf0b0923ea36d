"""A search for those who call ``Trainer.hyperparameter_search``: their functions, with tune-core's schedulers."""

from __future__ import annotations

import contextlib
import copy
import inspect
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tune_core as tune
from tune_core import integration as tc
from tune_core.errors import FatalError, InvalidArgumentError, in_terms_of
from tune_transformers.callbacks import TuneReportCallback, TuneReportCheckpointCallback, resume
from tune_transformers.spaces import HpSpace, known_trials, read

transformers: Any = tc.require("tune_transformers", "transformers", "transformers")

__all__ = ["hyperparameter_search"]

_MODES = {"minimize": "min", "maximize": "max", "min": "min", "max": "max"}


_SAME = ("scheduler", "search_alg", "max_concurrent_trials", "time_budget_s", "seed")
_NAMES = {**{name: name for name in _SAME}, "num_samples": "n_trials", "mode": "direction", "param_space": "hp_space"}
"""What the arguments of a Tuner are called in :func:`hyperparameter_search`."""


def hyperparameter_search(
    make_trainer: Callable[..., object],
    hp_space: object = None,
    compute_objective: Callable[[dict[str, float]], Any] | None = None,
    n_trials: int = 20,
    direction: str | Sequence[str] = "minimize",
    hp_name: Callable[[Any], str] | None = None,
    *,
    scheduler: object = None,
    search_alg: object = None,
    frequency: int = 0,
    resources_per_trial: Mapping[str, float] | None = None,
    max_concurrent_trials: int | None = None,
    time_budget_s: float | None = None,
    seed: int | None = None,
    run_config: Any = None,
) -> Any:
    """Search as ``Trainer.hyperparameter_search`` does, with trials in parallel, and with schedulers.

    Each evaluation of a trial is a result with the metric ``"objective"``, on which schedulers decide.

    Parameters
    ----------
    make_trainer
        Makes the Trainer, in the trial's process. It is called with nothing, or with the trial's hyperparameters if it
        takes an argument. The hyperparameters are set on its ``TrainingArguments``, and its ``model_init``, if it has
        one, makes the model, with the trial if it takes an argument.
    hp_space
        As for ``Trainer.hyperparameter_search``: a function of an Optuna trial (backend ``"optuna"``), or a function
        that returns a dict of domains (backend ``"ray"``), of tune-core or Ray Tune. Also such a dict itself. None: the
        Trainer's default.
    compute_objective
        What to optimise, from the metrics of an evaluation; a sequence of values for several directions. None: the
        evaluation's loss, or the sum of all metrics where there are others, as for the Trainer.
    n_trials
        Number of trials.
    direction
        ``"minimize"``, ``"maximize"``, or a list of these for several objectives.
    hp_name
        Names the folder in which a trial's Trainer saves, from the trial.
    scheduler
        A scheduler or its name, e.g. ``"asha"``; results are counted in evaluations.
    search_alg
        A searcher or its name. None: Optuna's TPE for a function of an Optuna trial, else random search.
    frequency
        Keep a checkpoint with every so many evaluations; 0: what the Trainer saves by its ``save_strategy``, where the
        scheduler may pause or copy the trial, and where it stops it.
    resources_per_trial
        E.g. ``{"cpu": 2, "gpu": 0.5}``. None: one CPU, and one GPU if there is one.
    max_concurrent_trials
        How many trials may run at once; None: as many as the resources allow.
    time_budget_s
        Seconds after which the search ends, running trials included; None: no limit.
    seed
        Of all that is drawn at random: the same seed gives the same configurations. None draws one.
    run_config
        A :class:`~tune_core.RunConfig`.

    Returns
    -------
    BestRun
        The Trainer's: ``run_id``, ``objective``, ``hyperparameters``, and all results as ``run_summary``. With several
        directions a list: the runs that no other one beats.

    Examples
    --------
    >>> best = hyperparameter_search(make_trainer, hp_space, n_trials=20, scheduler="asha")  # doctest: +SKIP
    >>> best.hyperparameters  # doctest: +SKIP
    {'learning_rate': 3.1e-05, 'num_train_epochs': 3}
    """
    _check_maker(make_trainer)
    modes = _modes(direction)
    names = ["objective"] if isinstance(direction, str) else [f"objective_{i}" for i in range(len(modes))]
    has_space = callable(getattr(search_alg, "space", None))  # e.g. OptunaSearch(hp_space, sampler=...)
    space = read(hp_space, needs_domains=search_alg not in (None, "optuna") and not has_space)
    searcher = _searcher(search_alg, space, seed)
    objective = _objective(make_trainer, space, compute_objective, names, hp_name, frequency, scheduler is not None)
    single = isinstance(direction, str)
    with in_terms_of("hyperparameter_search", _NAMES):
        grid = tune.Tuner(
            tune.with_resources(objective, dict(resources_per_trial or _resources())),
            param_space=space.param_space or {},
            tune_config=tune.TuneConfig(
                metric=names[0] if single else names,
                mode=modes[0] if single else modes,
                num_samples=n_trials,
                scheduler=scheduler,
                search_alg=searcher,
                max_concurrent_trials=max_concurrent_trials,
                time_budget_s=time_budget_s,
                seed=seed,
            ),
            run_config=run_config,
        ).fit()
    if single:
        return _best_run(grid.get_best_result(), names, space, grid)
    return [_best_run(result, names, space, grid) for result in grid.pareto_front()]


def _best_run(result: Any, names: list[str], space: HpSpace, grid: Any) -> object:
    values = [result.metrics[name] for name in names]
    config = dict(result.config)
    return transformers.trainer_utils.BestRun(
        result.trial_id, values[0] if names == ["objective"] else values, config, grid
    )


def _modes(direction: object) -> list[str]:
    asked = [direction] if isinstance(direction, str) else list(direction) if isinstance(direction, Sequence) else []
    if not asked or any(not isinstance(one, str) or one not in _MODES for one in asked):
        raise InvalidArgumentError(
            "hyperparameter_search(direction)",
            f"is {direction!r}",
            "it says which way the objective is better",
            'Use "minimize" or "maximize", or a list of these for several objectives.',
        )
    return [_MODES[one] for one in asked]


def _check_maker(make_trainer: Any) -> None:
    if callable(make_trainer) and not isinstance(make_trainer, transformers.Trainer):
        return
    raise InvalidArgumentError(
        "hyperparameter_search(make_trainer)",
        f"is a {type(make_trainer).__name__}",
        "each trial makes a Trainer of its own, in its own process",
        "Put what makes the Trainer into a function: def make_trainer(): return Trainer(...).",
    )


def _searcher(search_alg: object, space: HpSpace, seed: int | None) -> Any:
    if space.param_space is not None or search_alg not in (None, "optuna"):
        return search_alg
    from tune_core.search.optuna import OptunaSearch

    return OptunaSearch(space.search_function(), seed=seed)


def _resources() -> dict[str, float]:
    import torch

    return {"cpu": 1, "gpu": 1} if torch.cuda.is_available() else {"cpu": 1}


# --- in the trial -----------------------------------------------------------------------------------------------------


def _objective(
    make_trainer: Callable[..., object],
    space: HpSpace,
    compute_objective: Callable[[dict[str, float]], Any] | None,
    names: list[str],
    hp_name: Callable[[Any], str] | None,
    frequency: int,
    needs_evaluations: bool,
) -> Callable[[dict[str, Any]], None]:
    """What a trial does."""

    def objective(config: Mapping[str, object]) -> None:
        compute = compute_objective or transformers.trainer_utils.default_compute_objective
        number = int(str(tune.get_context().get_trial_id()).rpartition("_")[2])
        trial = space.trial(config, number)
        hyperparameters = space.hyperparameters(config, number)

        def named(metrics: Mapping[str, float]) -> dict[str, Any]:
            return _named(compute(dict(metrics)), names)

        trainer = _made(make_trainer, hyperparameters)
        if needs_evaluations and getattr(trainer.args.eval_strategy, "value", trainer.args.eval_strategy) == "no":
            raise FatalError(
                "hyperparameter_search(scheduler)",
                "was given, and the Trainer evaluates nothing while it trains",
                "a scheduler decides on evaluations",
                'Give TrainingArguments an eval_strategy: "epoch" or "steps".',
            )
        callback = _SearchCallback(named, hp_name(trial) if hp_name else f"run-{number}", frequency)
        with _prepared(trainer, callback, lambda _: hyperparameters, hp_name, compute):
            trainer.train(trial=trial, **resume())
            if not tune.get_context().get_iteration():  # it evaluates nothing while it trains
                metrics = trainer.evaluate()
                tc.report_metrics({**metrics, **named(metrics)}, trainer.save_model)

    objective.__name__ = "hyperparameter_search"
    return objective


class _SearchCallback(TuneReportCheckpointCallback):
    """Reports evaluations with what is optimised, from a Trainer that saves in a folder for each trial."""

    def __init__(self, objective: Callable[[Mapping[str, Any]], dict[str, Any]], folder: str, frequency: int) -> None:
        super().__init__(frequency=frequency)
        self._objective = objective
        self._folder = folder

    def _handle(self, there: Mapping[str, object], control: object) -> None:
        self._report({**there, **self._objective(there)}, control)

    def _output_dir(self, args: Any) -> str:
        return os.path.join(args.output_dir, self._folder)


@contextlib.contextmanager
def _prepared(trainer: Any, callback: Any, hp_space: Any, hp_name: Any, compute_objective: Any) -> Iterator[None]:
    """Let the Trainer train with a trial's hyperparameters, by its own means; afterwards it is as it was."""
    names = ("args", "hp_search_backend", "hp_space", "hp_name", "compute_objective")
    before = {name: getattr(trainer, name, None) for name in names}
    trainer.args = copy.copy(trainer.args)
    trainer.hp_search_backend = transformers.trainer_utils.HPSearchBackend.OPTUNA
    trainer.hp_space, trainer.hp_name, trainer.compute_objective = hp_space, hp_name, compute_objective
    trainer.add_callback(callback)
    try:
        with known_trials():
            yield
    finally:
        trainer.remove_callback(callback)
        for name, value in before.items():
            setattr(trainer, name, value)


_TRAINED: weakref.WeakSet[object] = weakref.WeakSet()  # Trainers that trials of this process have used


def _made(make_trainer: Callable[..., object], hyperparameters: Mapping[str, object]) -> Any:
    """The user's Trainer, checked."""
    parameters = inspect.signature(make_trainer).parameters.values()
    takes = any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    trainer = make_trainer(dict(hyperparameters)) if takes else make_trainer()
    asked = "hyperparameter_search(make_trainer)"
    if not isinstance(trainer, transformers.Trainer):
        raise FatalError(asked, f"returned {trainer!r}", "it makes a Trainer", "Let it return Trainer(...).")
    if any(isinstance(one, TuneReportCallback) for one in trainer.callback_handler.callbacks):
        raise FatalError(
            asked,
            "made a Trainer with a TuneReportCallback",
            "the search reports by itself, and each evaluation would be two results",
            "Leave the callback out; frequency= says how often to keep a checkpoint.",
        )
    if trainer in _TRAINED and trainer.model_init is None:
        raise FatalError(
            asked,
            "returned a Trainer that an earlier trial has trained",
            "its model would go on from that trial's, as it has no model_init",
            "Make a new Trainer in each call, or give it a model_init.",
        )
    _TRAINED.add(trainer)
    return trainer


def _named(value: object, names: list[str]) -> dict[str, Any]:
    """What is optimised under the names of metrics."""
    if names == ["objective"]:
        return {"objective": value}
    values = list(value) if isinstance(value, Sequence) else [value]
    if len(values) != len(names):
        raise FatalError(
            "hyperparameter_search(compute_objective)",
            f"returned {value!r}, for {len(names)} directions",
            "each direction has a value",
            "Return a sequence of that length.",
        )
    return dict(zip(names, values))
