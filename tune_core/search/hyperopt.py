"""HyperOpt's TPE as a searcher, with its own spaces and their conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.core import validation
from tune_core.core.values import Config, ConfigView, ResultDict
from tune_core.errors import SearchSpaceError
from tune_core.search.encoding.params import Param, Values, plain
from tune_core.search.library_searcher import ModelSearcher


class HyperOptSearch(ModelSearcher):
    """Searches with HyperOpt's tree-structured Parzen estimator.

    Parameters
    ----------
    space
        None (the Tuner's ``param_space``), a space of :mod:`tune_core.space`, or one made of ``hyperopt.hp``.
    metric, mode
        What to optimise; None takes ``TuneConfig``'s.
    points_to_evaluate, evaluated_rewards
        Configurations to try first, and the metric's values of those that need no trial, since theirs is known. With a
        space of HyperOpt's own, a point gives each label its value, and an ``hp.choice`` the number of its option.
    n_initial_points
        How many random points come first.
    random_state_seed
        None takes the run's seed.
    gamma
        Share of the results, by quality, that count as good.
    algo
        Another of HyperOpt's ``suggest`` functions in place of ``hyperopt.tpe.suggest``.

    References
    ----------
    Bergstra, Bardenet, Bengio and Kégl, 2011, "Algorithms for Hyper-Parameter Optimization".
    """

    library = extra = "hyperopt"
    native_conditions = True

    def __init__(
        self,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[ConfigView] | None = None,
        n_initial_points: int = 20,
        random_state_seed: int | None = None,
        gamma: float = 0.25,
        evaluated_rewards: Sequence[Any] | None = None,
        algo: Any = None,
    ) -> None:
        self._n_initial = validation.integer("HyperOptSearch(n_initial_points)", n_initial_points)
        self._gamma = validation.proper_share("HyperOptSearch(gamma)", gamma)
        self._algo = algo
        self._tids: dict[str, int] = {}
        self._native_points: list[Values] = []
        super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards, random_state_seed)

    @staticmethod
    def convert_search_space(spec: Mapping[str, Any], join: bool = False) -> Any:
        """A search space in HyperOpt's expressions, which ``space`` takes, too."""
        from tune_core.search.encoding.native_spaces import to_hyperopt

        return to_hyperopt(dict(spec))

    @property
    def _hyperopt(self) -> Any:
        import hyperopt

        return hyperopt

    # --- space --------------------------------------------------------------------------------------------------------

    def _is_native(self, space: Any) -> bool:
        apply = self._hyperopt.pyll.Apply
        if isinstance(space, apply):
            return True
        return isinstance(space, Mapping) and any(_holds(value, apply) for value in space.values())

    def _setup(self) -> None:
        import numpy

        hyperopt = self._hyperopt
        space = self._own_space(self.encoding.params, ()) if self.encoding is not None else self._space_given
        self._domain = hyperopt.base.Domain(lambda point: point, space)
        self._trials = hyperopt.Trials()
        self._rng = numpy.random.default_rng(self.seed)
        if not self._domain.params:
            raise SearchSpaceError(
                "HyperOptSearch(space)", "holds no hyperopt.hp expression", "there is nothing to search", "Add one."
            )

    def _own_space(self, params: Sequence[Param], condition: tuple[tuple[str, int], ...]) -> dict[str, Any]:
        """The parameters under ``condition`` as hyperopt's expressions, with those that depend on them inside."""
        hp, space = self._hyperopt.hp, {}
        for param in params:
            if param.condition != condition:
                continue
            if param.kind == "cat":
                options = []
                for index in range(param.size or 0):
                    inner = self._own_space(params, (*condition, (param.name, index)))
                    options.append({"": index, **inner} if inner else index)
                space[param.name] = hp.choice(param.name, options)
            else:  # whole numbers are rounded here: hp.quniform's cells cost more, and hp.randint knows no order
                low, high = param.scaled_bounds
                space[param.name] = (hp.loguniform if param.log else hp.uniform)(param.name, low, high)
        return space

    def _decode(self, values: Values) -> Config:
        if self.encoding is not None:
            return super()._decode(values)
        config = plain(self._hyperopt.space_eval(self._space_given, values))
        return dict(config) if isinstance(config, Mapping) else {"value": config}

    def _encode(self, config: ConfigView, asked: str) -> Values:
        if self.encoding is not None:
            return super()._encode(config, asked)
        unknown = [key for key in config if key not in self._domain.params]
        if unknown:
            raise SearchSpaceError(
                f"{asked}[{unknown[0]!r}]",
                "is no label of the space",
                f"it has {', '.join(self._domain.params)}",
                "With a space of hyperopt's own, a point gives values to its labels.",
            )
        options = self._options()
        return {
            label: value if label not in options else _number_of(value, options[label], f"{asked}[{label!r}]")
            for label, value in config.items()
        }

    def _options(self) -> dict[str, list[object]]:
        """For each choice of a space of hyperopt's own, its options."""
        switches = [node for node in self._hyperopt.pyll.dfs(self._domain.expr) if node.name == "switch"]
        return {
            node.pos_args[0].arg["label"].obj: [
                a.obj if a.name == "literal" else _WITH_PARAMETERS for a in node.pos_args[1:]
            ]
            for node in switches
            if node.pos_args[0].name == "hyperopt_param"
        }

    def _queue_points(self) -> None:
        if self.encoding is not None or not self._points:
            super()._queue_points()
            return
        rewards = self._rewards or [None] * len(self._points)
        for i, (point, reward) in enumerate(zip(self._points, rewards, strict=True)):
            values = self._encode(point, f"HyperOptSearch(points_to_evaluate)[{i}]")
            if reward is None:
                self._native_points.append(values)
            else:
                self._tell_before(values, self._loss_of_value(reward))

    # --- asking and telling -------------------------------------------------------------------------------------------

    def _ask(self, trial_id: str) -> Values | str | None:
        if self._native_points:
            values = self._native_points.pop(0)
            self._insert(values, None)
            self._tids[trial_id] = self._trials.trials[-1]["tid"]
            return values
        new_ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        seed = int(self._rng.integers(2**31 - 1))
        if self._algo is not None:
            docs = self._algo(new_ids, self._domain, self._trials, seed)
        else:
            docs = self._hyperopt.tpe.suggest(
                new_ids,
                self._domain,
                self._trials,
                seed,
                n_startup_jobs=self._n_initial,
                gamma=self._gamma,
                verbose=False,
            )
        if not docs:
            return self.FINISHED
        docs[0]["state"] = self._hyperopt.JOB_STATE_RUNNING
        self._trials.insert_trial_docs(docs)
        self._trials.refresh()
        self._tids[trial_id] = new_ids[0]
        return {label: plain(found[0]) for label, found in docs[0]["misc"]["vals"].items() if len(found)}

    def _tell(self, trial_id: str, values: Values, loss: float) -> None:
        self._finish(trial_id, self._hyperopt.JOB_STATE_DONE, {"loss": loss, "status": self._hyperopt.STATUS_OK})

    def _fail(self, trial_id: str, values: Values) -> None:
        self._finish(trial_id, self._hyperopt.JOB_STATE_ERROR, {"status": self._hyperopt.STATUS_FAIL})

    def _finish(self, trial_id: str, state: int, result: ResultDict) -> None:
        tid = self._tids.pop(trial_id)
        doc = self._trials._dynamic_trials[tid]
        assert doc["tid"] == tid
        doc["state"], doc["result"] = state, result
        self._trials.refresh()

    def _tell_before(self, values: Values, loss: float) -> None:
        if loss is not None:
            self._insert(values, loss)

    def _insert(self, values: Values, loss: float | None) -> None:
        """A hand-made document: labels that are inactive have empty lists."""
        hyperopt, trials = self._hyperopt, self._trials
        tid = trials.new_trial_ids(1)[0]
        labels = self._domain.params
        misc = {
            "tid": tid,
            "cmd": ("domain_attachment", "FMinIter_Domain"),
            "workdir": self._domain.workdir,
            "idxs": {label: [tid] if label in values else [] for label in labels},
            "vals": {label: [values[label]] if label in values else [] for label in labels},
        }
        result = {"status": hyperopt.STATUS_NEW} if loss is None else {"loss": loss, "status": hyperopt.STATUS_OK}
        docs = trials.new_trial_docs([tid], [None], [result], [misc])
        docs[0]["state"] = hyperopt.JOB_STATE_RUNNING if loss is None else hyperopt.JOB_STATE_DONE
        trials.insert_trial_docs(docs)
        trials.refresh()


class _WithParameters:
    """An option that is no plain value."""

    def __repr__(self) -> str:
        return "one with parameters of its own"


_WITH_PARAMETERS = _WithParameters()


def _number_of(value: object, options: Sequence[object], asked: str) -> int:
    """The number of an option, from the option, as scripts for Ray Tune name it, or its number, as hyperopt does."""
    found = next((number for number, option in enumerate(options) if _same(option, value)), None)
    if found is None and isinstance(value, int) and 0 <= value < len(options):
        found = value
    if found is None:
        raise SearchSpaceError(
            asked,
            f"is {value!r}",
            f"it is no option of the choice: {', '.join(map(repr, options))}",
            "Give one of them, or its number.",
        )
    return found


def _same(option: object, value: object) -> bool:
    try:
        return bool(option == value)
    except ValueError:  # arrays
        return False


def _holds(node: Any, kind: type) -> bool:
    if isinstance(node, kind):
        return True
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    return any(_holds(child, kind) for child in children)
