"""``search_alg="auto"``: our own default, a Gaussian process that is at home in small, mixed and tabular spaces."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tune_core.core import validation
from tune_core.search.encoding.columns import Code, ObservationTable
from tune_core.search.encoding.params import Values
from tune_core.search.library_searcher import ModelSearcher
from tune_core.search.surrogate import Surrogate, normal_scores
from tune_core.space.sampling import has_grid, varies

_BEST, _LATEST = 80, 120
"""The results that the model is fitted to, once there are more: its cost stays that of these."""


class AutoSearch(ModelSearcher):
    """Searches with a Gaussian process over ranks, for spaces of any kind, conditional ones too. Needs NumPy alone.

    The first points are spread over the space (a Latin hypercube). From then on each suggestion is the point of
    highest expected improvement, found by local search from the best points and from random ones. Suggestions that
    are unfinished count as having the value that the model expects, so that many workers do not crowd one place; while
    there are more of them than results, points are random. No point is suggested twice; a finite space that has been
    tried in full ends the search.

    Parameters
    ----------
    space, metric, mode, points_to_evaluate, evaluated_rewards, seed
        See :class:`~tune_core.search.library_searcher.ModelSearcher`.
    n_initial_points
        How many points come before the model's; None: six, and fewer for short runs.

    References
    ----------
    Snoek, Larochelle and Adams, 2012, "Practical Bayesian Optimization of Machine Learning Algorithms". Hutter, Hoos
    and Leyton-Brown, 2011, "Sequential Model-Based Optimization for General Algorithm Configuration" (section 4.3: the
    local search). Those of :mod:`tune_core.search.surrogate`.

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
        self._columns = ObservationTable(self.encoding)
        self._rng = numpy.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, 0x7AE])
        self._surrogate = Surrogate(self._columns.is_category)
        self._codes: list[Code] = []
        self._losses: list[float] = []  # of a failed trial: NaN
        self._taken: set[Code] = set()
        planned = self._spec.get("num_samples") or 100
        first = self._n_initial or (min(6, max(4, planned // 4)) if planned > 0 else 6)
        self._design = self._spread(first)

    def _spread(self, count: int) -> list[Code]:
        """A Latin hypercube: in each parameter, the points lie in different parts."""
        strata = self._np.stack([self._rng.permutation(count) for _ in range(len(self._columns))], axis=1)
        units = (strata + self._rng.random(strata.shape)) / count
        return [self._columns.from_units(row) for row in units]

    # --- telling ------------------------------------------------------------------------------------------------------

    def _tell(self, trial_id: str, values: Values, loss: Any) -> None:
        self._tell_before(values, loss)

    def _fail(self, trial_id: str, values: Values) -> None:
        self._tell_before(values, float("nan"))

    def _tell_before(self, values: Values, loss: Any) -> None:
        code = self._columns.code(values)
        self._taken.add(code)
        self._codes.append(code)
        self._losses.append(loss)

    def _fail_before(self, values: Values) -> None:
        self._tell_before(values, float("nan"))

    # --- asking -------------------------------------------------------------------------------------------------------

    def _ask(self, trial_id: str) -> Values | str | None:
        code = self._next()
        if code is None:
            return self.FINISHED
        self._taken.add(code)
        return self._columns.values(code)

    def _next(self) -> Code | None:
        size = self._columns.size
        if size is not None and len(self._taken) >= size:
            return None
        while self._design and len(self._taken) < 10_000:
            code = self._design.pop(0)
            if code not in self._taken:
                return code
        unfinished = len(self._live) + len(self._foreign)
        if sum(loss == loss for loss in self._losses) < max(3, unfinished):
            return self._random()
        return self._improve() or self._random()

    def _random(self) -> Code | None:
        for _ in range(1000):
            code = self._columns.from_units(self._rng.random(len(self._columns)))
            if code not in self._taken:
                return code
        return self._any_left()

    def _any_left(self) -> Code | None:
        """A point not tried yet of a finite space that is nearly used up; None if that cannot be known."""
        from itertools import product

        if self._columns.size is None:
            return self._columns.from_units(self._rng.random(len(self._columns)))
        everything: Iterable[Code] = product(*(range(column.size or 1) for column in self._columns.columns))
        return next((code for code in everything if code not in self._taken), None)

    def _improve(self) -> Code | None:
        """The point of highest expected improvement that is not taken."""
        np, columns = self._np, self._columns
        codes, losses = self._selected()
        points, targets = columns.features(codes), self._targets(losses)
        self._surrogate.fit(points, targets, steps=15)
        pending = [columns.code(values) for values in [*self._live.values(), *self._foreign.values()]]
        if pending:
            waiting = columns.features(pending)
            expected, _ = self._surrogate.predict(waiting)
            self._surrogate.condition(np.vstack([points, waiting]), np.concatenate([targets, expected]))
        best_codes = [codes[i] for i in np.argsort(targets, kind="stable")[:5]]
        return _Climb(self, float(targets.min())).best(best_codes)

    def _selected(self) -> tuple[list[Code], list[float]]:
        """The results to fit the model to: all, or the best and the latest."""
        if len(self._codes) <= _BEST + _LATEST:
            return self._codes, self._losses
        order = sorted(range(len(self._codes)), key=lambda i: (self._losses[i] != self._losses[i], self._losses[i]))
        kept = sorted({*order[:_BEST], *range(len(self._codes) - _LATEST, len(self._codes))})
        return [self._codes[i] for i in kept], [self._losses[i] for i in kept]

    def _targets(self, losses: list[float]) -> Any:
        """Losses by rank as normal quantiles; a failure is as bad as the worst."""
        array = self._np.array(losses)
        array[self._np.isnan(array)] = self._np.nanmax(array)
        return normal_scores(array)

    def describe(self) -> str:
        """The algorithm, and what it was chosen for."""
        if self.encoding is None:
            return "AutoSearch"
        params = self.encoding.params
        conditional = (
            f", {sum(bool(p.condition) for p in params)} of them conditional" if self.encoding.is_conditional else ""
        )
        size = f", {self._columns.size:,} points" if self._columns.size is not None else ""
        return f"AutoSearch(Gaussian process over {len(params)} parameters{conditional}{size})"


class _Climb:
    """One search for the point of highest expected improvement."""

    def __init__(self, search: AutoSearch, best: float) -> None:
        self.search, self.target = search, best
        self.scores: dict[Code, float] = {}
        self.seen = set(search._taken)

    def best(self, starts: list[Code]) -> Code | None:
        columns, rng = self.search._columns, self.search._rng
        drawn = [columns.from_units(row) for row in rng.random((500, len(columns)))]
        drawn += [columns.mutated(code, rng) for code in starts for _ in range(20)]
        self._score(drawn)
        if not self.scores:
            return None
        for code in [*sorted(self.scores, key=self.scores.__getitem__)[-3:], *starts[:2]]:
            self._walk(code)
        return max(self.scores, key=self.scores.__getitem__)

    def _walk(self, code: Code) -> None:
        """Go to the best neighbour as long as it is better; continuous parameters take ever smaller steps."""
        width, current = 0.2, self.scores.get(code, -float("inf"))
        for _ in range(10):
            near = self.search._columns.neighbours(code, self.search._rng, width)
            self._score(near)
            found = max((c for c in near if c in self.scores), key=self.scores.__getitem__, default=None)
            if found is not None and self.scores[found] > current:
                code, current = found, self.scores[found]
            elif width < 0.01 or self.search._columns.size is not None:
                return
            else:
                width /= 3.0

    def _score(self, codes: Iterable[Code]) -> None:
        fresh = [code for code in dict.fromkeys(codes) if code not in self.seen]
        self.seen.update(fresh)
        if fresh:
            points = self.search._columns.features(fresh)
            values = self.search._surrogate.improvement(points, self.target)
            self.scores.update(zip(fresh, values.tolist(), strict=True))


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
