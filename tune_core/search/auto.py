"""``search_alg="auto"``: our own default, a Gaussian process that is at home in small, mixed and tabular spaces."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.core import validation
from tune_core.core.objective import Objective
from tune_core.core.random_state import portable_state, set_portable_state
from tune_core.core.values import Array, JsonObject, Metrics
from tune_core.errors import InvalidArgumentError
from tune_core.search.acquisition import Acquisition
from tune_core.search.compromises import ConstraintModel, drawn_in, weighted
from tune_core.search.encoding.columns import ObservationTable
from tune_core.search.encoding.params import Values
from tune_core.search.learning_curves import LearningCurves
from tune_core.search.library_searcher import ModelSearcher
from tune_core.search.loss_model import LossModel
from tune_core.space.sampling import has_grid, varies

_MOST = 200
"""The model is fitted to at most so many observations, which bounds its cost."""
_MARGINS = (0.02, 0.02, 0.02, 0.1)
"""Margins, in standard deviations of the losses, by which successive suggestions are to improve on the best. Near the
best point the model keeps expecting small improvements; a margin makes the search look elsewhere (Jones, 2001, "A
Taxonomy of Global Optimization Methods Based on Response Surfaces", section 9: several targets)."""

_ONE_IN = 4
"""One of so many suggestions is a random point where trials wait on rungs, as under ASHA's promotion rule. A wrong
belief that the model has from few points, say of a choice each value of which was seen once, would else seldom be put
to the test; and a point that waits on the first rung has cost little (Falkner, Klein and Hutter, 2018, "BOHB", section
3.2, take one in three)."""


class AutoSearch(ModelSearcher):
    """Searches with a Gaussian process, for spaces of any kind, conditional ones too. Needs NumPy alone.

    The first points are spread over the space (a Latin hypercube). From then on each suggestion is the point of highest
    expected improvement; one in four must improve by a margin, which looks further away. Losses are bent by the power
    transformation under which the model explains them best. Suggestions that are unfinished count as having the value
    that the model expects, so that many workers do not crowd one place; while there are many more of them than results,
    points are random. Where a scheduler stops trials early it learns from all rungs, and looks for the point that is
    best at the rung at which points are best; where trials wait on rungs, one point in four is random. No point is
    suggested twice, except that points which were stopped early come again when a finite space has no others left; the
    search ends when all have been tried in full. Where a space holds choices alone and the model's suggestions are
    hardly better than random points, every second one is random.

    Parameters
    ----------
    space, metric, mode, seed
        Where to search, what to optimise, and the seed of its random draws; None takes what the run has.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    n_initial_points
        How many points come before the model's; None: 5 to 10 by the number of parameters, and fewer for short runs
        and for each point whose value is known from before.

    References
    ----------
    Ginsbourger, Le Riche and Carraro, 2010, "Kriging Is Well-Suited to Parallelize Optimization" (unfinished points).
    And those of :mod:`tune_core.models.gaussian_process`, :mod:`tune_core.models.target_transform` and
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
    results_wanted = "rungs"
    multi_objective = handles_constraints = bears_endless_ranges = True
    _ending = ""  # the trial whose end is being told

    def __init__(
        self,
        space: object = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        evaluated_rewards: Sequence[object] | None = None,
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
        self._model = LossModel(self._table)
        self._curves = LearningCurves()
        self._told = 0  # results of all kinds
        metrics = [self._metric] if isinstance(self._metric, str) else list(self._metric or ())
        modes = [self._mode] * len(metrics) if isinstance(self._mode, str) else list(self._mode or ())
        self._objectives = [Objective(metric, mode) for metric, mode in zip(metrics, modes, strict=True)]
        self._constraints = tuple(self._spec.get("constraints") or ())
        self._is_plain = len(self._objectives) == 1 and not self._constraints
        self._outcomes: list[tuple[Array, list[float]]] = []  # points, with their losses and excesses; unless plain
        self._chances = [ConstraintModel(self._table.groups) for _ in self._constraints]
        self._fits = 0  # of the model to weighted losses
        self._usable = 0  # trials that ended with usable losses; unless plain
        self._by_model: set[str] = set()  # trials not ended that the model suggested
        self._losses: dict[bool, list[float]] = {False: [], True: []}  # of random points, of the model's suggestions
        self._taken: set[bytes] = set()
        self._recalled: dict[str, tuple[Array, bytes]] = {}  # rows and keys of what was taken back and has not ended
        self._cut_short: set[bytes] = set()  # those of them that a scheduler stopped early
        planned = self._spec.get("num_samples") or 100
        first = self._n_initial or min(10, max(5, len(self._table) // 2 + 3))
        self._design: list[Array] = list(self._spread(min(first, max(4, planned // 4)) if planned > 0 else first))

    def _spread(self, count: int) -> Array:
        """A Latin hypercube: in each parameter, the points lie in different parts."""
        strata = self._np.stack([self._rng.permutation(count) for _ in range(len(self._table))], axis=1)
        return self._table.from_units((strata + self._rng.random(strata.shape)) / count)

    # --- telling ------------------------------------------------------------------------------------------------------

    def _rung(self, trial_id: str, values: Values, loss: Any, step: int) -> None:
        if self._is_plain:
            if not self._curves.has_begun(trial_id):
                self._curves.begin(trial_id, self._table.row(values))
            self._curves.note(trial_id, step, loss)
            self._told += 1

    def _end(self, trial_id: str, loss: Any, step: int | None, facts: Mapping[str, object] = {}) -> None:
        self._ending = trial_id
        super()._end(trial_id, loss, step, facts)
        self._ending = ""

    def _tell(self, trial_id: str, values: Values, loss: Any) -> None:
        if self._is_plain:
            self._losses[trial_id in self._by_model].append(loss)
        self._by_model.discard(trial_id)
        self._learn(values, loss)

    def _loss(self, result: Metrics) -> Any:
        """The loss; with several metrics or constraints the list of losses and of excesses over the bounds."""
        losses = [objective.loss(result) for objective in self._objectives]
        if not all(map(math.isfinite, losses)):
            return None
        if self._is_plain:
            return losses[0]
        excesses = [constraint.excess(result) for constraint in self._constraints]
        return [*losses, *excesses] if not any(map(math.isnan, excesses)) else None

    def _loss_of_value(self, value: object) -> object:
        values = value if isinstance(value, (list, tuple)) else [value]
        if len(values) != len(self._objectives) or self._constraints:
            raise InvalidArgumentError(
                "AutoSearch(evaluated_rewards)",
                f"holds {value!r}, for {len(self._objectives)} metrics and {len(self._constraints)} constraints",
                "a point that was evaluated elsewhere needs the value of each",
                "Give a list with one value for each metric; with constraints use warm_start(experiment).",
            )
        losses = [objective.as_loss(one) for objective, one in zip(self._objectives, values, strict=True)]
        if not all(map(math.isfinite, losses)):
            return None
        return losses[0] if self._is_plain else losses

    def _fail(self, trial_id: str, values: Values) -> None:
        self._by_model.discard(trial_id)
        if self._ending:  # else the run went another way than this suggestion, which was never evaluated
            self._learn(values, float("nan"))

    def _prune(self, trial_id: str, values: Values, loss: Any, step: int) -> None:
        self._by_model.discard(trial_id)
        self._learn(values, loss, step)

    def _tell_before(self, values: Values, loss: Any) -> None:
        self._learn(values, loss)
        if self._design and self._n_initial is None:
            self._design.pop()  # what is known from before is as good as an initial point

    def _fail_before(self, values: Values) -> None:
        self._learn(values, float("nan"))

    def _prune_before(self, values: Values, loss: Any, step: int) -> None:
        self._learn(values, loss, step)

    def _learn(self, values: Values, loss: Any, step: int | None = None) -> None:
        recalled = self._recalled.pop(self._ending, None)
        if recalled is None:
            row = self._table.row(values)
            recalled = row, self._table.key(row)
        row, key = recalled
        self._taken.add(key)
        if step is not None:
            self._cut_short.add(key)
        self._told += 1
        if self._is_plain:
            self._curves.end(self._ending, loss, step, row)
        else:
            failed = not isinstance(loss, list)
            self._outcomes.append(
                (row, [math.nan] * (len(self._objectives) + len(self._constraints)) if failed else loss)
            )
            self._usable += not failed

    # --- going on after a restore -------------------------------------------------------------------------------------

    def resume_state(self) -> JsonObject | None:
        """The generator's state, how many initial points are left, and where the models' fits were left."""
        if type(self) is not AutoSearch or self.encoding is None or not self.encoding.is_reversible:
            return None
        return {
            "searcher": "AutoSearch",
            "space": self.encoding.digest,
            "generator": portable_state(self._rng),
            "initial": len(self._design),
            "fits": self._fits,
            "model": self._model.state(),
            "chances": [model.process.theta.tolist() for model in self._chances],
        }

    def set_resume_state(self, state: JsonObject) -> None:
        """Go on from there."""
        np = self._np
        left, fits, thetas = int(state["initial"]), int(state["fits"]), [np.array(t) for t in state["chances"]]
        if len(thetas) != len(self._chances) or not left >= 0:
            raise ValueError(f"{len(thetas)} constraints and {left} initial points are not those of this search")
        if any(theta.shape != model.process.theta.shape for theta, model in zip(thetas, self._chances, strict=True)):
            raise ValueError("the length-scales are not those of this space")
        set_portable_state(copy.deepcopy(self._rng), state["generator"])  # raises before anything has changed
        self._model.set_state(state["model"])
        set_portable_state(self._rng, state["generator"])
        self._fits, self._design = fits, self._design[max(0, len(self._design) - left) :]
        for model, theta in zip(self._chances, thetas, strict=True):
            model.process.theta = theta

    # --- asking -------------------------------------------------------------------------------------------------------

    def _ask(self, trial_id: str) -> Values | str | None:
        row = self._next()
        if row is None:
            return self.FINISHED
        if not self.last_reason.startswith(("initial", "random")):
            self._by_model.add(trial_id)
        self._taken.add(self._table.key(row))
        return self._table.values(row)

    def _recall(self, trial_id: str, values: Values, reason: str) -> None:
        self._has_room()
        if not reason.startswith(("initial", "random")):
            self._by_model.add(trial_id)
        row = self._table.row(values)
        self._recalled[trial_id] = row, self._table.key(row)
        self._taken.add(self._recalled[trial_id][1])

    def _has_room(self) -> bool:
        """Whether points are left; if all have been tried, those that were stopped early are."""
        size = self._table.size
        if size is None or len(self._taken) < size:
            return True
        self._taken -= self._cut_short
        self._cut_short.clear()
        return len(self._taken) < size

    def _next(self) -> Array | None:
        if not self._has_room():
            return None
        while self._design and len(self._taken) < 10_000:
            row = self._design.pop(0)
            if self._table.key(row) not in self._taken:
                self.last_reason = "initial design: spread over the space"
                return row
        usable = self._curves.usable() if self._is_plain else self._usable
        if usable < max(3, len(self._pending()) // 2):
            self.last_reason = "random: too few results for a model"
            return self._random()
        if self._asked % _ONE_IN == _ONE_IN - 1 and self._is_plain and self._curves.wait():
            self.last_reason = "random: one in four, since it costs little where trials wait on rungs"
            return self._random()
        if self._asked % 2 and self._is_no_better_than_chance():
            self.last_reason = "random: the model's suggestions have hardly been better than random points"
            return self._random()
        best = self._improve()
        if best is None:
            self.last_reason = "random: the model found no new point"
            return self._random()
        return best

    def _pending(self) -> list[Values]:
        """Points of which nothing is known yet: they run, or are to run, and have come to no rung."""
        under_way = [*self._live.items(), *self._foreign.items()]
        return [values for trial_id, values in under_way if not self._curves.is_observed(trial_id)]

    def _is_no_better_than_chance(self) -> bool:
        """Whether, in a space of choices alone, the model's suggestions beat random points in under 65 of 100 pairs.

        In some spaces of choices a model can learn nothing from few points, since neighbouring points differ as much as
        distant ones. There it would only confine the search to one corner.
        """
        np = self._np
        if self._table.continuous or len(self._losses[True]) < 10 or not self._losses[False]:
            return False
        mine, chance = np.array(self._losses[True])[:, None], np.array(self._losses[False])
        return float((mine < chance).mean() + 0.5 * (mine == chance).mean()) < 0.65

    def _random(self) -> Array | None:
        for _ in range(1000):
            row: Array = self._table.from_units(self._rng.random((1, len(self._table))))[0]
            if self._table.key(row) not in self._taken:
                return row
        return self._any_left()

    def _any_left(self) -> Array | None:
        """A point that has not been tried, of a finite space that is nearly exhausted; None if there is none."""
        from itertools import product

        if self._table.size is None:
            drawn: Array = self._table.from_units(self._rng.random((1, len(self._table))))[0]
            return drawn
        for places in product(*(range(column.size or 1) for column in self._table.columns)):
            row: Array = self._np.array(places, dtype=float)
            if self._table.key(row) not in self._taken:
                return row
        return None

    def _improve(self) -> Array | None:
        """The point of highest expected improvement that is not taken."""
        np, model = self._np, self._model
        if self._is_plain:
            rows, level, losses, levels = self._curves.observations(_MOST)
            model.fit(rows, level, losses, levels, self._told, self._curves.fall)
            seen = np.unique(rows, axis=0)
        else:
            seen = self._fit_compromise()
        leaders, least = model.lead(seen, 5)
        pending = self._pending()
        if pending:
            model.expect(np.array([self._table.row(values) for values in pending]))
        wanted = least - _MARGINS[self._asked % len(_MARGINS)]
        acquisition = Acquisition(self._table, model, wanted, self._taken, self._chances)
        row = acquisition.highest(leaders, self._rng)
        if row is not None:
            self.last_reason = acquisition.reason(row)
        return row

    def _fit_compromise(self) -> Array:
        """Fit the model to one weighting of the objectives, and a model to each constraint; return where to start."""
        np, count = self._np, len(self._objectives)
        rows: Array = np.array([row for row, _ in self._outcomes[-_MOST:]])
        values = np.array([found for _, found in self._outcomes[-_MOST:]])
        excesses = values[:, count:]
        feasible = (excesses <= 0.0).all(1)
        losses = weighted(values[:, :count], feasible, self._rng)
        if not feasible.any():  # nothing is worth improving on yet: come nearer to the bounds
            losses = np.where(np.isnan(losses), np.nan, sum(np.maximum(drawn_in(column), 0.0) for column in excesses.T))
        self._fits += 1  # new weights each time: never the same observations again
        self._model.fit(rows, np.zeros(len(rows), dtype=int), losses, [math.inf], self._fits)
        for model, excess in zip(self._chances, excesses.T, strict=True):
            model.fit(self._table.features(rows), excess)
        usable: Array = rows[feasible & ~np.isnan(losses)]
        return usable if len(usable) else rows

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


def choose(space: Mapping[str, object], num_samples: int) -> Any:
    """The searcher for ``search_alg="auto"``; says in the log and on the screen which one and why."""
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
    made.chosen_because = why
    logging.getLogger("tune_core").info("search_alg='auto' is %s: %s", type(made).__name__, why)
    return made


_FEW = 6
