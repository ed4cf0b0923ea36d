"""Search spaces as ``Trainer.hyperparameter_search`` takes them: functions of an Optuna trial, dicts of domains."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from transformers import integrations

import tune_core as tune
from tune_core import integration as tc
from tune_core.errors import InvalidArgumentError, SearchSpaceError

__all__ = ["HpSpace", "default_space", "known_trials", "read"]

_ASKED = "hyperparameter_search(hp_space)"
_FIX = (
    'Return e.g. {"learning_rate": trial.suggest_float("learning_rate", 1e-6, 1e-4, log=True)} (as for the backend '
    '"optuna") or {"learning_rate": tune.loguniform(1e-6, 1e-4)} (as for the backend "ray").'
)
_PROBES = 64  # draws that show whether a function's parameters depend on each other


@dataclass(frozen=True)
class HpSpace:
    """A search space, and how a trial's hyperparameters follow from what is drawn.

    Parameters
    ----------
    param_space
        The space; None where only ``function`` knows it.
    function
        The user's function of an Optuna trial; None for a space of domains.
    """

    param_space: dict[str, object] | None
    function: Callable[[Any], Any] | None = None

    def trial(self, config: Mapping[str, object], number: int) -> Any:
        """What the user's functions are given as the trial: an Optuna trial, or a dict."""
        if self.function is None:
            return _Trial(config, number)
        trial = tc.require(_ASKED, "optuna", "optuna").trial.FixedTrial(dict(config), number)
        self.function(trial)  # the Trainer asks model_init first, which may read trial.params
        return trial

    def hyperparameters(self, config: Mapping[str, Any], number: int) -> dict[str, Any]:
        """What is set on the ``TrainingArguments``."""
        trial = self.trial(config, number)
        return dict(config) if self.function is None else dict(self.function(trial))

    def search_function(self) -> Callable[[Any], None]:
        """The user's function as define-by-run searchers take it: parameters are what was suggested, nothing else."""
        function = self.function

        def suggest(trial: object) -> None:
            assert function is not None
            function(trial)

        return suggest


class _Trial(dict[str, Any]):
    """A configuration, with what the Trainer asks a trial for."""

    def __init__(self, config: Any, number: int = 0) -> None:  # the Trainer's state copies it as a dict
        super().__init__(config)
        self.number = number

    @property
    def params(self) -> _Trial:
        return self


@contextlib.contextmanager
def known_trials() -> Iterator[None]:
    """Let the Trainer take a trial of ours: it knows dicts only where Ray Tune or Weights & Biases is installed."""
    known = integrations.hp_params

    def hp_params(trial: object) -> Any:
        return dict(trial) if isinstance(trial, _Trial) else known(trial)

    integrations.hp_params = hp_params
    try:
        yield
    finally:
        if integrations.hp_params is hp_params:  # another thread's is left
            integrations.hp_params = known


def default_space() -> dict[str, Any]:
    """What the Trainer searches by default."""
    return {
        "learning_rate": tune.loguniform(1e-6, 1e-4),
        "num_train_epochs": tune.randint(1, 6),
        "seed": tune.randint(1, 41),
        "per_device_train_batch_size": tune.choice([4, 8, 16, 32, 64]),
    }


def read(hp_space: object, *, needs_domains: bool) -> HpSpace:
    """What a user gave as ``hp_space``.

    Parameters
    ----------
    hp_space
        None, a dict of domains, or a function: of an Optuna trial, or one that returns a dict of domains.
    needs_domains
        Whether the search algorithm takes no define-by-run function.

    Raises
    ------
    SearchSpaceError
        If it is none of these.
    """
    if hp_space is None:
        return HpSpace(default_space())
    if isinstance(hp_space, Mapping):
        return HpSpace(_domains(hp_space))
    if not callable(hp_space):
        raise SearchSpaceError(_ASKED, f"is {hp_space!r}", "it is a function, or a dict of domains", _FIX)
    try:
        import optuna
    except ModuleNotFoundError:
        return HpSpace(_domains(_without_optuna(hp_space)))
    found = [_probe(optuna, hp_space, seed) for seed in range(_PROBES)]
    returned, distributions = found[0]
    if not distributions:
        return HpSpace(_domains(returned))
    if not needs_domains:
        return HpSpace(None, hp_space)
    return HpSpace(_from_distributions([d for _, d in found]), hp_space)


