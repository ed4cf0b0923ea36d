"""Random and grid search: suggestion ``i`` is a function of the seed and ``i`` alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Any

from tune_core.core.validation import python_values
from tune_core.core.values import Config, ConfigView, Metrics
from tune_core.errors import InvalidArgumentError, SearchSpaceError
from tune_core.search.base import Searcher, ignores_result
from tune_core.space import Compiled, compile_space, pin, validate
from tune_core.space.domains import as_rng
from tune_core.space.sampling import set_rng_for


class BasicVariantGenerator(Searcher):
    """Random search, crossed with all grids of the search space. The default search.

    Parameters
    ----------
    points_to_evaluate
        Configurations to try first. Values that one leaves out are drawn, and grids that it leaves out are crossed
        with it. Each point takes the place of one of the ``num_samples``.
    max_concurrent
        How many trials may be unfinished at once; 0 for no limit.
    constant_grid_search
        Draw the random values once for all points of the grid, instead of anew for each.
    random_state
        Seed, or a NumPy ``Generator`` or ``RandomState`` to draw one from; None takes the run's
        (``TuneConfig(seed=...)``).

    Examples
    --------
    >>> from tune_core import space
    >>> search = BasicVariantGenerator(points_to_evaluate=[{"lr": 0.5}])
    >>> search.set_search_properties("loss", "min", {"lr": space.uniform(0, 1)}, seed=1, num_samples=2)
    True
    >>> search.suggest("00000")
    {'lr': 0.5}
    """

    @python_values
    def __init__(
        self,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        max_concurrent: int = 0,
        constant_grid_search: bool = False,
        random_state: object = None,
    ) -> None:
        super().__init__()
        if isinstance(max_concurrent, bool) or not isinstance(max_concurrent, int) or max_concurrent < 0:
            raise InvalidArgumentError(
                "BasicVariantGenerator(max_concurrent)",
                f"is {max_concurrent!r}",
                "it counts unfinished trials",
                "Use a positive int, or 0 for no limit.",
            )
        if points_to_evaluate is not None and (
            isinstance(points_to_evaluate, (str, Mapping)) or not isinstance(points_to_evaluate, Sequence)
        ):
            raise InvalidArgumentError(
                "BasicVariantGenerator(points_to_evaluate)",
                f"is {points_to_evaluate!r}",
                "it is a list of configurations",
                'Use a list of dicts: [{"lr": 0.01}].',
            )
        self.points_to_evaluate = list(points_to_evaluate or ())
        self.max_concurrent = max_concurrent
        self.constant_grid_search = constant_grid_search
        self.random_state = _as_seed(random_state)
        self.stateless = not max_concurrent  # with a limit it has to know which trials are unfinished
        self._live: set[str] = set()
        self._asked = 0
        self._space: Compiled | None = None
        self._points: list[tuple[int, Compiled]] = []  # first suggestion of each point, and the space that it leaves
        self._points_end = 0
        self._seed = 0
        self._num_samples = 1
        self._total: int | None = None
        self._rng = Random()  # set anew for each configuration

    multi_objective = handles_constraints = True  # it learns from no result, so any metrics and constraints will do

    def set_search_properties(self, metric: str | None, mode: str | None, config: ConfigView, **spec: Any) -> bool:
        """Take the search space, and from ``spec`` the run's ``seed`` and ``num_samples`` (-1: without end).

        Raises
        ------
        SearchSpaceError
            If the space is impossible, or a point to evaluate is outside of it.
        """
        super().set_search_properties(metric, mode, config, **spec)
        validate(config)
        self._seed = self.random_state if self.random_state is not None else spec.get("seed") or 0
        self._num_samples = spec.get("num_samples", 1)
        self._space = compile_space(config)
        self._points, first = [], 0
        for i, point in enumerate(self.points_to_evaluate):
            rest = compile_space(pin(config, point, f"points_to_evaluate[{i}]"))
            self._points.append((first, rest))
            first += rest.grid_size
        self._points_end = first
        further = max(self._num_samples - len(self._points), 0)
        self._total = None if self._num_samples == -1 else first + further * self._space.grid_size
        return True

    @property
    def total(self) -> int | None:
        """Number of suggestions: ``num_samples`` times the size of the grid; None if there is no end."""
        self._ready()
        return self._total

    def suggest(self, trial_id: str) -> Config | str | None:
        """The configuration of a trial; an id that is a number says which one, otherwise suggestions are counted."""
        if self.max_concurrent and len(self._live) >= self.max_concurrent:
            return None
        config = self.config_at(int(trial_id) if trial_id.isdecimal() else self._asked)
        if config is None:
            return self.FINISHED
        self._asked += 1
        if self.max_concurrent:
            self._live.add(trial_id)
        return config

    @ignores_result
    def on_trial_complete(self, trial_id: str, result: Metrics | None = None, error: bool = False) -> None:
        """Make room for another trial, if their number is limited."""
        self._live.discard(trial_id)

    def unfinished_trials(self) -> Collection[str]:
        """Trials that have not ended, if their number is limited."""
        return self._live

    def config_at(self, index: int) -> Config | None:
        """Suggestion ``index``, whatever was asked before; None past the end."""
        space = self._ready()
        if index < 0 or (self._total is not None and index >= self._total):
            return None
        if index >= self._points_end:
            sample, point = divmod(index - self._points_end, space.grid_size)
            sample += len(self._points)
        else:
            sample = bisect_right(self._points, index, key=lambda point: point[0]) - 1
            first, space = self._points[sample]
            point = index - first
        rng = set_rng_for(self._rng, self._seed, sample if self.constant_grid_search else index)
        return space.build(rng, space.grid_point(point) if space.grid_paths else [])

    def _ready(self) -> Compiled:
        if self._space is None:
            raise SearchSpaceError(
                "BasicVariantGenerator",
                "has no search space",
                "it was asked for a configuration before the run told it the space",
                "Call set_search_properties(metric, mode, param_space, seed=..., num_samples=...) first.",
            )
        return self._space


def _as_seed(random_state: object) -> int | None:
    if random_state is None:
        return None
    if hasattr(random_state, "__index__") and not isinstance(random_state, bool):
        return int(random_state)
    try:
        return as_rng(random_state).getrandbits(63)  # one number now: suggestion i depends on the seed and i alone
    except SearchSpaceError:
        raise InvalidArgumentError(
            "BasicVariantGenerator(random_state)",
            f"is {random_state!r}",
            "a seed or a generator is needed",
            "Use an int, a numpy Generator or RandomState, or TuneConfig(seed=...).",
        ) from None
