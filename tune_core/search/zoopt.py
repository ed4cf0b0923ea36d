"""ZOOpt's asynchronous sequential RACOS as a searcher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tune_core.core import validation
from tune_core.errors import InvalidArgumentError
from tune_core.search.encoding.native_spaces import from_zoopt, is_of_zoopt
from tune_core.search.encoding.notation import LOGS, Notation
from tune_core.search.encoding.params import Param, Values
from tune_core.search.library_searcher import ModelSearcher


class ZOOptSearch(ModelSearcher):
    """Searches with ZOOpt's classification-based derivative-free optimisation.

    Parameters
    ----------
    algo
        ``"asracos"``, the only algorithm of ZOOpt's with an ask-and-tell interface.
    budget
        How many trials it plans for; None: the run's ``num_samples``.
    dim_dict
        The search space: one of :mod:`tune_core.space`, or one whose dimensions are ZOOpt's tuples, such as
        ``(ValueType.CONTINUOUS, [0, 1], 1e-2)``; None takes the Tuner's ``param_space``.
    metric, mode
        What to optimise; None takes ``TuneConfig``'s.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known.
    parallel_num
        How many suggestions may be unfinished; None for no limit.
    random_state_seed
        None takes the run's seed.

    References
    ----------
    Hu, Liu, Yu and Qian, 2017, "Sequential Classification-Based Optimization for Direct Policy Search".
    """

    library = extra = "zoopt"
    global_numpy = True

    def __init__(
        self,
        algo: str = "asracos",
        budget: int | None = None,
        dim_dict: object = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        parallel_num: int | None = None,
        evaluated_rewards: Sequence[object] | None = None,
        random_state_seed: int | None = None,
        space: object = None,
    ) -> None:
        if not isinstance(algo, str) or algo.lower() not in ("asracos", "sracos"):
            raise InvalidArgumentError(
                "ZOOptSearch(algo)", f"is {algo!r}", "there is only one algorithm", 'Use "asracos".'
            )
        self._budget = None if budget is None else validation.integer("ZOOptSearch(budget)", budget)
        self._parallel = None if parallel_num is None else validation.integer("ZOOptSearch(parallel_num)", parallel_num)
        self._solutions: dict[str, object] = {}
        self._worst = 0.0
        given = dim_dict if dim_dict is not None else space
        if isinstance(given, Mapping) and any(map(is_of_zoopt, given.values())):
            given = from_zoopt(given)
        super().__init__(given, metric, mode, points_to_evaluate, evaluated_rewards, random_state_seed)

    @staticmethod
    def convert_search_space(spec: Mapping[str, object], join: bool = False) -> Any:
        """A search space as ZOOpt's tuples, which ``dim_dict`` takes, too."""
        from tune_core.search.encoding.native_spaces import to_zoopt

        return to_zoopt(spec)

    def _setup(self) -> None:
        from zoopt import Dimension2, Parameter, ValueType
        from zoopt.algos.opt_algorithms.racos.sracos import SRacosTune

        assert self.encoding is not None

        def dimension(param: Param) -> object:
            if param.kind == "cat":
                return (ValueType.GRID, _NOTATION.categories(param))
            if param.kind == "int" and not param.log:
                return (ValueType.DISCRETE, list(_NOTATION.bounds(param)), True)
            return (ValueType.CONTINUOUS, list(_NOTATION.bounds(param)), 1e-10)

        planned = self._spec.get("num_samples", 100)
        budget = self._budget or (planned if planned and planned > 0 else 100)
        self._algorithm = SRacosTune(
            dimension=Dimension2([dimension(p) for p in self.encoding.params]),
            parameter=Parameter(budget=budget, seed=self.seed),
            parallel_num=self._parallel or 1 << 30,
        )

    def _ask(self, trial_id: str) -> Values | str | None:
        assert self.encoding is not None
        algorithm = self._algorithm
        for _ in range(_ASKS):
            with _silent():
                solution = algorithm.suggest()
            if solution is None:
                if algorithm.live_num > 0:
                    return None
                algorithm.semaphore = 1  # no running trial could release it
            elif not isinstance(solution, str):  # "FINISHED" only says that a few draws were not new
                self._solutions[trial_id] = solution
                point = solution.get_x()
                return {p.name: _NOTATION.read(p, v) for p, v in zip(self.encoding.params, point, strict=True)}
        return None if algorithm.live_num else self.FINISHED

    def _tell(self, trial_id: str, values: Values, loss: float) -> None:
        self._worst = max(self._worst, loss)
        self._complete(self._solutions.pop(trial_id), loss)

    def _fail(self, trial_id: str, values: Values) -> None:
        self._complete(self._solutions.pop(trial_id), self._worst + abs(self._worst) + 1.0)

    def _complete(self, solution: object, loss: float) -> None:
        self._algorithm.complete(solution, loss)
        if self._algorithm.complete_num >= self._algorithm._parameter.get_train_size():
            self._algorithm.semaphore = 1

    def _tell_before(self, values: Values, loss: float) -> None:
        assert self.encoding is not None
        algorithm, full = self._algorithm, self._full(values)
        point = [_NOTATION.write(p, full[p.name]) for p in self.encoding.params]
        solution = algorithm.get_objective().construct_solution(point)
        if algorithm.init_num < algorithm._parameter.get_train_size():
            if algorithm.init_num == 0:
                algorithm.tune_init_attribute()  # sets its sizes
            algorithm.init_num += 1  # it stands for one of the first random points
        algorithm.live_num += 1
        self._worst = max(self._worst, loss)
        self._complete(solution, loss)


_NOTATION = Notation(LOGS, category=None)
_ASKS = 20
"""So often it is asked where its few draws are not new; then nothing new is left in the space."""


@contextmanager
def _silent() -> Iterator[None]:
    """Keep ZOOpt from printing each time that it finds nothing new."""
    from zoopt.utils.tool_function import ToolFunction

    log = ToolFunction.log
    ToolFunction.log = staticmethod(lambda text: None)
    try:
        yield
    finally:
        ToolFunction.log = staticmethod(log)
