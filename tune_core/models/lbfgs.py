"""Minimises smooth functions of a few variables: limited-memory BFGS with a backtracking line search.

SciPy has the same. This one is here so that a search with a given seed makes the same suggestions whether SciPy is
installed or not, and because for functions that take a tenth of a millisecond SciPy's own bookkeeping costs more than
they do.

References
----------
Nocedal and Wright, 2006, "Numerical Optimization", algorithms 3.1 (backtracking) and 7.4 (the two loops).
"""

from __future__ import annotations

from collections.abc import Callable

from tune_core.core.values import Array

_SUFFICIENT = 1e-4  # of the decrease that the gradient promises (Nocedal and Wright, after eq. 3.4)


def minimise(
    function: Callable[[Array], tuple[float, Array]],
    start: object,
    steps: int,
    memory: int = 8,
    tolerance: float = 1e-3,
) -> tuple[Array, float]:
    """The point with the lowest value found, and that value.

    Parameters
    ----------
    function
        Returns value and gradient; a value that is not finite counts as a step too far.
    start
        Where to begin: an array.
    steps
        How often to evaluate the function at most.
    memory
        How many of the last steps the curvature is estimated from.
    tolerance
        The search ends when no partial derivative exceeds this.

    Examples
    --------
    >>> import numpy as np
    >>> x, value = minimise(lambda x: (float(x @ x), 2 * x), np.array([3.0, -4.0]), 20)
    >>> bool(value < 1e-6)
    True
    """
    import numpy as np

    x = np.array(start, dtype=float)
    value, gradient = function(x)
    pairs: list[tuple[Array, Array, float]] = []
    spent = 1
    while spent < steps and np.abs(gradient).max() > tolerance:
        direction = _direction(gradient, pairs)
        slope = float(gradient @ direction)
        if not slope < 0.0:
            pairs.clear()
            direction, slope = -gradient, -float(gradient @ gradient)
        length = 1.0 if pairs else min(1.0, 1.0 / float(np.abs(gradient).sum()))
        length = min(length, 3.0 / float(np.abs(direction).max()))
        while True:
            if spent >= steps:
                return x, value
            candidate = x + length * direction
            found, there = function(candidate)
            spent += 1
            if found <= value + _SUFFICIENT * length * slope:
                break
            length *= 0.4
            if length < 1e-6:
                return x, value
        moved, turned = candidate - x, there - gradient
        curvature = float(moved @ turned)
        if curvature > 1e-10:
            pairs = [*pairs[1 - memory :], (moved, turned, 1.0 / curvature)]
        x, value, gradient = candidate, found, there
    return x, value


def _direction(gradient: Array, pairs: list[tuple[Array, Array, float]]) -> Array:
    """Minus the inverse Hessian's estimate times the gradient."""
    shares = []
    q: Array = gradient.copy()
    for moved, turned, inverse in reversed(pairs):
        share = inverse * float(moved @ q)
        q -= share * turned
        shares.append(share)
    if pairs:
        moved, turned, inverse = pairs[-1]
        q /= inverse * float(turned @ turned)
    for (moved, turned, inverse), share in zip(pairs, reversed(shares), strict=True):
        q += (share - inverse * float(turned @ q)) * moved
    downhill: Array = -q
    return downhill
