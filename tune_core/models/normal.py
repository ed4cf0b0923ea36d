"""The standard normal distribution over arrays, by NumPy and the standard library: SciPy is no dependency."""

from __future__ import annotations

import math

from tune_core.core.values import Array


def normal_cdf(z: Array) -> Array:
    """Distribution function of the standard normal."""
    import numpy as np

    root = math.sqrt(0.5)
    return np.array([0.5 * math.erfc(-root * v) for v in z.tolist()])


def log_cdf(z: Array) -> tuple[Array, Array]:
    """Log of the standard normal's distribution function, and its derivative."""
    import numpy as np

    log_density = -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)
    far = np.minimum(z, -6.0)
    tail = log_density - np.log(-far) + np.log1p(-1.0 / far**2)
    near = np.log(np.maximum(normal_cdf(z), 1e-300))
    value = np.where(z > -6.0, near, tail)
    return value, np.exp(log_density - value)
