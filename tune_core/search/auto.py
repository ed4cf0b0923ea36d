"""``search_alg="auto"``: our own default, a Gaussian process that is at home in small, mixed and tabular spaces."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.core import validation
from tune_core.models.gaussian_process import GaussianProcess
from tune_core.models.target_transform import CURVES, curve, winsorised
from tune_core.search.acquisition import Acquisition
from tune_core.search.encoding.columns import ObservationTable
from tune_core.search.encoding.params import Values
from tune_core.search.library_searcher import ModelSearcher
from tune_core.space.sampling import has_grid, varies

_BEST, _LATEST = 80, 120
"""The results that the model is fitted to, once there are more: its cost stays that of these."""
_MARGINS = (0.0, 0.0, 0.0, 0.1)
"""By how much, in standard deviations of the losses, suggestions in turn must be expected to improve on the best. With
a margin the search looks away from the best place, of which small improvements keep being expected (Jones, 2001, "A
Taxonomy of Global Optimization Methods Based on Response Surfaces", section 9: several targets)."""


class AutoSearch(ModelSearcher):
    """Searches with a Gaussian process, for spaces of any kind, conditional ones too. Needs NumPy alone.

    The first points are spread over the space (a Latin hypercube). From then on each suggestion is the point of
    highest expected improvement; one in four must improve by a margin, which looks further away. Losses are bent by
    the power transformation under which the model explains them best. Suggestions that are unfinished count as having
    the value that the model expects, so that many workers do not crowd one place; while there are many more of them
    than results, points are random. No point is suggested twice; a finite space that has been tried in full ends the
    search.

    Parameters
    ----------
    space, metric, mode, points_to_evaluate, evaluated_rewards, seed
        See :class:`~tune_core.search.library_searcher.ModelSearcher`.
    n_initial_points
        How many points come before the model's; None: 5 to 10 by the number of parameters, and fewer for short runs.

    References
    ----------
    Ginsbourger, Le Riche and Carraro, 2010, "Kriging Is Well-Suited to Parallelize Optimization" (unfinished points).
    Those of :mod:`tune_core.models.gaussian_process`, :mod:`tune_core.models.target_transform` and
    :mod:`tune_core.search.acquisition`.

    Examples
    --------
    >>> from tune_core import space
    >>> search = AutoSearch({"lr": space.loguniform(1e-4, 1), "layers": space.choice([1, 2, 4])}, "loss", "min", seed=1)
    >>> sorted(search.suggest("00000"))
    ['layers', 'lr']
    """

    library = "numpy"
    extra = "auto"
    native_conditions = True

    def __init__(
        self,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        evaluated_rewards: Sequence[Any] | None = None,
        seed: int | None = None,
        n_initial_points: int | None = None,
    ) -> None:
        self._n_initial = None
        if n_initial_points is not None:
            self._n_initial = validation.integer("AutoSearch(n_initial_points)", n_initial_points)
        super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards, seed)

    @property
    def _np(self) -> Any:
        import numpy

        return numpy

    # --- setting up ---------------------------------------------------------------------------------------------------

    def _setup(self) -> None:
        import numpy

        assert self.encoding is not None
        self._table = ObservationTable(self.encoding)
        self._rng = numpy.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, 0x7AE])
        self._model = GaussianProcess(self._table.groups)
        self._rows: list[Any] = []
        self._losses: list[float] = []  # of a failed trial: NaN
        self._taken: set[bytes] = set()
        self._fitted = 0  # how many results the model has been fitted to
        self._curve = CURVES[0]
        planned = self._spec.get("num_samples") or 100
        first = self._n_initial or min(10, max(5, len(self._table) // 2 + 3))
        self._design = list(self._spread(min(first, max(4, planned // 4)) if planned > 0 else first))

    def _spread(self, count: int) -> Any:
        """A Latin hypercube: in each parameter, the points lie in different parts."""
        strata = self._np.stack([self._rng.permutation(count) for _ in range(len(self._table))], axis=1)
        return self._table.from_units((strata + self._rng.random(strata.shape)) / count)

    # --- telling ------------------------------------------------------------------------------------------------------

    def _tell(self, trial_id: str, values: Values, loss: Any) -> None:
        self._tell_before(values, loss)

    def _fail(self, trial_id: str, values: Values) -> None:
        self._tell_before(values, float("nan"))

    def _tell_before(self, values: Values, loss: Any) -> None:
        row = self._table.row(values)
        self._taken.add(self._table.key(row))
        self._rows.append(row)
        self._losses.append(loss)

    def _fail_before(self, values: Values) -> None:
        self._tell_before(values, float("nan"))

    # --- asking -------------------------------------------------------------------------------------------------------

    def _ask(self, trial_id: str) -> Values | str | None:
        row = self._next()
        if row is None:
            return self.FINISHED
        self._taken.add(self._table.key(row))
        return self._table.values(row)

    def _next(self) -> Any:
        size = self._table.size
        if size is not None and len(self._taken) >= size:
            return None
        while self._design and len(self._taken) < 10_000:
            row = self._design.pop(0)
            if self._table.key(row) not in self._taken:
                return row
        unfinished = len(self._live) + len(self._foreign)
        if sum(loss == loss for loss in self._losses) < max(3, unfinished // 2):
            return self._random()
        row = self._improve()
        return self._random() if row is None else row

    def _random(self) -> Any:
        for _ in range(1000):
            row = self._table.from_units(self._rng.random((1, len(self._table))))[0]
            if self._table.key(row) not in self._taken:
                return row
        return self._any_left()

    def _any_left(self) -> Any:
        """A point not tried yet of a finite space that is nearly used up; None if that cannot be known."""
        from itertools import product

        if self._table.size is None:
            return self._table.from_units(self._rng.random((1, len(self._table))))[0]
        for places in product(*(range(column.size or 1) for column in self._table.columns)):
            row = self._np.array(places, dtype=float)
            if self._table.key(row) not in self._taken:
                return row
        return None

    def _improve(self) -> Any:
        """The point of highest expected improvement that is not taken."""
        np, table = self._np, self._table
        rows, losses = self._selected()
        points, targets = table.features(rows), self._fit(rows, losses)
        means, _ = self._model.predict(points)
        best = float(means.min())
        leaders = rows[np.argsort(means, kind="stable")[:5]]
        pending = [table.row(values) for values in [*self._live.values(), *self._foreign.values()]]
        if pending:
            waiting = table.features(np.array(pending))
            expected, _ = self._model.predict(waiting)
            self._model.condition(np.vstack([points, waiting]), np.concatenate([targets, expected]))
        wanted = best - _MARGINS[self._asked % len(_MARGINS)]
        return Acquisition(table, self._model, wanted, self._taken).highest(leaders, self._rng)

    def _fit(self, rows: Any, losses: Any) -> Any:
        """Fit the model; the targets that it was fitted to."""
        np = self._np
        points, drawn_in = self._table.features(rows), winsorised(losses)
        basis = np.ones((len(rows), 1))
        news = len(self._losses) - self._fitted
        if self._fitted and (news == 0 or (len(rows) > 120 and news < len(rows) // 20)):
            targets = curve(drawn_in, *self._curve)[0]
            self._model.condition(points, targets)
            return targets
        candidates = [curve(drawn_in, *one) for one in CURVES]
        if self._fitted == 0:
            self._model.fit(points, candidates[0][0], 30)
        self._model.condition(points, candidates[0][0])
        evidence = self._model.likelihoods(np.stack([c[0] for c in candidates], axis=1), basis)
        evidence += np.array([c[1] for c in candidates])
        chosen = int(np.argmax(evidence))
        self._curve = CURVES[chosen]
        targets = candidates[chosen][0]
        few = len(rows) < 60
        self._model.fit(points, targets, 25 if few else 10, afresh=few and len(self._losses) % 10 == 0)
        self._fitted = len(self._losses)
        return targets

    def _selected(self) -> tuple[Any, Any]:
        """The results to fit the model to: all, or the best and the latest."""
        np = self._np
        rows, losses = np.array(self._rows), np.array(self._losses, dtype=float)
        if len(losses) <= _BEST + _LATEST:
            return rows, losses
        order = np.argsort(losses, kind="stable")  # NaN comes last
        kept = np.unique(np.concatenate([order[:_BEST], np.arange(len(losses) - _LATEST, len(losses))]))
        return rows[kept], losses[kept]

    def describe(self) -> str:
        """The algorithm, and what it was chosen for."""
        if self.encoding is None:
            return "AutoSearch"
        params = self.encoding.params
        conditional = (
            f", {sum(bool(p.condition) for p in params)} of them conditional" if self.encoding.is_conditional else ""
        )
        size = f", {self._table.size:,} points" if self._table.size is not None else ""
        return f"AutoSearch(Gaussian process over {len(params)} parameters{conditional}{size})"


def choose(space: Mapping[str, Any], num_samples: int) -> Any:
    """The searcher for ``search_alg="auto"``; says in the log which one and why."""
    from tune_core.search.basic_variant import BasicVariantGenerator

    made: Any
    if has_grid(space):
        made, why = BasicVariantGenerator(), "the space holds a grid, which is tried in full"
    elif not varies(dict(space)):
        made, why = BasicVariantGenerator(), "the space holds nothing to search"
    elif 0 < num_samples < _FEW:
        made, why = BasicVariantGenerator(), f"a model learns nothing from {num_samples} trials"
    else:
        made, why = AutoSearch(), "a Gaussian process learns most from few trials, one worker or many"
    logging.getLogger("tune_core").info("search_alg='auto' is %s: %s", type(made).__name__, why)
    return made


_FEW = 6
