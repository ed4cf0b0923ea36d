"""Parameters as Optuna knows them, with the values that trials really run: categories, steps, whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tune_core.search.encoding.params import Param
from tune_core.space.numeric import Float, Integer

_STORABLE = (type(None), bool, int, float, str)  # what Optuna's storages keep as categories


class NativeParam:
    """One parameter: its distribution, and the way from our values to Optuna's and back.

    Parameters
    ----------
    kinds
        ``optuna.distributions``.
    param
        The parameter.
    """

    is_exact = True
    """Whether Optuna's value is the configuration's; otherwise it is a quantile or a label."""

    def __init__(self, kinds: Any, param: Param) -> None:
        self.param = param
        self._steps = False  # whether Optuna's value may be off its grid by a rounding error
        domain = param.domain
        if param.kind == "cat":
            self._choices = self._categories(list(domain.categories))
            self.distribution = kinds.CategoricalDistribution(tuple(self._choices))
        elif param.kind == "int" and domain.q:
            self._steps = True
            if param.log:  # Optuna has no steps on a log scale: whole cells around the multiples
                low, high = (param.low - 0.5) * domain.q, (param.high + 0.5) * domain.q
                self.distribution = kinds.FloatDistribution(low, high, log=True)
            else:
                low, high = domain.snap(param.low * domain.q), domain.snap(param.high * domain.q)
                kind = kinds.IntDistribution if isinstance(domain, Integer) else kinds.FloatDistribution
                self.distribution = kind(low, high, step=domain.q)
        elif param.kind == "int":
            self.is_exact = isinstance(domain, Integer)
            self.distribution = kinds.IntDistribution(int(param.low), int(param.high), log=param.log)
        else:
            self.is_exact = not (isinstance(domain, Float) and (domain.sd is not None or domain.q is not None))
            self.distribution = kinds.FloatDistribution(param.low, param.high, log=param.log)

    def _categories(self, categories: list[Any]) -> list[Any]:
        """The categories themselves if Optuna can keep them and tell them apart; else a text for each."""
        if all(isinstance(c, _STORABLE) for c in categories) and len(set(categories)) == len(categories):
            return categories
        self.is_exact = False
        return [f"{i}: {str(category)[:60]}" for i, category in enumerate(categories)]

    def write(self, value: Any) -> Any:
        """Optuna's value for ours."""
        if self.param.kind == "cat":
            return self._choices[value]
        return self.param.domain.snap(value * self.param.domain.q) if self._steps else value

    def read(self, found: Any) -> Any:
        """Our value for Optuna's."""
        if self.param.kind == "cat":
            return self._choices.index(found)
        return self.param.snap(found / self.param.domain.q if self._steps else found)

    def suggest(self, trial: Any) -> Any:
        """Our value for what the trial's sampler draws; the study keeps exactly the value that will run."""
        name = self.param.name
        if self._steps and name not in trial._fixed_params:
            trial._fixed_params[name] = self.write(self.read(self._drawn(trial)))
        return self.read(suggest(trial, name, self.distribution))

    def _drawn(self, trial: Any) -> object:
        """What the sampler draws, before the study has it."""
        name = self.param.name
        if self.distribution.single():
            return self.distribution.low
        if trial._is_relative_param(name, self.distribution):
            return trial.relative_params[name]
        latest = trial._get_latest_trial()
        return trial.study.sampler.sample_independent(trial.study, latest, name, self.distribution)


def suggest(trial: Any, name: str, distribution: Any) -> Any:
    """Ask an Optuna trial for a value of a distribution."""
    kind = type(distribution).__name__
    if kind == "CategoricalDistribution":
        return trial.suggest_categorical(name, distribution.choices)
    draw: Callable[..., Any] = trial.suggest_int if kind == "IntDistribution" else trial.suggest_float
    step = {"step": distribution.step} if not distribution.log else {}
    return draw(name, distribution.low, distribution.high, log=distribution.log, **step)
