"""A Gaussian process: a posterior over functions, given noisy values of one at some points. NumPy alone.

The kernel is Matérn 5/2 on a squared distance that adds up over groups of columns, each group with a length-scale of
its own (automatic relevance determination). The prior of the length-scales grows with the square root of their
number, so that in many dimensions the function is expected to vary less along each; the noise is expected to be
small. Length-scales and noise are the posterior mode; the variance of the function and its mean are integrated or
solved for in closed form.

References
----------
Rasmussen and Williams, 2006, "Gaussian Processes for Machine Learning": eqs. 2.25, 2.26 (prediction), 2.41
(coefficients of basis functions), 4.17 (the kernel), 5.8 and 5.9 (the likelihood and its gradient). Hvarfner,
Hellsten and Nardi, 2024, "Vanilla Bayesian Optimization Performs Great in High Dimensions": section 5, the prior of
the length-scales, log-normal with location √2 + log(d)/2 and scale √3.
Bogunovic, Scarlett and Cevher, 2016, "Time-Varying Gaussian Process Bandit Optimization": eq. 5 (forgetting).
BoTorch 0.12 and later: the prior of the noise, log-normal with location -4 and scale 1.
"""

from __future__ import annotations

import math

from tune_core.core.values import Array
from tune_core.models.lbfgs import minimise

_ROOT5 = math.sqrt(5.0)
LEAST_NOISE = 1e-6
"""Least noise variance, as a share of the function's own; also what keeps the matrices invertible."""
_SCALE_STRENGTH = 2.0  # inverse-gamma prior of the function's variance around 1 (shape and rate)
_MEAN_VARIANCE = 1.0  # prior variance of the coefficients of the basis, targets being standardised