def _probe(optuna: Any, hp_space: Callable[[Any], Any], seed: int) -> tuple[Mapping[str, object], dict[str, object]]:
    """What the function returns for one draw, and what it draws from."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))  # a new study announces itself
    try:
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    finally:
        optuna.logging.set_verbosity(verbosity)
    returned = hp_space(trial)
    if not isinstance(returned, Mapping):
        raise SearchSpaceError(_ASKED, f"returned {returned!r}", "it returns a dict of hyperparameters", _FIX)
    return returned, dict(trial.distributions)


def _without_optuna(hp_space: Callable[[Any], Any]) -> Mapping[str, object]:
    try:
        returned = hp_space(None)
    except AttributeError:  # None has no suggest_float: it is a function of an Optuna trial
        tc.require(_ASKED, "optuna", "optuna")
        raise
    if not isinstance(returned, Mapping):
        raise SearchSpaceError(_ASKED, f"returned {returned!r}", "it returns a dict of hyperparameters", _FIX)
    return returned


# --- domains ----------------------------------------------------------------------------------------------------------


def _domains(space: Mapping[str, Any]) -> dict[str, object]:
    """A dict of domains of ours or of Ray Tune as one of ours."""
    if "method" in space and "parameters" in space:
        raise SearchSpaceError(_ASKED, "is a sweep of Weights & Biases", "that form is not known here", _FIX)
    return {name: _domain(name, value) for name, value in space.items()}


def _domain(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _domain(f"{name}/{key}", one) for key, one in value.items()}
    if type(value).__module__ != "ray.tune.search.sample":
        return value
    kind = type(value).__name__
    if kind == "Categorical":
        return tune.choice(list(value.categories))
    if kind == "Function":
        sample_from: Any = tune.sample_from  # a module has the same name
        return sample_from(value.func)
    sampler, q = value.sampler, None
    if type(sampler).__name__ == "Quantized":
        sampler, q = sampler.sampler, sampler.q
    draw = type(sampler).__name__.lstrip("_")
    known = {
        ("Float", "Uniform"): ("uniform", "quniform"),
        ("Float", "LogUniform"): ("loguniform", "qloguniform"),
        ("Float", "Normal"): ("randn", "qrandn"),
        ("Integer", "Uniform"): ("randint", "qrandint"),
        ("Integer", "LogUniform"): ("lograndint", "qlograndint"),
    }
    if (kind, draw) not in known:
        raise SearchSpaceError(f"{_ASKED}[{name!r}]", f"is {value!r}", "that domain has no counterpart here", _FIX)
    plain, stepped = known[kind, draw]
    bounds = (sampler.mean, sampler.sd) if draw == "Normal" else (value.lower, value.upper)
    if q is None or (kind == "Integer" and q == 1):
        return getattr(tune, plain)(*bounds)
    if kind == "Integer":
        bounds = (bounds[0], bounds[1] - 1)  # Ray Tune keeps the bound after the last
    return getattr(tune, stepped)(*bounds, q)


def _from_distributions(found: list[dict[str, object]]) -> dict[str, object]:
    """The space of several draws of an Optuna function, if it is the same for all."""
    first = found[0]
    for other in found[1:]:
        if other != first:
            odd = sorted(set(other).symmetric_difference(first)) or sorted(n for n in first if other[n] != first[n])
            raise InvalidArgumentError(
                "hyperparameter_search(search_alg)",
                f"cannot search this hp_space: {', '.join(map(repr, odd))} depends on other values",
                "only Optuna's samplers search functions of which parts are conditional",
                "Leave search_alg out, or write hp_space as a dict with a tune.choice of dicts.",
            )
    return {name: _from_distribution(distribution) for name, distribution in first.items()}


def _from_distribution(distribution: Any) -> object:
    if type(distribution).__name__ == "CategoricalDistribution":
        return tune.choice(list(distribution.choices))
    low, high = distribution.low, distribution.high
    if low == high:
        return low
    whole = type(distribution).__name__ == "IntDistribution"
    if distribution.log:
        return tune.lograndint(low, high + 1) if whole else tune.loguniform(low, high)
    return tune.uniform(low, high) if distribution.step is None else tc.steps(low, high, distribution.step)
