"""A Gaussian process over mixed parameters, and expected improvement over it: NumPy alone.

The kernel is Matérn 5/2 on a squared distance that adds up over parameters, each with a weight of its own (automatic
relevance determination); numbers contribute their squared difference, categories whether they differ. Losses enter by
their ranks, mapped to normal quantiles, so that heavy tails and outliers do no harm. The weights are a posterior mode,
under priors that expect each parameter to matter less the more there are.

References
----------
Rasmussen and Williams, 2006, "Gaussian Processes for Machine Learning", eqs. 2.25, 2.26, 4.17, 5.9.
Hvarfner, Hellsten and Nardi, 2024, "Vanilla Bayesian Optimization Performs Great in High Dimensions" (the prior).
Jones, Schonlau and Welch, 1998, "Efficient Global Optimization of Expensive Black-Box Functions" (the improvement).
Ginsbourger, Le Riche and Carraro, 2010, "Kriging Is Well-Suited to Parallelize Optimization" (pending points).
"""

from __future__ import annotations

import math
from typing import Any

_ROOT5 = math.sqrt(5.0)


class Surrogate:
    """The posterior of the losses, given some of them.

    Parameters
    ----------
    is_category
        For each column of the points, whether it holds the number of a category.
    """

    def __init__(self, is_category: Any) -> None:
        import numpy as np

        self.is_category = np.asarray(is_category, dtype=bool)
        d = len(self.is_category)
        self.prior_mean = -2.0 * (math.sqrt(2.0) + 0.5 * math.log(d))  # of the log weights: 1 / lengthscale²
        self.prior_sd = 2.0 * math.sqrt(3.0)
        # categories differ by 1 at most as numbers do by 1 at most, and are as a rule further apart than two numbers
        self.theta = np.full(d + 1, self.prior_mean + 2.0)
        self.theta[-1] = -4.0  # log noise variance
        self.fitted = 0

    # --- the kernel ---------------------------------------------------------------------------------------------------

    def distances(self, a: Any, b: Any) -> Any:
        """Squared distances by parameter: an array of shape (parameters, len(a), len(b))."""
        import numpy as np

        difference = a.T[:, :, None] - b.T[:, None, :]
        squared = difference * difference
        squared[self.is_category] = difference[self.is_category] != 0.0
        return squared if squared.dtype == float else squared.astype(np.float64)

    def _kernel(self, squared: Any, weights: Any) -> tuple[Any, Any]:
        """Kernel, and its derivative by the squared distance."""
        import numpy as np

        r2 = np.tensordot(weights, squared, axes=1)
        r = np.sqrt(5.0 * r2)
        decay = np.exp(-r)
        return (1.0 + r + r * r / 3.0) * decay, (-5.0 / 6.0) * (1.0 + r) * decay

    # --- fitting ------------------------------------------------------------------------------------------------------

    def fit(self, points: Any, targets: Any, steps: int) -> None:
        """Move the weights towards the posterior mode, and make ready to predict."""
        import numpy as np

        self.points, self.targets = points, targets
        squared = self.distances(points, points)
        n = len(points)
        moment1, moment2 = np.zeros_like(self.theta), np.zeros_like(self.theta)
        best, best_theta = -math.inf, self.theta.copy()
        for step in range(1, steps + 1):
            value, gradient = self._posterior(squared, targets, n)
            if value > best:
                best, best_theta = value, self.theta.copy()
            moment1 = 0.8 * moment1 + 0.2 * gradient  # Adam's rule
            moment2 = 0.95 * moment2 + 0.05 * gradient**2
            rate = 0.25 / (1.0 + step / 20.0)
            self.theta = self.theta + rate * (moment1 / (1 - 0.8**step)) / (np.sqrt(moment2 / (1 - 0.95**step)) + 1e-8)
            self.theta = np.clip(self.theta, -12.0, [6.0] * (len(self.theta) - 1) + [1.0])
        value, _ = self._posterior(squared, targets, n)
        if value < best:
            self.theta = best_theta
        self.condition(points, targets, squared)

    def condition(self, points: Any, targets: Any, squared: Any = None) -> None:
        """Make ready to predict from these points, with the weights as they are."""
        import numpy as np

        self.points, self.targets = points, targets
        squared = self.distances(points, points) if squared is None else squared
        kernel, _ = self._kernel(squared, np.exp(self.theta[:-1]))
        kernel[np.diag_indices(len(points))] += math.exp(self.theta[-1]) + 1e-8
        self.inverse = np.linalg.inv(kernel)
        self.mean = targets.mean()
        self.alpha = self.inverse @ (targets - self.mean)

    def _posterior(self, squared: Any, targets: Any, n: int) -> tuple[float, Any]:
        """Log posterior of the weights and noise, and its gradient (eqs. 2.30 and 5.9)."""
        import numpy as np

        weights, noise = np.exp(self.theta[:-1]), math.exp(self.theta[-1])
        kernel, slope = self._kernel(squared, weights)
        kernel[np.diag_indices(n)] += noise + 1e-8
        try:
            factor = np.linalg.cholesky(kernel)
        except np.linalg.LinAlgError:
            return -math.inf, np.zeros_like(self.theta)
        inverse = np.linalg.inv(kernel)
        centred = targets - targets.mean()
        alpha = inverse @ centred
        value = -0.5 * centred @ alpha - np.log(np.diag(factor)).sum()
        outer = 0.5 * (np.outer(alpha, alpha) - inverse)
        gradient = np.empty_like(self.theta)
        gradient[:-1] = weights * np.tensordot(squared, outer * slope, axes=2)
        gradient[-1] = noise * np.trace(outer)
        off = (self.theta[:-1] - self.prior_mean) / self.prior_sd
        noise_off = (self.theta[-1] + 4.0) / 2.0
        value -= 0.5 * (off @ off + noise_off**2)
        gradient[:-1] -= off / self.prior_sd
        gradient[-1] -= noise_off / 2.0
        return float(value), gradient

    # --- predicting ---------------------------------------------------------------------------------------------------

    def predict(self, points: Any) -> tuple[Any, Any]:
        """Mean and standard deviation at points (eqs. 2.25 and 2.26)."""
        import numpy as np

        cross, _ = self._kernel(self.distances(points, self.points), np.exp(self.theta[:-1]))
        mean = self.mean + cross @ self.alpha
        variance = 1.0 - np.einsum("ij,ij->i", cross @ self.inverse, cross)
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    def improvement(self, points: Any, best: float) -> Any:
        """Log of the expected improvement on ``best``.

        What the kernel leaves to noise is to a large part roughness of the objective, which a new point can gain from
        as well as lose: it counts as uncertainty, and keeps the search from polishing one smooth valley.
        """
        import numpy as np

        mean, sd = self.predict(points)
        sd = np.sqrt(sd * sd + math.exp(self.theta[-1]))
        z = (best - mean) / sd
        density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        gain = density + z * normal_cdf(z)
        tail = -0.5 * z * z - 2.0 * np.log(np.maximum(-z, 1.0)) - 0.919  # where the two cancel
        return np.log(sd) + np.where(z > -5.0, np.log(np.maximum(gain, 1e-300)), tail)


def normal_cdf(z: Any) -> Any:
    """Distribution function of the standard normal, to 1e-7 (Abramowitz and Stegun, 26.2.17)."""
    import numpy as np

    t = 1.0 / (1.0 + 0.2316419 * np.abs(z))
    tail = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    tail = tail * t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    return np.where(z > 0, 1.0 - tail, tail)


def normal_scores(losses: Any) -> Any:
    """Losses by their ranks as normal quantiles; equal losses get equal ones."""
    from statistics import NormalDist

    import numpy as np

    order = np.argsort(losses, kind="stable")
    n = len(losses)
    inverse = NormalDist().inv_cdf
    quantiles = np.array([inverse((i + 0.5) / n) for i in range(n)])
    scores = np.empty(n)
    scores[order] = quantiles
    values, where = np.unique(losses, return_inverse=True)
    if len(values) < n:
        means = np.bincount(where, weights=scores) / np.bincount(where)
        scores = means[where]
    return scores
