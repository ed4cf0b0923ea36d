"""PB2: population based training whose copies take hyperparameters that a Gaussian process expects to improve most."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tune_core import space
from tune_core.core.optional_imports import require
from tune_core.core.validation import python_values
from tune_core.core.values import Array, Config
from tune_core.errors import InvalidArgumentError
from tune_core.models.gaussian_process import GaussianProcess
from tune_core.schedulers.pbt import Population, PopulationMember
from tune_core.schedulers.perturbation import as_python_number, complete, python_mutations, show

Path = tuple[str, ...]

CANDIDATES = 256
"""Points at which the acquisition is computed; the best is refined."""
MOST_POINTS = 300
"""The Gaussian process sees no more than so many of the latest points: older ones are damped to next to nothing."""

FIT_POINTS = 100
"""Its kernel's parameters are fitted to so many of the latest."""

_FIT_STEPS = 12

_FORGETTING = (0.0, 0.05, 0.2)
"""Values of ω that are compared."""


def confidence_width(intervals: int) -> float:
    """√β after so many observed intervals: β = c₁ + max(0, log(c₂·n)), c₁ = 0.2, c₂ = 0.4 (the authors' constants)."""
    return math.sqrt(0.2 + max(0.0, math.log(0.4 * intervals)))


class PB2(Population):
    """Population based bandits: PBT that chooses the copies' hyperparameters by a time-varying Gaussian process.

    Parameters
    ----------
    time_attr, metric, mode, perturbation_interval, quantile_fraction, synch
        As for :class:`PopulationBasedTraining`.
    hyperparam_bounds
        Lower and upper bound of each hyperparameter to choose, nested as in ``param_space``:
        ``{"optimizer": {"lr": [1e-4, 1e-1]}}``. Those whose domain in ``param_space`` is logarithmic are chosen on that
        scale, and integers in a trial's configuration stay integers. What ``param_space`` lacks is an integer where
        both bounds are.
    log_config, require_attrs
        Accepted and ignored; Ray Tune has them.
    custom_explore_fn
        Takes the new configuration, and returns what is to be run.
    seed
        Of all random draws; None takes the run's.

    Notes
    -----
    Needs numpy. The process models the change of the metric over an interval, given the hyperparameters, the metric at
    the interval's start and the time; kernels of points far apart in time are damped by ``(1 - ω)^(|i - j|/2)``. A
    copy takes the maximum of the upper confidence bound μ + √β·σ, where points that other copies have just taken count
    as observed. After n intervals β = 0.2 + max(0, log(0.4·n)), as in the authors' implementation. The process is that
    of :mod:`tune_core.models.gaussian_process`: length-scales and noise are the posterior mode, and ω is that of 0,
    0.05 and 0.2 under which the intervals so far are most likely.

    References
    ----------
    Parker-Holder, Nguyen, Roberts: Provably Efficient Online Hyperparameter Optimization with Population-Based Bandits.
    NeurIPS 2020, Algorithm 1 and equation 5. Time-varying kernel: Bogunovic, Scarlett, Cevher: Time-Varying Gaussian
    Process Bandit Optimization, AISTATS 2016, equation 5. Pending points: Desautels, Krause, Burdick: Parallelizing
    Exploration-Exploitation Tradeoffs in Gaussian Process Bandit Optimization, JMLR 2014, algorithm GP-BUCB.
    """

    @python_values
    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 60.0,
        hyperparam_bounds: Mapping[str, Sequence[float]] | None = None,
        quantile_fraction: float = 0.25,
        log_config: bool = True,
        require_attrs: bool = True,
        synch: bool = False,
        custom_explore_fn: Callable[[Config], Config] | None = None,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(time_attr, metric, mode, perturbation_interval, 0.0, quantile_fraction, synch, seed)
        self.hyperparam_bounds = dict(python_mutations(hyperparam_bounds or {}))
        self._bounds = dict(_flat_bounds(self.hyperparam_bounds))  # by path of a nested parameter
        if not self._bounds:
            raise InvalidArgumentError(
                "PB2(hyperparam_bounds)",
                "is empty",
                "there is nothing to choose",
                'Use e.g. hyperparam_bounds={"lr": [1e-4, 1e-1]}.',
            )
        self.custom_explore_fn = custom_explore_fn
        require("PB2", "numpy", "pandas")
        # (time, loss at the interval's start, change of the loss per unit of time, point)
        self._data: list[tuple[float, float, float, list[float]]] = []
        self._taken: list[tuple[float, float, list[float]]] = []  # chosen by copies that have not reported yet
        self._scores: dict[int, tuple[float, float]] = {}  # (time, loss) at each member's last interval

    def complete_space(self, space: Mapping[str, object]) -> Mapping[str, object]:
        return complete(space, _domains(self.hyperparam_bounds))

    def learn(self, member: PopulationMember, time: Any) -> None:
        index, loss = member.trial.index, member.loss
        before = self._scores.get(index)
        if loss is None or loss == math.inf:
            self._scores.pop(index, None)
            return
        if before is not None and time > before[0]:
            point = [self._scale(path, value_at(member.trial.config, path)) for path in self._bounds]
            self._data.append((float(time), before[1], (loss - before[1]) / (time - before[0]), point))
            del self._data[:-MOST_POINTS]
            self._taken = [taken for taken in self._taken if taken[2] != point]
        self._scores[index] = (float(time), loss)

    def explored(
        self, member: PopulationMember, source: PopulationMember, rng: random.Random
    ) -> tuple[Config, list[str]]:
        at = self._scores.get(source.trial.index, (float(source.last), source.loss or 0.0))
        self._scores[member.trial.index] = at  # the copy's next change is measured from here
        if len(self._data) < 2:
            point = [rng.random() for _ in self._bounds]
        else:
            point = _choose(self._data, self._taken, at, len(self._bounds), rng)
        config = copy.deepcopy(dict(source.trial.config))
        words, taken = [], []
        for path, scaled in zip(self._bounds, point):
            new = self._unscale(path, scaled, value_at(config, path))
            taken.append(self._scale(path, new))
            words.append(f"{'/'.join(path)} {show(value_at(config, path))} → {show(new)}")
            _put(config, path, new)
        self._taken.append((*at, taken))
        return self.custom(config, words, rng), words

    def describe(self) -> str:
        return self.described("PB2", map("/".join, self._bounds))

    def debug_string(self) -> str:
        return f"{self.describe()}; {len(self._data)} intervals observed"

    # --- scales -------------------------------------------------------------------------------------------------------

    def _is_log(self, path: Path) -> bool:
        low, _ = self._bounds[path]
        return bool(getattr(value_at(self.space, path), "log", False)) and low > 0

    def _scale(self, path: Path, value: object) -> float:
        """A hyperparameter in the unit interval; its middle for a value that is no number."""
        low, high = self._bounds[path]
        number = as_python_number(value)
        if number is None:
            return 0.5
        if self._is_log(path):
            low, high, number = math.log(low), math.log(high), math.log(max(number, low))
        return float(min(max((number - low) / (high - low), 0.0), 1.0))

    def _unscale(self, path: Path, scaled: float, old: object = None) -> Any:
        low, high = self._bounds[path]
        if self._is_log(path):
            value = math.exp(math.log(low) + scaled * (math.log(high) - math.log(low)))
        else:
            value = low + scaled * (high - low)
        value = min(max(value, low), high)
        domain = value_at(self.space, path)
        if isinstance(domain, (space.Float, space.Integer)):
            return domain.snap(value)
        number = as_python_number(old)
        kinds = self._bounds[path] if number is None else [number]
        return round(value) if all(isinstance(one, int) for one in kinds) else float(value)


