"""The model behind ``search_alg="auto"``: losses over a search space, at one or several levels of training."""

from __future__ import annotations

import math
from typing import Any

from tune_core.core.values import Array, JsonObject
from tune_core.models.gaussian_process import GaussianProcess
from tune_core.models.target_transform import CURVES, curve, winsorised
from tune_core.search.encoding.columns import ObservationTable

_FEW = 60
"""Up to so many observations, length-scales are fitted to convergence after each result."""
_SHARE = 30
"""With more, they are fitted again only when one observation in so many is new."""


class LossModel:
    """A Gaussian process over the points of a space, and over how far a training has come.

    Where trials are stopped early, each loss has the level at which it was measured. Each level has a constant of its
    own, for losses fall as training goes on; what is left is one function of point and level, with a length-scale
    between levels that says how much a low level tells of a high one. Against the logarithm of the step it follows a
    line whose slope depends on the point, since losses fall about as a power of the step, and faster for some points
    than for others. Since the constants are estimated together with the function, it does no harm that only good trials
    reach the upper levels.

    Parameters
    ----------
    table
        The space.

    References
    ----------
    Swersky, Snoek and Adams, 2013, "Multi-Task Bayesian Optimization". Klein et al., 2017, "Fast Bayesian Optimization
    of Machine Learning Hyperparameters on Large Datasets" (a kernel over points and fidelities, with a line in the
    fidelity). Domhan, Springenberg and Hutter, 2015, "Speeding Up Automatic Hyperparameter
    Optimization of Deep Neural Networks by Extrapolation of Learning Curves" (power laws among others).
    """

    def __init__(self, table: ObservationTable) -> None:
        self.table = table
        self.process = GaussianProcess(table.groups)
        self._curve = CURVES[0]
        self._fitted = 0
        self._levels = 1

    def fit(self, rows: Array, level: object, losses: Array, levels: list[float], told: int) -> None:
        """Learn from observations.

        Parameters
        ----------
        rows, level, losses
            Points, the number of each one's level, and losses; NaN for failures.
        levels
            The levels' steps.
        told
            How many observations there have been in all; the same number again means that nothing is new.
        """
        self._set_levels(levels)
        points, basis = self._inputs(rows, level)
        news, n = told - self._fitted, len(rows)
        drawn_in = winsorised(losses)
        settled = self._fitted > 0 and (news == 0 or (n > _FEW and 0 < news < n // _SHARE))
        if not settled:
            self._choose_curve(points, drawn_in, basis)
        self.targets = curve(drawn_in, *self._curve)[0]
        if settled:
            self.process.condition(points, self.targets, basis)
        else:
            few = n <= _FEW
            self.process.fit(points, self.targets, 25 if few else 10, basis, afresh=few and told % 10 == 0)
            self._fitted = told
        self._points, self._basis = points, basis

    def _set_levels(self, levels: list[float]) -> None:
        import numpy as np

        if (len(levels) > 1) != (self._levels > 1):
            before = self.process.theta
            self.process = self._process_for(len(levels))
            shared = int(self.table.groups.max()) + 1
            self.process.theta[:shared], self.process.theta[-1] = before[:shared], before[-1]
            self._fitted = 0
        self._levels = len(levels)
        finite = [step for step in levels if step < math.inf] or [1.0]
        ends = [min(step, 3.0 * finite[-1]) for step in levels]
        spread = math.log(max(ends[-1] / max(ends[0], 1e-9), 1.0 + 1e-9))
        self._depth = np.array([math.log(max(step / ends[-1], 1e-9)) / max(spread, 1e-9) for step in ends])

    def _process_for(self, levels: int) -> GaussianProcess:
        import numpy as np

        groups = self.table.groups
        if levels == 1:
            return GaussianProcess(groups)
        return GaussianProcess(np.append(groups, groups.max() + 1), has_trend=True)

    # --- to go on from ------------------------------------------------------------------------------------------------

    def state(self) -> JsonObject:
        """What the next fit starts from, as JSON."""
        theta = self.process.theta.tolist()
        return {"theta": theta, "curve": self._curve, "fitted": self._fitted, "levels": self._levels}

    def set_state(self, state: JsonObject) -> None:
        """Start the next fit from there.

        Raises
        ------
        ValueError, TypeError, LookupError
            If it is no such state; nothing has changed then.
        """
        import numpy as np

        theta, (power, bend) = np.array(state["theta"], dtype=float), state["curve"]
        fitted, levels = int(state["fitted"]), int(state["levels"])
        process = self._process_for(levels)
        if theta.shape != process.theta.shape or (power, bend) not in CURVES:
            raise ValueError("these are not the length-scales, or not the curve, of a model of this space")
        process.theta = theta
        self.process, self._curve, self._fitted, self._levels = process, (power, bend), fitted, levels

    def _inputs(self, rows: Array, level: Any) -> tuple[Array, Array]:
        import numpy as np

        features = self.table.features(rows)
        if self._levels > 1:
            features = np.column_stack([features, self._depth[level]])
        return features, np.eye(self._levels)[level]

    def _choose_curve(self, points: Array, losses: Array, basis: Array) -> None:
        """The transformation of the losses under which the model explains them best."""
        import numpy as np

        candidates = [curve(losses, *one) for one in CURVES]
        if self._fitted == 0:
            self.process.fit(points, candidates[0][0], 25, basis)
        self.process.condition(points, candidates[0][0], basis)
        evidence = self.process.likelihoods(np.stack([targets for targets, _ in candidates], axis=1), basis)
        self._curve = CURVES[int(np.argmax(evidence + np.array([jacobian for _, jacobian in candidates])))]

    # --- at the highest level -----------------------------------------------------------------------------------------

    def extend(self, features: Array) -> Array:
        """Features of points as the process takes them, at the highest level."""
        import numpy as np

        return np.column_stack([features, np.zeros(len(features))]) if self._levels > 1 else features

    def predict_with_gradients(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """As the process does, for what :meth:`extend` gave."""
        return self.process.predict_with_gradients(points, _repeated(self.basis, len(points)))

    @property
    def basis(self) -> Array:
        """The row of the basis that stands for the highest level."""
        import numpy as np

        row: Array = np.eye(self._levels)[-1]
        return row

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the transformed loss of points, at the highest level."""
        return self.process.predict(self.extend(self.table.features(rows)), _repeated(self.basis, len(rows)))

    def expect(self, rows: Array) -> None:
        """Treat unfinished points as if they had come to the loss that the model expects."""
        import numpy as np

        points = self.extend(self.table.features(rows))
        means, _ = self.predict(rows)
        basis = _repeated(self.basis, len(rows))
        self.process.condition(
            np.vstack([self._points, points]),
            np.concatenate([self.targets, means]),
            np.vstack([self._basis, basis]),
        )


def _repeated(row: Array, times: int) -> Array:
    import numpy as np

    return np.repeat(row[None], times, axis=0)
