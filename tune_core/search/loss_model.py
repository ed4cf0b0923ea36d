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
        self._is_comparable = True
        self.counted = [0]
        """The numbers of the levels at which a loss is expected of a point; see :meth:`lead`."""

    def fit(
        self, rows: Array, level: object, losses: Array, levels: list[float], told: int, is_comparable: bool = True
    ) -> None:
        """Learn from observations.

        Parameters
        ----------
        rows, level, losses
            Points, the number of each one's level, and losses; NaN for failures.
        levels
            The levels' steps.
        told
            How many observations there have been in all; the same number again means that nothing is new.
        is_comparable
            Whether a lower loss is better whatever the levels.
        """
        self._set_levels(levels)
        self._is_comparable = is_comparable
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

    # --- predicting ---------------------------------------------------------------------------------------------------

    def lead(self, rows: Array, count: int) -> tuple[Array, float]:
        """The best ``count`` of rows, and the loss expected of the best, at whichever level each is best.

        A training that overfits is best before its end, and its best checkpoint is what it is run for. From here on the
        levels at which one of these is best count, and the highest. Where losses rise from the first rung on, they are
        not comparable between levels, and the highest alone counts.
        """
        import numpy as np

        self.counted = list(range(self._levels)) if self._is_comparable else [self._levels - 1]
        means = self.predict_at_levels(rows)[0]
        best = means.min(1)
        first = np.argsort(best, kind="stable")[:count]
        at = {self.counted[place] for place in means[first].argmin(1)}
        self.counted = sorted({*at, self._levels - 1})
        return rows[first], float(best.min())

    def extend(self, features: Array, level: Any = None) -> Array:
        """Features of points as the process takes them, at levels; None: the highest."""
        import numpy as np

        if self._levels == 1:
            return features
        depth = np.zeros(len(features)) if level is None else self._depth[level]
        return np.column_stack([features, depth])

    def predict_with_gradients(self, points: Array, level: Any) -> tuple[Array, Array, Array, Array]:
        """As the process does, for what :meth:`extend` gave."""
        import numpy as np

        return self.process.predict_with_gradients(points, np.eye(self._levels)[level])

    def predict_at_levels(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the transformed loss, of shape (rows, levels that count)."""
        import numpy as np

        features, counted = self.table.features(rows), self.counted
        level = np.repeat(counted, len(rows))
        points = self.extend(np.tile(features, (len(counted), 1)), level)
        mean, sd = self.process.predict(points, np.eye(self._levels)[level])
        return mean.reshape(len(counted), -1).T, sd.reshape(len(counted), -1).T

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the transformed loss of points, at the highest level."""
        return self.process.predict(self.extend(self.table.features(rows)), self._highest(len(rows)))

    def _highest(self, count: int) -> Array:
        import numpy as np

        row: Array = np.eye(self._levels)[[-1] * count]
        return row

    def expect(self, rows: Array) -> None:
        """Treat unfinished points as if they had come to the loss that the model expects."""
        import numpy as np

        points = self.extend(self.table.features(rows))
        means, _ = self.predict(rows)
        self.process.condition(
            np.vstack([self._points, points]),
            np.concatenate([self.targets, means]),
            np.vstack([self._basis, self._highest(len(rows))]),
        )