def _choose(
    data: list[tuple[float, float, float, list[float]]],
    taken: list[tuple[float, float, list[float]]],
    at: tuple[float, float],
    dimensions: int,
    rng: random.Random,
) -> list[float]:
    """The point with the highest upper confidence bound of the improvement."""
    import numpy as np

    generator = np.random.default_rng(rng.getrandbits(63))
    times = np.array([d[0] for d in data])
    context = np.array([d[1] for d in data])
    gains = -np.array([d[2] for d in data])  # a falling loss is a gain
    gains = (gains - gains.mean()) / (gains.std() or 1.0)
    low, high = context.min(), context.max()
    gaps = np.diff(np.unique(times))
    unit = float(np.median(gaps)) if len(gaps) else 1.0  # times in units of the usual distance between two that differ

    def inputs(points: Array, value: object, when: float | Array) -> Array:
        """Hyperparameters, the metric at the interval's start, and the time."""
        scaled = np.clip((np.asarray(value, dtype=float) - low) / ((high - low) or 1.0), -1.0, 2.0)
        return np.column_stack([points, *(np.broadcast_to(column, len(points)) for column in (scaled, when / unit))])

    seen = inputs(np.array([d[3] for d in data]), context, times)
    process = fitted(seen, gains)
    if taken:  # GP-BUCB: what others have taken counts as observed at its mean
        theirs = inputs(np.array([t[2] for t in taken]), [t[1] for t in taken], np.array([t[0] for t in taken]))
        process.condition(np.vstack([seen, theirs]), np.r_[gains, process.predict(theirs)[0]])
    width = confidence_width(len(data))

    def bound(points: Array) -> Array:
        mean, deviation = process.predict(inputs(points, at[1], at[0]))
        return mean + width * deviation

    points = generator.random((CANDIDATES, dimensions))
    best = points[int(np.argmax(bound(points)))]
    for spread in (0.1, 0.03, 0.01):
        near = np.clip(best + generator.normal(0.0, spread, (CANDIDATES // 4, dimensions)), 0.0, 1.0)
        near = np.vstack([best, near])
        best = near[int(np.argmax(bound(near)))]
    return [float(x) for x in best]


def fitted(points: Array, targets: Array) -> GaussianProcess:
    """The process with its most likely parameters, ω among them; the time is the last column."""
    latest, lately = points[-FIT_POINTS:], targets[-FIT_POINTS:]
    found = []
    for forgetting in _FORGETTING:
        process = GaussianProcess(range(points.shape[1] - 1), forgetting)
        process.fit(latest, lately, _FIT_STEPS)
        found.append((process.log_posterior(latest, lately), -forgetting, process))
    best = max(found, key=lambda entry: entry[:2])[2]
    best.condition(points, targets)
    return best


def _flat_bounds(bounds: Mapping[str, object], above: Path = ()) -> Iterator[tuple[Path, tuple[float, float]]]:
    for name, inner in bounds.items():
        path = (*above, name)
        if isinstance(inner, Mapping):
            yield from _flat_bounds(inner, path)
        else:
            yield path, _check_bounds("".join(f"[{key!r}]" for key in path), inner)


def _check_bounds(where: str, bounds: object) -> tuple[float, float]:
    pair = bounds if isinstance(bounds, Sequence) and not isinstance(bounds, str) and len(bounds) == 2 else (0, 0)
    low, high = map(as_python_number, pair)
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidArgumentError(
            f"PB2(hyperparam_bounds{where})",
            f"is {bounds!r}",
            "it is the lower and the upper bound of a number",
            "Use e.g. [1e-4, 1e-1].",
        )
    return low, high


def _domains(bounds: Mapping[str, object]) -> Config:
    """What is drawn where ``param_space`` lacks a hyperparameter."""
    return {name: _domains(inner) if isinstance(inner, Mapping) else _domain(inner) for name, inner in bounds.items()}


def value_at(values: object, path: Path) -> Any:
    """A nested value; None where there is none."""
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _put(config: Config, path: Path, value: Any) -> None:
    for key in path[:-1]:
        config = config.setdefault(key, {})
    config[path[-1]] = value


def _domain(bounds: object) -> Any:
    low, high = _check_bounds("", bounds)
    if isinstance(low, int) and isinstance(high, int):
        return space.randint(low, high + 1)
    return space.uniform(low, high)
