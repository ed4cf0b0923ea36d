"""What all adaptors to search libraries share: points to try first, results, failures, seeds, saving."""

from __future__ import annotations

import json
import logging
import math
import re
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from tune_core.core import validation
from tune_core.core.objective import DEFAULT_METRIC, Objective, check_mode
from tune_core.core.optional_imports import require
from tune_core.core.random_state import OwnGenerator
from tune_core.core.user_warnings import warn_user
from tune_core.core.values import Config, ConfigView, Metrics, ResultDict
from tune_core.errors import InvalidArgumentError, RestoreError, SearchSpaceError, TuneError
from tune_core.search.base import Searcher
from tune_core.search.encoding.encode import Encoding
from tune_core.search.encoding.notation import draw_inactive
from tune_core.search.encoding.params import Values, unsearchable
from tune_core.space.portable import from_portable, to_portable
from tune_core.space.sampling import rng_for, varies

logger = logging.getLogger(__name__)


class ModelSearcher(Searcher):
    """Base of searchers that learn from results by way of :class:`~tune_core.search.encoding.encode.Encoding`.

    A subclass fills in :meth:`_setup`, :meth:`_ask`, :meth:`_tell` and, as far as its library can, :meth:`_fail` and
    :meth:`_tell_before`; all of them deal in plain numbers and in losses, which are better the lower they are.

    Parameters
    ----------
    space
        Search space; None takes the Tuner's ``param_space``.
    metric, mode
        What to optimise; None takes ``TuneConfig``'s.
    points_to_evaluate
        Configurations to try first. What one of them leaves out is drawn.
    evaluated_rewards
        The metric's values at these points: the searcher is told them, and the points are not tried. None where one is
        unknown.
    seed
        None takes the run's (``TuneConfig(seed=...)``).
    """

    library = ""  # name of the module; "" if there is none
    extra = ""  # the extra of tune-core that installs it
    native_conditions = False  # else all parameters are sampled, and those that a choice makes inactive are dropped
    multi_objective = False
    results_wanted = ""  # "rungs" if the library takes intermediate results: see _rung
    global_numpy = False  # the library draws from NumPy's global generator, which is seeded for it and put back

    def __init__(
        self,
        space: Any = None,
        metric: Any = None,
        mode: Any = None,
        points_to_evaluate: Sequence[Mapping[str, object]] | None = None,
        evaluated_rewards: Sequence[object] | None = None,
        seed: Any = None,
    ) -> None:
        name = type(self).__name__
        if self.library:
            require(name, self.library, self.extra)
        if not self.multi_objective and not (
            isinstance(metric, (str, type(None))) and isinstance(mode, (str, type(None)))
        ):
            raise InvalidArgumentError(
                f"{name}(metric, mode)",
                f"are {metric!r} and {mode!r}",
                "it optimises one metric",
                'Use a string each, or OptunaSearch(metric=["a", "b"], mode=["min", "max"]) for several metrics.',
            )
        super().__init__(metric, mode)
        self._space_given = space
        self._points = validation.points(name, points_to_evaluate)
        self._rewards = validation.rewards(name, evaluated_rewards, self._points)
        self._seed = validation.seed(f"{name}(seed)", seed)
        self.encoding: Encoding | None = None
        self.objective: Any = None  # Objective; None before the metric is known
        self._live: dict[str, Any] = {}  # suggested and not ended: what the library needs to be told
        self._foreign: dict[str, Values] = {}  # the same, but the library did not propose it
        self._failed: dict[str, Values] = {}  # ended with an error; after a restore they may be tried again
        self._steps: dict[str, int] = {}  # the last rung of each unfinished trial that the library was told of
        self.facts: Metrics = {}
        """What :meth:`_facts` found in the result that the library is being told of."""
        self._queue: deque[Config] = deque()
        self._asked = 0
        self._log: list[list[Any]] = []  # asks and tells, for save()
        self._saved: list[list[Any]] | None = None  # read by restore() before the space was known
        self._restored: dict[str, Any] = {}  # space, metric and mode that restore() found, where none were given
        self._early: list[tuple[Any, ...]] = []  # add_evaluated_point before the space was known
        self._earlier: list[tuple[dict[str, Any], dict[str, Any], int | None]] = []  # results of earlier experiments
        self.learnt: list[Values] = []
        """The points taken from earlier experiments by :meth:`warm_start`."""
        self._generator: OwnGenerator | None = None
        if space is not None and self._takes(space):
            if isinstance(mode, str) and mode:
                check_mode(mode, f"{name}(mode)")
            if not self._is_native(space):
                Encoding(space, name)  # raises at once if something is wrong with it

    # --- for subclasses -----------------------------------------------------------------------------------------------

    def _takes(self, space: object) -> bool:
        """Whether a space given to the constructor is of a kind that this searcher can read."""
        return True

    def _is_native(self, space: object) -> bool:
        """Whether a space is the library's own, which needs no translation."""
        return False

    def _setup(self) -> None:
        """Make the library's objects; space, objective and seed are known."""
        raise NotImplementedError

    def _ask(self, trial_id: str) -> Values | str | None:
        """A point, None for "not now", or ``FINISHED``."""
        raise NotImplementedError

    def _tell(self, trial_id: str, values: Values, loss: Any) -> None:
        """A point that :meth:`_ask` gave has this loss."""
        raise NotImplementedError

    def _fail(self, trial_id: str, values: Values) -> None:
        """A point that :meth:`_ask` gave has failed."""

    def _tell_before(self, values: Values, loss: Any) -> None:
        """A point that the library did not propose has this loss."""
        raise NotImplementedError(f"{type(self).__name__} cannot be told points that it did not propose")

    def _fail_before(self, values: Values) -> None:
        """A point that the library did not propose has failed."""

    def _prune(self, trial_id: str, values: Values, loss: Any, step: int) -> None:
        """A point that :meth:`_ask` gave had this loss when a scheduler ended it early, after ``step`` results."""
        self._tell(trial_id, values, loss)

    def _prune_before(self, values: Values, loss: Any, step: int) -> None:
        """The same for a point that the library did not propose."""
        self._tell_before(values, loss)

    def _recall(self, trial_id: str, values: Values, reason: str) -> None:
        """Have all that :meth:`_ask` would have left, had it given this point for this reason. Must not draw."""

    def _begin_foreign(self, trial_id: str, values: Values) -> None:
        """A point that the library did not propose begins to run."""
        self._foreign[trial_id] = values

    def _rung(self, trial_id: str, values: Values, loss: Any, step: int) -> None:
        """A point that may go on has this loss after ``step`` results, where a scheduler decides on it.

        Called only if ``results_wanted`` is set.
        """

    def _facts(self, result: Metrics) -> ResultDict:
        """What else the library is to know of a result (costs, constraints), in plain values."""
        return {}

    def _full(self, values: Values) -> Values:
        """A point with random values for inactive parameters, for libraries that know no conditions."""
        assert self.encoding is not None
        return draw_inactive(self.encoding, values, self.seed, self._asked)

    def _decode(self, values: Values) -> Config:
        assert self.encoding is not None
        return self.encoding.decode(values, rng_for(self.seed, self._asked))

    def _encode(self, config: ConfigView, asked: str) -> Values:
        assert self.encoding is not None
        return self.encoding.encode(config, asked)

    # --- setting up ---------------------------------------------------------------------------------------------------

    @property
    def seed(self) -> int:
        """The seed in force."""
        return self._seed or 0

    @property
    def space(self) -> Any:
        """The space that the searcher was given; None where it searches the run's."""
        return self._space_given

    def set_search_properties(self, metric: str | None, mode: str | None, config: ConfigView, **spec: Any) -> bool:
        """Take the run's metric, mode, seed and search space.

        False if the searcher has a space of its own and the run's holds domains, too.
        """
        name = type(self).__name__
        if self._seed is None:
            self._seed = spec.get("seed")
        self._spec = dict(spec)
        metric = self._metric if self._metric is not None else metric
        mode = self._mode if self._mode is not None else mode
        if mode is None and self._restored:
            metric, mode = metric if metric is not None else self._restored["metric"], self._restored["mode"]
        if mode is None:
            raise InvalidArgumentError(
                f"TuneConfig(search_alg={name})",
                "was given without a metric and a mode",
                "it searches for good values of a metric",
                'Give both: TuneConfig(metric="loss", mode="min", ...).',
            )
        metric = DEFAULT_METRIC if metric is None else metric
        if self._is_set_up:
            return not varies(dict(config)) and (metric, mode) == (self._metric, self._mode)
        space = self._space_given
        if space is None and not varies(dict(config)):
            space = self._restored.get("space")
        if space is not None and varies(dict(config)):
            return False
        if space is not None and isinstance(space, Mapping) and not self._is_native(space):
            space = {**config, **space}
        elif space is not None:
            self._constants = dict(config)
        self._ready_up(metric, mode, config if space is None else space)
        return True

    _is_set_up = False
    _constants: ConfigView = {}
    _spec: Mapping[str, Any] = {}

    def _ready_up(self, metric: Any, mode: Any, space: Any) -> None:
        self._metric, self._mode = metric, mode
        if isinstance(metric, str):
            self.objective = Objective(metric, mode)
        if self._is_native(space):
            self._space_given = space
        else:
            self.encoding = Encoding(space, type(self).__name__)
            self._refuse_endless_ranges(self.encoding)
        with self._lent():
            try:
                self._setup()
            except TuneError:
                raise
            except Exception as error:
                self._blame_a_parameter(error)
                raise
        self._is_set_up = True
        self._queue_points()
        self._learn_earlier()
        early, self._early = self._early, []
        for arguments in early:
            self.add_evaluated_point(*arguments)
        if self._saved is not None:
            self._replay_saved()

    bears_endless_ranges = False
    """Whether the library bears a range whose width is no number."""

    def _refuse_endless_ranges(self, encoding: Encoding) -> None:
        for param in encoding.params if not self.bears_endless_ranges else ():
            if param.kind == "float" and not param.log and not math.isfinite(param.high - param.low):
                raise unsearchable(param, type(self).__name__, "its range is wider than the largest number")

    def _blame_a_parameter(self, error: Exception) -> None:
        """Raise an error that names the parameter of which a library's own error speaks, if it speaks of one."""
        for param in self.encoding.params if self.encoding is not None else ():
            if re.search(rf"(?<!\w){re.escape(param.name)}(?!\w)", str(error)):
                raise unsearchable(param, type(self).__name__, f"its library says: {error}") from error

    def _queue_points(self) -> None:
        rewards = self._rewards or [None] * len(self._points)
        for i, (point, reward) in enumerate(zip(self._points, rewards, strict=True)):
            asked = f"{type(self).__name__}(points_to_evaluate)[{i}]"
            config = dict(point)
            if self.encoding is not None:
                config = self.encoding.complete(point, rng_for(self.seed, -1 - i), asked)
                if reward is not None:
                    self._check_whole(point, asked, reward)
            if reward is None:
                self._queue.append(config)
            else:
                self._learn_point(config, reward)

    def _need_ready(self) -> None:
        if self._is_set_up:
            return
        space = self._space_given if self._space_given is not None else self._restored.get("space")
        metric = self._metric if self._metric is not None else self._restored.get("metric")
        mode = self._mode if self._mode is not None else self._restored.get("mode")
        if space is not None and metric is not None and mode is not None:
            self._ready_up(metric, mode, space)
        else:
            raise SearchSpaceError(
                type(self).__name__,
                "has no search space, metric or mode",
                "it was asked for a configuration before the run told it",
                "Give it all three, or call set_search_properties(metric, mode, param_space) first.",
            )

    # --- asking and telling -------------------------------------------------------------------------------------------

    def suggest(self, trial_id: str) -> Config | str | None:
        """The next point to evaluate first, then what the library proposes."""
        self._need_ready()
        if self._queue:
            config = self._queue.popleft()
            self._begin_foreign(trial_id, self._encode(config, "point"))
        else:
            with self._lent():
                values = self._ask(trial_id)
            if values is None or isinstance(values, str):
                return values
            config = self._decode(values)
            self._live[trial_id] = values
        self._asked += 1
        self._log.append(["ask", trial_id])
        return config if not self._constants else {**self._constants, **config}

    def adopt(self, trial_id: str, config: ConfigView) -> None:
        """Take over the configuration of a trial that was suggested before the run was restored."""
        self._need_ready()
        self._adopt(trial_id, self._encode(config, "configuration"))

    def _adopt(self, trial_id: str, point: Values) -> None:
        values = self._live.pop(trial_id, None)
        if values is not None:  # proposed something else this time: that will never be evaluated
            with self._lent():
                self._fail(trial_id, values)
        else:
            self._asked += 1
            if self._queue:
                self._queue.popleft()
        self._begin_foreign(trial_id, point)
        self._log.append(["adopt", trial_id, point])

    def recall(self, trial_id: str, config: ConfigView, reason: str = "") -> None:
        """Take back a suggestion that was made before the run was restored."""
        self._need_ready()
        if self._queue:  # a point to evaluate first, for which no library is asked
            self.suggest(trial_id)
            return
        values = self._encode(config, "configuration")
        self._recall(trial_id, values, reason)
        self._live[trial_id] = values
        self._asked += 1
        self._log.append(["ask", trial_id])

    def on_trial_result(self, trial_id: str, result: Metrics) -> None:
        """Pass on the metric at a rung, once, where the library can make use of it."""
        self._reach(trial_id, self._loss(result), int(result.get("training_iteration", 1)), self._facts(result))

    def _reach(self, trial_id: str, loss: Any, step: int, facts: Mapping[str, object]) -> None:
        values = self._live.get(trial_id, self._foreign.get(trial_id))
        if values is None or loss is None or step <= self._steps.get(trial_id, 0):
            return
        self._steps[trial_id] = step
        self.facts = facts
        with self._lent():
            self._rung(trial_id, values, loss, step)
        self._log.append(["result", trial_id, loss, step, dict(facts)])

    def on_trial_complete(self, trial_id: str, result: Metrics | None = None, error: bool = False) -> None:
        """Pass the result's metric on; a trial with an error, or a metric that is NaN or infinite, has failed."""
        loss = None if error or result is None else self._loss(result)
        self._end(trial_id, loss, None, self._facts(result) if result else {})

    def on_trial_pruned(self, trial_id: str, result: Metrics) -> None:
        """Pass on the metric of a trial that a scheduler ended early, as such where the library can tell."""
        self._end(trial_id, self._loss(result), int(result.get("training_iteration", 1)), self._facts(result))

    def _end(self, trial_id: str, loss: Any, step: int | None, facts: Mapping[str, object] = {}) -> None:
        self.facts = facts
        with self._lent():
            if trial_id in self._foreign:
                values = self._foreign.pop(trial_id)
                self._end_foreign(values, loss, step)
            elif trial_id in self._live:
                values = self._live.pop(trial_id)
                if loss is None:
                    self._fail(trial_id, values)
                elif step is not None:
                    self._prune(trial_id, values, loss, step)
                else:
                    self._tell(trial_id, values, loss)
            elif trial_id in self._failed and loss is not None:  # it had failed, and was tried again
                values = self._failed.pop(trial_id)
                self._end_foreign(values, loss, step)
            else:
                return
        self._steps.pop(trial_id, None)
        if loss is None:
            self._failed[trial_id] = values
        self._log.append(["tell", trial_id, loss, step, dict(facts)])

    def _end_foreign(self, values: Values, loss: Any, step: int | None) -> None:
        if loss is None:
            self._fail_before(values)
        elif step is not None:
            self._prune_before(values, loss, step)
        else:
            self._tell_before(values, loss)

    def _loss(self, result: Metrics) -> Any:
        """What the library minimises, or None if the result has no usable value."""
        loss = self.objective.loss(result)
        return loss if math.isfinite(loss) else None

    def _check_whole(self, point: Mapping[str, Any], asked: str, reward: Any) -> None:
        """A value belongs to a whole configuration: one that is drawn in part was never evaluated."""
        assert self.encoding is not None
        given = self.encoding.encode_part(point, asked)
        missing = [param.name for param in self.encoding.active(given) if param.name not in given]
        if missing:
            raise SearchSpaceError(
                asked,
                f"leaves out {', '.join(map(repr, missing))}, and evaluated_rewards gives it the value {reward!r}",
                "a value that was measured belongs to a whole configuration",
                "Give the point the values that it was evaluated with, or None as its reward, to have it tried.",
            )

    def unfinished_trials(self) -> Collection[str]:
        """Trials that were suggested and have not ended."""
        return [*self._live, *self._foreign]

    def add_evaluated_point(
        self,
        parameters: ConfigView,
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        """Tell the searcher a configuration that was evaluated elsewhere; ``value`` is the metric there."""
        if not self._is_set_up:
            self._early.append((parameters, value, error, pruned, intermediate_values))
            return
        step = len(intermediate_values or ()) or 1 if pruned else None
        self._log.append(["learn", *self._learn_point(parameters, value, error, step), step])

    def _learn_point(
        self, parameters: ConfigView, value: object, error: bool = False, step: int | None = None
    ) -> tuple[Values, Any]:
        loss = None if error else self._loss_of_value(value)
        values = self._encode(parameters, "add_evaluated_point(parameters)")
        self._learn_elsewhere(values, loss, step)
        return values, loss

    def _learn_elsewhere(self, values: Values, loss: Any, step: int | None, facts: Mapping[str, object] = {}) -> None:
        """Tell the library a point that was evaluated elsewhere; ``facts`` of the result, not of the one before."""
        self.facts = facts
        with self._lent():
            self._end_foreign(values, loss, step)

    def _loss_of_value(self, value: Any) -> Any:
        loss = self.objective.as_loss(value)
        return loss if math.isfinite(loss) else None

    def warm_start(self, experiment: Any) -> ModelSearcher:
        """Learn from an earlier experiment before the run begins: its folder, or a ``ResultGrid``.

        Its trials count as evaluated elsewhere, also if the space has changed a little: parameters that are gone are
        dropped, and new ones are drawn at random for the earlier trials. Trials that a scheduler or the end of the run
        cut short count as pruned. Trials with none of this search's parameters, with a value outside of its bounds, or
        without a usable value of this run's metric, are left out; ``len(search.learnt)`` says how many were taken.
        """
        from tune_core import ResultGrid  # searchers see the public face

        grid = experiment if isinstance(experiment, ResultGrid) else ResultGrid.from_path(experiment)
        for result in grid:
            if result.error is None:
                metrics = dict(result.metrics)
                step = None if result.is_complete else int(metrics.get("training_iteration", 1))
                self._earlier.append((dict(result.config), metrics, step))
        return self

    def _learn_earlier(self) -> None:
        why = ""
        for number, (config, metrics, step) in enumerate(self._earlier):
            loss = self._loss(metrics)
            if loss is None:
                why = f"the metric {self._metric!r} is not in its results, or not finite"
                continue
            try:
                values = self._encode(self._as_of_now(config, number), "configuration")
            except SearchSpaceError as error:
                why = str(error)
                continue
            self.learnt.append(values)
            self._learn_elsewhere(values, loss, step, self._facts(metrics))
        if why and not self.learnt:
            warn_user(
                f"{type(self).__name__}.warm_start: none of {len(self._earlier)} earlier trials could be used, so the "
                f"search begins without them; of the last one: {why}"
            )
        elif why:
            logger.info("Warm start with %d of %d trials; e.g. %s", len(self.learnt), len(self._earlier), why)

    def _as_of_now(self, config: ConfigView, number: int) -> Config:
        """A configuration of an earlier experiment without the parameters that are gone; new ones are drawn.

        What a new parameter was then is not known: drawn at random, its effect on the earlier results looks like noise.
        """
        if self.encoding is None:
            return dict(config)
        kept = {name: value for name, value in config.items() if name in self.encoding.space}
        if not self.encoding.encode_part(kept, "configuration"):
            raise SearchSpaceError(
                "The earlier configuration",
                f"has none of this search's parameters {', '.join(p.name for p in self.encoding.params)}",
                "its result says nothing about them",
                "Learn from an experiment whose space has some of them.",
            )
        return self.encoding.complete(kept, rng_for(self.seed, -1_000_000 - number), "configuration")

    # --- saving -------------------------------------------------------------------------------------------------------

    def save(self, checkpoint_path: str) -> None:
        """Write all asks and tells as JSON. :meth:`restore` repeats them, so the file runs no code."""
        state = {"searcher": type(self).__name__, "seed": self.seed, "log": self._log, **self._arguments()}
        with open(checkpoint_path, "w", encoding="utf-8") as file:
            json.dump(state, file)

    def _arguments(self) -> dict[str, Any]:
        """What the arguments and the run have set, so that a searcher can be restored that was given nothing."""
        told = {"metric": self._metric, "mode": self._mode, "rewards": self._rewards}
        with suppress(SearchSpaceError):  # JSON cannot hold it: it has to be given again
            told["points"] = [to_portable(dict(point)) for point in self._points]
            told["space"] = to_portable(self.encoding.space) if self.encoding is not None else None
        return told

    def restore(self, checkpoint_path: str) -> None:
        """Repeat what :meth:`save` wrote, on a searcher made with the same arguments and not yet used.

        Space, metric, mode and points to evaluate may be left out: they are in the file, unless the space holds
        functions, objects or expressions of the library's own.
        """
        try:
            with open(checkpoint_path, encoding="utf-8") as file:
                saved = json.load(file)
            name, self._saved = saved["searcher"], saved["log"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RestoreError(
                f"{type(self).__name__}.restore({checkpoint_path!r})",
                f"cannot read the file ({type(error).__name__}: {error})",
                "it was not written by save()",
                "Give the file that save() wrote.",
            ) from error
        if name != type(self).__name__ or self._log:
            raise RestoreError(
                f"{type(self).__name__}.restore({checkpoint_path!r})",
                f"finds the state of {name}" if not self._log else "was called on a searcher that has been used",
                "the same asks and tells are repeated on a fresh searcher of the same kind",
                f"Make a new {name} with the same arguments, then restore it.",
            )
        self._seed = saved["seed"] if self._seed is None else self._seed
        if self._is_set_up:
            self._replay_saved()
            return
        self._restored = {key: saved.get(key) for key in ("metric", "mode")}
        if saved.get("space") is not None:
            self._restored["space"] = from_portable(saved["space"])
        if not self._points and saved.get("points"):
            self._points, self._rewards = list(map(from_portable, saved["points"])), saved.get("rewards")

    def _replay_saved(self) -> None:
        saved, self._saved = self._saved or [], None
        for what, trial_id, *rest in saved:
            if what == "ask":
                self.suggest(trial_id)
            elif what == "adopt":
                self._adopt(trial_id, rest[0])
            elif what == "result":
                self._reach(trial_id, *rest)
            elif what == "learn":
                self._learn_elsewhere(trial_id, *rest)
                self._log.append([what, trial_id, *rest])
            else:
                self._end(trial_id, *rest)

    def _lent(self) -> AbstractContextManager[None]:
        """While a library that draws from the global generators is called, a generator of its own in their place."""
        if not self.global_numpy:
            return nullcontext()
        if self._generator is None:
            self._generator = OwnGenerator(self.seed)
        return self._generator.lent()
