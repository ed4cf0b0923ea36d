"""Losses made fit for a Gaussian process: outliers drawn in, and a monotone curve chosen by the model's own likelihood.

Losses of one experiment often span orders of magnitude near the bad end (a training that diverges) and differ in the
third digit near the good end. A Gaussian process on such numbers describes the cliffs. The family here is Box and
Cox's power transformation of the distance to the best loss: a power of 1 keeps the losses as they are, 0 takes
logarithms, and a negative one flattens what is bad. It is monotone, so the best stays the best.

References
----------
Box and Cox, 1964, "An Analysis of Transformations".
Snelson, Rasmussen and Ghahramani, 2004, "Warped Gaussian Processes": the likelihood of the transformed data, with the
Jacobian of the transformation, compares transformations.
Cowen-Rivers et al., 2022, "HEBO: Pushing the Limits of Sample-Efficient Hyperparameter Optimisation".
"""

from __future__ import annotations

from tune_core.core.values import Array

CURVES: tuple[tuple[float, float], ...] = (
    (1.0, 1.0),
    (0.5, 0.3),
    (0.0, 1.0),
    (0.0, 0.2),
    (0.0, 0.03),
    (-0.5, 1.0),
    (-1.0, 1.0),
)
"""Powers, and where the curve bends, in units of the median's distance to the best."""


def winsorised(losses: object) -> Array:
    """Losses, none above the third quartile by over five times its distance to the best; NaN is the worst of them."""
    import numpy as np

    losses = np.array(losses, dtype=float)
    known = losses[~np.isnan(losses)]
    if not len(known):
        return np.zeros_like(losses)
    quartile = np.quantile(known, 0.75, method="lower")
    limit = quartile + 5.0 * (quartile - known.min())
    limit = limit if limit > quartile else known.max()
    worst = min(known.max(), limit)
    capped: Array = np.minimum(np.where(np.isnan(losses), worst, losses), worst)
    return capped


def curve(losses: Array, power: float, bend: float) -> tuple[Array, float]:
    """Standardised transformed losses, and the log of the Jacobian's determinant.

    Parameters
    ----------
    losses
        Finite numbers.
    power, bend
        One of :data:`CURVES`.
    """
    import numpy as np

    least = losses.min()
    unit = float(np.median(losses)) - least
    unit = unit if unit > 0.0 else float(losses.max()) - least
    if not unit > 0.0:
        return np.zeros_like(losses), 0.0
    u = (losses - least) / (unit * bend)
    log = np.log1p(u)
    bent = log if power == 0.0 else (np.exp(power * log) - 1.0) / power
    sd = float(bent.std()) or 1.0
    jacobian = float((power - 1.0) * log.sum()) - len(losses) * np.log(sd * unit * bend)
    return (bent - bent.mean()) / sd, jacobian
