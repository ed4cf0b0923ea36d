"""How ``search_alg="auto"`` searches for several objectives and under constraints: weights and probabilities.

Each suggestion draws weights for the objectives and is made for the worst of the weighted losses (with a little of
their sum), so that suggestions spread along the front of best compromises. The probability that a point meets the
constraints, by a Gaussian process for each of them, multiplies the expected improvement. As long as no point meets
them, what is to be improved is by how much they are broken.

References
----------
Knowles, 2006, "ParEGO: A Hybrid Algorithm with On-Line Landscape Approximation for Expensive Multiobjective
Optimization Problems" (eq. 2). Schonlau, Welch and Jones, 1998, "Global versus Local Search in Constrained
Optimization of Computer Models" (the product with the probability of being feasible). Eriksson and Poloczek, 2021,
"Scalable Constrained Bayesian Optimization" (the transform of constraints, and the search for a first feasible point by
their violation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tune_core.core.values import Array
from tune_core.models.gaussian_process import GaussianProcess
from tune_core.models.normal import log_cdf
from tune_core.models.target_transform import winsorised

if TYPE_CHECKING:
    from numpy.random import Generator


_SHARE_OF_SUM = 0.05  # Knowles, 2006, after eq. 2


def weighted(losses: Array, feasible: Array, rng: Generator) -> Array:
    """One loss a point for weights drawn anew; NaN stays NaN.

    Parameters
    ----------
    losses
        An array of shape (points, objectives).
    feasible
        Which points meet all constraints.
    rng
        NumPy's generator.
    """
    import numpy as np

    if losses.shape[1] == 1:
        return losses[:, 0]
    tamed = np.stack([winsorised(column) for column in losses.T], axis=1)
    front = tamed[_front(tamed, feasible & ~np.isnan(losses).any(1))]
    low, high = front.min(0), front.max(0)
    whole = tamed.max(0) - tamed.min(0)
    span = np.where(high > low, high - low, np.where(whole > 0.0, whole, 1.0))
    shares = rng.dirichlet(np.ones(losses.shape[1]))
    parts = shares * (tamed - low) / span
    combined = parts.max(1) + _SHARE_OF_SUM * parts.sum(1)
    return np.where(np.isnan(losses).any(1), np.nan, combined)


def _front(losses: Array, usable: Array) -> Array:
    """Which points no other one beats; all of them if none is usable."""
    import numpy as np

    if not usable.any():
        return np.ones(len(losses), dtype=bool)
    better = (losses[:, None] <= losses[None]).all(2) & (losses[:, None] < losses[None]).any(2)
    return usable & ~(better & usable[:, None]).any(0)


def drawn_in(excess: Array) -> Array:
    """By how much a constraint is broken, such that what is near to its bound counts most; its sign stays.

    Eriksson and Poloczek's "bilog", in units of the median excess: large ones would hide from a model where 0 is.
    """
    import numpy as np

    size = np.abs(excess[~np.isnan(excess)])
    unit = (float(np.median(size)) if len(size) else 0.0) or float(size.max(initial=0.0)) or 1.0
    transformed: Array = np.sign(excess) * np.log1p(np.abs(excess) / unit)
    return transformed


class ConstraintModel:
    """The probability that points meet one constraint.

    Parameters
    ----------
    groups
        For each column of a point, the number of the length-scale that it has, as a Gaussian process takes them.
    """

    def __init__(self, groups: object) -> None:
        self.process = GaussianProcess(groups)

    def fit(self, points: Array, excess: Array) -> None:
        """Learn from points that are above the bound by ``excess``; NaN where that is not known."""
        import numpy as np

        known = ~np.isnan(excess)
        self.process.fit(points[known], drawn_in(excess[known]), 15)

    def log_chance(self, points: Array) -> Array:
        """Log of the probability that points meet the constraint."""
        mean, sd = self.process.predict(points)
        return log_cdf(-mean / sd)[0]

    def log_chance_with_gradient(self, points: Array) -> tuple[Array, Array]:
        """The same, and its derivatives by each column."""
        mean, sd, mean_gradient, sd_gradient = self.process.predict_with_gradients(points)
        value, slope = log_cdf(-mean / sd)
        by_point = -mean_gradient / sd[:, None] + (mean / sd**2)[:, None] * sd_gradient
        return value, slope[:, None] * by_point
