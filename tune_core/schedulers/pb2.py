"""PB2: population based training whose copies take hyperparameters that a Gaussian process expects to improve most."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tune_core import space
from tune_core.core.optional_imports import require
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.pbt import Population, PopulationMember
from tune_core.schedulers.perturbation import complete, seeded, show

CANDIDATES = 256
"""Points at which the acquisition is computed; the best is refined."""
MOST_POINTS = 300
"""The Gaussian process sees no more than so many of the latest points."""


class PB2(Population):
    """Population based bandits: PBT that chooses the copies' hyperparameters by a time-varying Gaussian process.

    Parameters
    ----------
    time_attr, metric, mode, perturbation_interval, quantile_fraction, synch
        As for :class:`PopulationBasedTraining`.
    hyperparam_bounds
        Lower and upper bound of each hyperparameter to choose. Those whose domain in ``param_space`` is logarithmic are
        chosen on that scale, and integers stay integers.
    log_config, require_attrs
        Accepted for Ray Tune's sake.
    custom_explore_fn
        Takes the new configuration, and returns what is to be run.
    seed
        Of all chance; None takes the run's.

    Notes
    -----
    Needs numpy. The process models the change of the metric over an interval, given the hyperparameters, the metric at
    the interval's start and the time; kernels of points far apart in time are damped by ``(1 - ω)^(|i - j|/2)``. A
    copy takes the maximum of the upper confidence bound, where points that other copies have just taken count as
    observed.

    References
    ----------
    Parker-Holder, Nguyen, Roberts: Provably Efficient Online Hyperparameter Optimization with Population-Based Bandits.
    NeurIPS 2020, Algorithm 1 and equation 5.
    """

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
        custom_explore_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(time_attr, metric, mode, perturbation_interval, 0.0, quantile_fraction, synch, seed)
        self.hyperparam_bounds = {name: _check_bounds(name, b) for name, b in (hyperparam_bounds or {}).items()}
        if not self.hyperparam_bounds:
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

    def complete_space(self, space: Mapping[str, Any]) -> Mapping[str, Any]:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        return complete(space, {name: _domain(bounds) for name, bounds in self.hyperparam_bounds.items()})

    def learn(self, member: PopulationMember, time: Any) -> None:
        """See :class:`Population`."""
        index, loss = member.trial.index, member.loss
        before = self._scores.get(index)
        if loss is None or loss == math.inf:
            self._scores.pop(index, None)
            return
        if before is not None and time > before[0]:
            point = [self._scale(name, member.trial.config.get(name)) for name in self.hyperparam_bounds]
            self._data.append((float(time), before[1], (loss - before[1]) / (time - before[0]), point))
            del self._data[:-MOST_POINTS]
            self._taken = [taken for taken in self._taken if taken[2] != point]
        self._scores[index] = (float(time), loss)

    def explored(
        self, member: PopulationMember, source: PopulationMember, rng: random.Random
    ) -> tuple[dict[str, Any], list[str]]:
        """See :class:`Population`."""
        at = self._scores.get(source.trial.index, (float(source.last), source.loss or 0.0))
        self._scores[member.trial.index] = at  # the copy's next change is measured from here
        names = list(self.hyperparam_bounds)
        if len(self._data) < 2:
            point = [rng.random() for _ in names]
        else:
            point = _choose(self._data, self._taken, at, len(names), rng)
        config = dict(source.trial.config)
        words = []
        for name, scaled in zip(names, point):
            config[name] = self._unscale(name, scaled)
            words.append(f"{name} {show(source.trial.config.get(name))} → {show(config[name])}")
        self._taken.append((*at, [self._scale(name, config[name]) for name in names]))
        if self.custom_explore_fn is not None:
            with seeded(rng):
                config = self.custom_explore_fn(config)
            words.append("then custom_explore_fn")
        return config, words

    def describe(self) -> str:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        return (
            f"PB2{', synchronous' if self.synch else ''}: every {self.perturbation_interval:g} {self.time_attr}, "
            f"the worst {self.quantile_fraction:g} copy the best; {', '.join(self.hyperparam_bounds)}"
        )

    def debug_string(self) -> str:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        return f"{self.describe()}; {len(self._data)} intervals observed"

    # --- scales -------------------------------------------------------------------------------------------------------

    def _is_log(self, name: str) -> bool:
        low, _ = self.hyperparam_bounds[name]
        return bool(getattr(self.space.get(name), "log", False)) and low > 0

    def _scale(self, name: str, value: Any) -> float:
        """A hyperparameter in the unit interval."""
        low, high = self.hyperparam_bounds[name]
        if not isinstance(value, (int, float)) or high == low:
            return 0.5
        if self._is_log(name):
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return float(min(max((value - low) / (high - low), 0.0), 1.0))

    def _unscale(self, name: str, scaled: float) -> Any:
        low, high = self.hyperparam_bounds[name]
        if self._is_log(name):
            value = math.exp(math.log(low) + scaled * (math.log(high) - math.log(low)))
        else:
            value = low + scaled * (high - low)
        value = min(max(value, low), high)
        domain = self.space.get(name)
        if isinstance(domain, (space.Float, space.Integer)):
            return domain.snap(value)
        return round(value) if all(isinstance(b, int) for b in self.hyperparam_bounds[name]) else value


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
    inputs = np.array([[*d[3], d[1]] for d in data])
    low, high = context.min(), context.max()

    def with_context(points: Any, value: Any) -> Any:
        scaled = (np.asarray(value, dtype=float) - low) / ((high - low) or 1.0)
        return np.column_stack([points, np.broadcast_to(np.clip(scaled, -1.0, 2.0), len(points))])

    seen = with_context(inputs[:, :dimensions], inputs[:, dimensions])
    process = _Process(seen, times, gains)
    if taken:  # GP-BUCB: what others have taken counts as observed at its mean
        points = with_context(np.array([t[2] for t in taken]), [t[1] for t in taken])
        when = np.array([t[0] for t in taken])
        mean, _ = process.predict(points, when)
        process = _Process(np.vstack([seen, points]), np.r_[times, when], np.r_[gains, mean], process.scale)
    width = math.sqrt(0.2 * dimensions * math.log(2.0 * max(len(data), 2)) + 0.4)

    def bound(points: Any) -> Any:
        mean, deviation = process.predict(with_context(points, at[1]), np.full(len(points), at[0]))
        return mean + width * deviation

    points = generator.random((CANDIDATES, dimensions))
    best = points[int(np.argmax(bound(points)))]
    for spread in (0.1, 0.03, 0.01):
        near = np.clip(best + generator.normal(0.0, spread, (CANDIDATES // 4, dimensions)), 0.0, 1.0)
        near = np.vstack([best, near])
        best = near[int(np.argmax(bound(near)))]
    return [float(x) for x in best]


class _Process:
    """A Gaussian process with a squared exponential kernel, damped over time (Bogunovic et al. 2016)."""

    forgetting = 0.02
    noise = 0.1

    def __init__(self, inputs: Any, times: Any, outputs: Any, scale: float | None = None) -> None:
        import numpy as np

        self._np = np
        self._inputs = inputs
        self._steps = self._rank(times)
        self._times = times
        best = (-math.inf, 0.3)
        for candidate in (0.1, 0.2, 0.4, 0.8) if scale is None else (scale,):
            self.scale = candidate
            factor = self._factor()
            solved = np.linalg.solve(factor, outputs)
            likelihood = -0.5 * float(solved @ solved) - float(np.log(np.diag(factor)).sum())
            best = max(best, (likelihood, candidate))
        self.scale = best[1]
        self._inverse = np.linalg.inv(self._factor())  # of the Cholesky factor
        self._weights = self._inverse.T @ (self._inverse @ outputs)

    def _rank(self, times: Any) -> Any:
        """Times in units of the usual distance between two that differ."""
        np = self._np
        gaps = np.diff(np.unique(times))
        self._unit = float(np.median(gaps)) if len(gaps) else 1.0
        return times / self._unit

    def _kernel(self, a: Any, a_steps: Any, b: Any, b_steps: Any) -> Any:
        np = self._np
        squares = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
        apart = np.abs(a_steps[:, None] - b_steps[None, :])
        return np.exp(-0.5 * squares / self.scale**2) * (1.0 - self.forgetting) ** (apart / 2.0)

    def _factor(self) -> Any:
        np = self._np
        covariance = self._kernel(self._inputs, self._steps, self._inputs, self._steps)
        covariance[np.diag_indices_from(covariance)] += self.noise
        return np.linalg.cholesky(covariance)

    def predict(self, inputs: Any, times: Any) -> tuple[Any, Any]:
        """Mean and standard deviation."""
        np = self._np
        across = self._kernel(inputs, times / self._unit, self._inputs, self._steps)
        half = self._inverse @ across.T
        variance = np.maximum(1.0 - (half**2).sum(axis=0), 1e-12)
        return across @ self._weights, np.sqrt(variance)


def _check_bounds(name: str, bounds: Any) -> tuple[Any, Any]:
    good = (
        isinstance(bounds, Sequence)
        and len(bounds) == 2
        and all(isinstance(b, (int, float)) and not isinstance(b, bool) and math.isfinite(b) for b in bounds)
        and bounds[0] < bounds[1]
    )
    if not good:
        raise InvalidArgumentError(
            f"PB2(hyperparam_bounds[{name!r}])",
            f"is {bounds!r}",
            "it is the lower and the upper bound of a number",
            "Use e.g. [1e-4, 1e-1].",
        )
    return bounds[0], bounds[1]


def _domain(bounds: tuple[Any, Any]) -> Any:
    low, high = bounds
    if isinstance(low, int) and isinstance(high, int):
        return space.randint(low, high + 1)
    return space.uniform(low, high)