class GaussianProcess:
    """The posterior of a function, given some of its values.

    Parameters
    ----------
    groups
        For each column of the points, the number of its length-scale, from 0. Columns of one group, such as those that
        say whether a category is there, share it.
    forgetting
        ω in [0, 1), for functions that change: points have one column more, the time, and the kernel of two points is
        damped by ``(1 - ω)^(time between them / 2)``. None: there is no such column.
    has_trend
        Whether the function follows, along the last column t, which has one sign, a line of its own at each place: the
        kernel of two points is multiplied by ``1 + a·t·t'``, and a is fitted. At t = 0 the kernel is as without.

    Attributes
    ----------
    theta
        Logarithms of the inverse squared length-scales, one for each group, of a if there is a trend, and of the
        noise's share of the variance.
    """

    def __init__(self, groups: object, forgetting: float | None = None, has_trend: bool = False) -> None:
        import numpy as np

        self.groups = np.asarray(groups, dtype=int)
        self.forgetting = forgetting
        d = int(self.groups.max()) + 1
        if forgetting is not None:
            self.groups = np.append(self.groups, 0)  # the time's column, whose weight is 0
        # The mode is taken of the densities of length-scale and noise themselves, as BoTorch does: a log-normal's
        # lies its scale squared below its location. That of the logarithms' density is linear functions and noise,
        # time and again.
        self.prior_mean = np.full(d + 1, -2.0 * (math.sqrt(2.0) + 0.5 * math.log(d) - 3.0))
        self.prior_sd = np.full(d + 1, 2.0 * math.sqrt(3.0))
        self.prior_mean[-1], self.prior_sd[-1] = -4.0 - 1.0, 1.0
        self.has_trend = has_trend
        if has_trend:
            self.prior_mean, self.prior_sd = np.insert(self.prior_mean, d, 0.0), np.insert(self.prior_sd, d, 2.0)
        self._scales = d
        self.theta = self.prior_mean.copy()

    # --- the kernel ---------------------------------------------------------------------------------------------------

    def _weights(self, theta: Array) -> Array:
        import numpy as np

        weights: Array = np.exp(theta[: self._scales])[self.groups]
        if self.forgetting is not None:
            weights[-1] = 0.0
        return weights

    def _trend(self, theta: Array) -> float:
        return math.exp(theta[-2]) if self.has_trend else 0.0

    def _kernel(self, a: Array, b: Array, weights: Array, trend: float) -> Array:
        """Kernel of the rows of two arrays (eq. 4.17)."""
        return self._kernel_and_slope(a, b, weights, trend, False)[0]

    def _kernel_and_slope(
        self, a: Array, b: Array, weights: Array, trend: float, has_slope: bool = True
    ) -> tuple[Array, Array]:
        """The kernel, and its derivative by the squared distance. Most steps are in place: that halves their time."""
        import numpy as np

        roots = np.sqrt(weights)
        za, zb = a * roots, b * roots
        r = za @ zb.T
        r *= 2.0
        np.subtract(np.add.outer((za * za).sum(1), (zb * zb).sum(1)), r, out=r)
        np.sqrt(np.maximum(r, 0.0, out=r), out=r)
        r *= _ROOT5
        decay = np.negative(r)
        np.exp(decay, out=decay)
        value = r * r
        value *= decay
        value /= 3.0
        r += 1.0
        r *= decay
        value += r
        slope = r
        if has_slope:
            slope *= -5.0 / 6.0
        if self.forgetting:
            damping = (1.0 - self.forgetting) ** (0.5 * np.abs(a[:, -1:] - b[:, -1]))
            value, slope = value * damping, slope * damping
        if trend:
            factor = np.multiply.outer(trend * a[:, -1], b[:, -1])
            factor += 1.0
            value *= factor
            if has_slope:
                slope *= factor
        return value, slope

    # --- fitting ------------------------------------------------------------------------------------------------------

    def fit(
        self, points: Array, targets: Array, steps: int = 20, basis: Array | None = None, afresh: bool = False
    ) -> None:
        """Move length-scales and noise to their posterior mode, and make ready to predict.

        Parameters
        ----------
        points
            An array of shape (n, columns).
        targets
            Their values, about standardised; an array of length n.
        steps
            How often the likelihood is evaluated at most.
        basis
            Columns whose coefficients are estimated too, of shape (n, k); None: one constant.
        afresh
            Also start from the prior, not only from the last fit, and take what is better.
        """
        import numpy as np

        basis = np.ones((len(points), 1)) if basis is None else basis

        def negative(theta: Array) -> tuple[float, Array]:
            return self._negative_log_posterior(theta, points, targets, basis)

        found, value = minimise(negative, self.theta, steps)
        if afresh:
            other, second = minimise(negative, self.prior_mean, steps)
            if second < value:
                found = other
        self.theta = np.clip(found, -14.0, 8.0)
        self.condition(points, targets, basis)

    def log_posterior(self, points: Array, targets: Array) -> float:
        """Of length-scales and noise as they are, up to a constant that is the same for all processes."""
        import numpy as np

        return -self._negative_log_posterior(self.theta, points, targets, np.ones((len(points), 1)))[0]

    def condition(self, points: Array, targets: Array, basis: Array | None = None) -> None:
        """Make ready to predict from these points, with length-scales and noise as they are."""
        import numpy as np

        self.points = points
        basis = np.ones((len(points), 1)) if basis is None else basis
        self.weights, self.trend = self._weights(self.theta), self._trend(self.theta)
        kernel = self._kernel(points, points, self.weights, self.trend)
        self._factor(kernel, self.theta)
        self.coefficients, residual, self.scale = self._regress(targets, basis)
        self.alpha = self.inverse_root.T @ residual

    def _factor(self, kernel: Array, theta: Array) -> Array:
        """Add the noise, and keep the inverse of the Cholesky factor; return the factor's diagonal."""
        import numpy as np

        n = len(kernel)
        kernel.flat[:: n + 1] += math.exp(theta[-1]) + LEAST_NOISE
        lower = np.linalg.cholesky(kernel)
        self.inverse_root = np.linalg.inv(lower)
        return lower.diagonal()

    def _regress(self, targets: Array, basis: Array) -> tuple[Array, Array, float]:
        """Coefficients of the basis (eq. 2.41; their prior is around 0), the whitened rest, the variance."""
        import numpy as np

        whitened, rest = self.inverse_root @ basis, self.inverse_root @ targets
        gram = whitened.T @ whitened
        gram.flat[:: len(gram) + 1] += 1.0 / _MEAN_VARIANCE
        coefficients = np.linalg.solve(gram, whitened.T @ rest)
        residual = rest - whitened @ coefficients
        squares = float(residual @ residual + coefficients @ coefficients / _MEAN_VARIANCE)
        return coefficients, residual, (squares + 2.0 * _SCALE_STRENGTH) / (len(residual) + 2.0 * _SCALE_STRENGTH)

    def _negative_log_posterior(self, theta: Array, points: Array, targets: Array, basis: Array) -> tuple[float, Array]:
        """Of length-scales and noise, up to a constant, and its gradient (eqs. 5.8 and 5.9)."""
        import numpy as np

        if not np.abs(theta).max() < 20.0:
            return math.inf, np.zeros_like(theta)
        weights, trend = self._weights(theta), self._trend(theta)
        kernel, slope = self._kernel_and_slope(points, points, weights, trend)
        if trend:
            steepness = trend * np.multiply.outer(points[:, -1], points[:, -1])
            by_trend = kernel * (steepness / (1.0 + steepness))
        try:
            diagonal = self._factor(kernel, theta)
        except np.linalg.LinAlgError:
            return math.inf, np.zeros_like(theta)
        _, residual, scale = self._regress(targets, basis)
        off = (theta - self.prior_mean) / self.prior_sd
        value = 0.5 * (len(targets) + 2.0 * _SCALE_STRENGTH) * math.log(scale) + np.log(diagonal).sum()
        alpha = self.inverse_root.T @ residual
        outer = self.inverse_root.T @ self.inverse_root
        noise = math.exp(theta[-1])
        gradient = np.empty_like(theta)
        gradient[-1] = 0.5 * noise * (outer.trace() - alpha @ alpha / scale)
        outer -= np.outer(alpha, alpha / scale)
        if trend:
            gradient[-2] = 0.5 * (outer * by_trend).sum()
        outer *= slope
        by_column = outer.sum(1) @ (points * points) - ((outer @ points) * points).sum(0)
        gradient[: self._scales] = np.bincount(self.groups, weights * by_column, self._scales)
        return float(value + 0.5 * off @ off), gradient + off / self.prior_sd

    # --- predicting ---------------------------------------------------------------------------------------------------

    def predict(self, points: Array, basis: Array | None = None) -> tuple[Array, Array]:
        """Mean and standard deviation of the function, without noise (eqs. 2.25 and 2.26)."""
        import numpy as np

        cross = self._kernel(points, self.points, self.weights, self.trend)
        half = cross @ self.inverse_root.T
        mean = cross @ self.alpha + (self.coefficients[0] if basis is None else basis @ self.coefficients)
        prior = 1.0 + self.trend * points[:, -1] ** 2 if self.trend else 1.0
        return mean, np.sqrt(self.scale * np.maximum(prior - (half * half).sum(1), 1e-10))

    def predict_with_gradients(self, points: Array, basis: Array | None = None) -> tuple[Array, Array, Array, Array]:
        """Mean, standard deviation, and the derivatives of both by each column; with a trend, by all but the last."""
        import numpy as np

        cross, slope = self._kernel_and_slope(points, self.points, self.weights, self.trend)
        half = cross @ self.inverse_root.T
        mean = cross @ self.alpha + (self.coefficients[0] if basis is None else basis @ self.coefficients)
        prior = 1.0 + self.trend * points[:, -1] ** 2 if self.trend else 1.0
        sd = np.sqrt(self.scale * np.maximum(prior - (half * half).sum(1), 1e-10))
        by_mean, by_cross = slope * self.alpha, slope * (half @ self.inverse_root)
        twice = 2.0 * self.weights
        mean_gradient = twice * (by_mean.sum(1)[:, None] * points - by_mean @ self.points)
        variance = twice * (by_cross.sum(1)[:, None] * points - by_cross @ self.points)
        return mean, sd, mean_gradient, -self.scale * variance / sd[:, None]

    @property
    def noise(self) -> float:
        """Variance of the noise."""
        return float(self.scale * math.exp(self.theta[-1]))

    def likelihoods(self, columns: Array, basis: Array) -> Array:
        """For several columns of targets, the log likelihood that each has with length-scales and noise as they are."""
        import numpy as np

        found = []
        for targets in columns.T:
            _, _, scale = self._regress(targets, basis)
            found.append(-0.5 * (len(targets) + 2.0 * _SCALE_STRENGTH) * math.log(scale))
        return np.array(found)
