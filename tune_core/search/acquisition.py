"""Where a model expects the largest gain: log expected improvement, and the search for its highest point.

References
----------
Jones, Schonlau and Welch, 1998, "Efficient Global Optimization of Expensive Black-Box Functions" (eq. 15). Ament et
al., 2023, "Unexpected Improvements to Expected Improvement for Bayesian Optimization" (section 4.1: its logarithm).
Hutter, Hoos and Leyton-Brown, 2011, "Sequential Model-Based Optimization for General Algorithm Configuration"
(section 4.3: local search over categories).
Barzilai and Borwein, 1988, "Two-Point Step Size Gradient Methods".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tune_core.core.values import Array
from tune_core.models.normal import normal_cdf
from tune_core.search.compromises import ConstraintModel
from tune_core.search.encoding.columns import ObservationTable
from tune_core.search.loss_model import LossModel

if TYPE_CHECKING:
    from numpy.random import Generator


_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)
_FAR = -6.0  # below, h(z) is computed by its asymptotic series
_WALKERS = 6
_ROUNDS = 3
_CLIMB_STEPS = 14
_EVERYTHING = 2000
_MANY_MOVES, _KEPT_MOVES = 40, 20


def log_improvement(mean: Array, sd: Array, best: float) -> tuple[Array, Array, Array]:
    """Log of the expected improvement on ``best``, and its derivatives by mean and standard deviation.

    The improvement is sd · h(z) with z = (best - mean) / sd and h(z) = φ(z) + z Φ(z).
    """
    import numpy as np

    z = (best - mean) / sd
    log_density = -0.5 * z * z - _LOG_ROOT_2PI
    below = normal_cdf(z)
    near = np.maximum(np.exp(log_density) + z * below, 1e-300)
    far = np.minimum(z, _FAR)
    square = far * far
    series = log_density - np.log(square) + np.log1p(-3.0 / square + 15.0 / square**2)
    log_h = np.where(z > _FAR, np.log(near), series)
    by_sd = np.exp(log_density - log_h)  # φ / h
    by_mean = np.where(z > _FAR, below / near, -far)  # Φ / h; tends to |z|
    return np.log(sd) + log_h, -by_mean / sd, by_sd / sd


class Acquisition:
    """The score of rows: log expected improvement, and minus infinity where a point has been suggested already.

    Parameters
    ----------
    table
        The space.
    model
        The model of the losses.
    best
        What to improve on.
    taken
        Keys of the rows that were suggested.
    chances
        Models of the constraints; the improvement is multiplied by the probability that all are met.
    """

    def __init__(
        self,
        table: ObservationTable,
        model: LossModel,
        best: float,
        taken: set[bytes],
        chances: Sequence[ConstraintModel] = (),
    ) -> None:
        self.table, self.model, self.best, self.taken, self.chances = table, model, best, taken, chances

    def reason(self, row: Array) -> str:
        """Why a row is suggested: the model expects it to be better, or knows little about it."""
        mean, sd = (found[0] for found in self.model.predict_at_levels(row[None]))
        gains = log_improvement(mean, sd, self.best)[0]
        at = int(gains.argmax())
        z, gain = float((self.best - mean[at]) / sd[at]), math.exp(min(float(gains[at]), 50.0))
        why = (
            "is expected to be better than the best" if z > 0 else "may be better than the best: little is known there"
        )
        if -1.0 < z <= 0:
            why = "is expected to come close to the best"
        words = f"{why}; expected improvement {gain:.2g} standard deviations"
        if self.chances:
            features = self.table.features(row[None])
            chance = math.exp(sum(float(one.log_chance(features)[0]) for one in self.chances))
            words += f", chance to meet the constraints {100 * chance:.0f} %"
        return words

    def score(self, rows: Array) -> Array:
        """Scores of rows."""
        import numpy as np

        if not len(rows):
            return np.empty(0)
        scores: Array = self._at_levels(rows).max(1)
        if self.chances:
            features = self.table.features(rows)
            scores = scores + sum(one.log_chance(features) for one in self.chances)
        scores[[key in self.taken for key in self.table.keys(rows)]] = -math.inf
        return scores

    def _at_levels(self, rows: Array) -> Array:
        """Log of the expected improvement of rows at each level that counts."""
        mean, sd = self.model.predict_at_levels(rows)
        gains: Array = log_improvement(mean.ravel(), sd.ravel(), self.best)[0].reshape(mean.shape)
        return gains

    def with_gradient(self, features: Array, level: object) -> tuple[Array, Array]:
        """Scores at the levels given, and their derivatives by each feature."""
        mean, sd, mean_gradient, sd_gradient = self.model.predict_with_gradients(features, level)
        score, by_mean, by_sd = log_improvement(mean, sd, self.best)
        slope = by_mean[:, None] * mean_gradient + by_sd[:, None] * sd_gradient
        for one in self.chances:
            value, by_point = one.log_chance_with_gradient(features)
            score, slope = score + value, slope + by_point
        return score, slope

    # --- its highest point --------------------------------------------------------------------------------------------

    def highest(self, leaders: Array, rng: Generator, candidates: int = 400) -> Array | None:
        """The row of the highest score found that is not taken; None if there is none.

        Parameters
        ----------
        leaders
            Rows of the best results, around which to look more closely.
        rng
            NumPy's generator.
        candidates
            How many random rows to begin with.
        """
        import numpy as np

        rows = self.table.everything(_EVERYTHING)
        if rows is not None:
            scores = self.score(rows)
            at = int(np.argmax(scores))
            return rows[at] if scores[at] > -math.inf else None
        near = self.table.mutated(np.repeat(leaders, max(1, candidates // (2 * len(leaders))), axis=0), rng)
        rows = np.vstack([self.table.from_units(rng.random((candidates, len(self.table)))), near])
        scores = self.score(rows)
        order = np.argsort(-scores, kind="stable")
        front, beside = order[order < candidates], order[order >= candidates]
        chosen = np.concatenate([front[: _WALKERS // 2], beside[: _WALKERS - _WALKERS // 2]])
        found, heights = self._walk(rows[chosen], scores[chosen])
        at = int(np.argmax(heights))
        best: Array | None = rows[order[0]] if scores[order[0]] > -math.inf else None
        if heights[at] > -math.inf:
            best = found[at]
        return best

    def _walk(self, rows: Array, scores: Array) -> tuple[Array, Array]:
        """Take each row uphill, by its continuous parameters and by its other ones in turns."""
        import numpy as np

        best_rows, best = rows.copy(), scores.copy()
        for _ in range(_ROUNDS):
            before = best.copy()
            if self.table.continuous:
                self._keep(self._climb(best_rows), best_rows, best)
            if self.table.discrete:
                self._hop(best_rows, best)
            if not self.table.discrete or not np.any(best > before + 1e-3):
                break
        return best_rows, best

    def _keep(self, moved: Array, rows: Array, scores: Array) -> None:
        found = self.score(moved)
        better = found > scores
        rows[better], scores[better] = moved[better], found[better]

    def _hop(self, rows: Array, scores: Array) -> None:
        """Each row to its best neighbour, until none is better; of very many moves, those that looked best at first."""
        import numpy as np

        open_ = list(range(len(rows)))
        moves = [self.table.moves(row) for row in rows]
        many = [len(some) > _MANY_MOVES for some in moves]
        for _ in range(8):
            near = [self.table.moved(rows[i], moves[i]) for i in open_]
            found = np.split(self.score(np.vstack(near)), np.cumsum([len(n) for n in near])[:-1])
            still = []
            for i, there, heights in zip(open_, near, found, strict=True):
                if len(heights) and heights.max() > scores[i]:
                    at = int(np.argmax(heights))
                    rows[i], scores[i] = there[at], heights[at]
                    if len(heights) > _MANY_MOVES:
                        moves[i] = moves[i][np.argsort(-heights, kind="stable")[:_KEPT_MOVES]]
                    elif not many[i]:
                        moves[i] = self.table.moves(rows[i])
                    still.append(i)
            open_ = still
            if not open_:
                return

    def _climb(self, rows: Array) -> Array:
        """Rows whose continuous parameters follow the gradient, all at once, by steps after Barzilai and Borwein."""
        import numpy as np

        at, places = self.table.continuous_features, self.table.continuous
        level = np.array(self.model.counted)[self._at_levels(rows).argmax(1)]
        features = self.model.extend(self.table.features(rows), level)
        unit = np.minimum(1.0 / np.sqrt(self.model.process.weights[at]), 1.0)  # length-scales: the natural step
        x = features[:, at] / unit
        limit = 1.0 / unit
        score, gradient = self.with_gradient(features, level)
        g = gradient[:, at] * unit
        length = 0.2 / (np.sqrt((g * g).sum(1, keepdims=True)) + 1e-12)
        for _ in range(_CLIMB_STEPS):
            there = np.clip(x + length * g, 0.0, limit)
            features[:, at] = there * unit
            found, gradient = self.with_gradient(features, level)
            h = gradient[:, at] * unit
            moved, turned = there - x, h - g
            better = (found > score)[:, None]
            ratio = (moved * moved).sum(1, keepdims=True) / (np.abs((moved * turned).sum(1, keepdims=True)) + 1e-12)
            longest = 1.0 / (np.sqrt((h * h).sum(1, keepdims=True)) + 1e-12)
            length = np.where(better, np.minimum(ratio, longest), 0.3 * length)
            x, g = np.where(better, there, x), np.where(better, h, g)
            score = np.where(better[:, 0], found, score)
        out = rows.copy()
        out[:, places] = x * unit
        for row, changed in zip(rows, out, strict=True):  # what is inactive stays where it is
            hidden = sorted(set(places) - set(self.table.active(row)))
            changed[hidden] = row[hidden]
        return self.table.settle(out)
