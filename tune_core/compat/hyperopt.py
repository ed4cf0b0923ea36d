"""HyperOpt's ``fmin``, run by tune-core: trials in parallel processes, journaled, resumable.

Change one line of a script::

    from tune_core.compat.hyperopt import fmin, hp, tpe, Trials, STATUS_OK

``fmin`` then runs the trials with tune-core; all other names are HyperOpt's own.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tune_core.core.optional_imports import require
from tune_core.core.validation import python_values, synchronous
from tune_core.core.values import Metrics
from tune_core.errors import InvalidArgumentError, in_terms_of
from tune_core.stopper import Stopper


def __getattr__(name: str) -> Any:
    return getattr(require("tune_core.compat.hyperopt", "hyperopt", "hyperopt"), name)


_NAMES = {
    "time_budget_s": "timeout",
    "num_samples": "max_evals",
    "max_concurrent_trials": "max_queue_len",
    "search_alg": "algo",
    "param_space": "space",
    "trainable": "fn",
}
"""What the arguments of a Tuner are called in :func:`fmin`."""


@python_values
def fmin(
    fn: Callable[[Any], Any],
    space: Any,
    algo: Any = None,
    max_evals: int | None = None,
    timeout: float | None = None,
    loss_threshold: float | None = None,
    trials: Any = None,
    rstate: Any = None,
    verbose: bool = False,
    return_argmin: bool = True,
    points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
    max_queue_len: int | None = None,
    show_progressbar: bool = False,
    early_stop_fn: Callable[..., Any] | None = None,
    catch_eval_exceptions: bool = False,
    trials_save_file: str = "",
    run_config: Any = None,
) -> Any:
    """Minimise ``fn`` over ``space``, as ``hyperopt.fmin`` does.

    Parameters
    ----------
    fn, space, timeout, loss_threshold, points_to_evaluate
        As in HyperOpt.
    algo
        One of HyperOpt's ``suggest`` functions; None takes ``tpe.suggest``.
    max_evals
        How many trials to have in the end, those counted that ``trials`` has already.
    trials
        A ``Trials`` to learn from and to add to.
    rstate
        A seed, or a NumPy ``Generator``. With ``max_queue_len=1``, a generator gives what it gives in HyperOpt.
    verbose, show_progressbar
        Whether to show tune-core's view.
    return_argmin
        Whether to return labels' values, or the best point of the space.
    max_queue_len
        How many trials may run at once; None: as many as the machine has room for.
    early_stop_fn
        Called with the trials after each that has ended; ends the search if it answers ``(True, arguments)``.
    catch_eval_exceptions
        Whether a trial that raises has merely failed; otherwise its error ends the search.
    trials_save_file
        A file to pickle the trials to after each that has ended. Where it exists, and ``trials`` is None, the search
        goes on with its trials. As any pickle, it runs code when it is read.
    run_config
        A ``tune_core.RunConfig`` to use in place of the default one.

    Returns
    -------
    object
        For each label the best value, as HyperOpt returns it. If ``return_argmin`` is False, the best point of the
        space, and None if there are no trials.

    Raises
    ------
    hyperopt.exceptions.AllTrialsFailed
        If no trial has a loss.
    InvalidArgumentError
        If ``algo`` is no function.
    """
    import hyperopt

    import tune_core as tune

    if algo is not None and not callable(algo):
        raise InvalidArgumentError(
            "fmin(algo)", f"is {algo!r}", "it is one of HyperOpt's suggest functions", "Use algo=tpe.suggest."
        )
    synchronous("fmin(fn)", fn)
    if trials is None:
        trials = _read(trials_save_file) if trials_save_file and os.path.exists(trials_save_file) else hyperopt.Trials()
    searcher = _search_class()(space, algo, rstate, points_to_evaluate, trials, early_stop_fn)
    searcher.one_by_one, searcher.save_file = max_queue_len == 1, trials_save_file
    left = -1 if max_evals is None else max(0, max_evals - len(trials))
    config = run_config or tune.RunConfig(
        verbose=int(bool(verbose or show_progressbar)),
        stop=None if loss_threshold is None else _Threshold(loss_threshold),
        failure_config=tune.FailureConfig(fail_fast=False if catch_eval_exceptions else "raise"),
    )
    if run_config is not None and loss_threshold is not None and config.stop is None:
        config = replace(config, stop=_Threshold(loss_threshold))
    with in_terms_of("fmin", _NAMES):
        tuner = tune.Tuner(
            _objective(fn, isinstance(space, Mapping)),
            tune_config=tune.TuneConfig(
                chdir_to_trial_dir=False,  # users of this interface expect paths as they are
                metric="loss",
                mode="min",
                search_alg=searcher,
                num_samples=left or 1,
                time_budget_s=timeout,
                max_concurrent_trials=max_queue_len,
            ),
            run_config=config,
        )
        if left:
            try:
                tuner.fit()
            finally:
                searcher.close()
    if not len(trials):
        if return_argmin:
            raise RuntimeError(
                "There are no evaluation tasks, cannot return argmin of task losses."
            )  # HyperOpt's words
        return None
    return trials.argmin if return_argmin else hyperopt.space_eval(space, trials.argmin)


def _read(path: str) -> Any:
    with open(path, "rb") as file:
        return pickle.load(file)


def _objective(fn: Callable[[Any], Any], is_mapping: bool) -> Callable[[Mapping[str, Any]], Any]:
    def objective(config: Mapping[str, Any]) -> dict[str, Any]:
        result = fn(dict(config) if is_mapping else config["value"])
        if not isinstance(result, Mapping):
            return {"loss": float(result), "status": "ok", RETURNED: ["loss", "status"]}
        found = {key: value for key, value in result.items() if key != "attachments"}
        _check(found)
        if found["status"] == "ok":
            return {**found, "loss": float(found["loss"]), RETURNED: list(found)}
        return {**found, "loss": float("nan"), RETURNED: [key for key in found if key != "loss"]}

    objective.__name__ = getattr(fn, "__name__", type(fn).__name__)
    return objective


RETURNED = "returned_keys"
"""The key of a result under which the names stand that the objective has returned, and not tune-core added."""


def _check(found: Metrics) -> None:
    """Refuse what HyperOpt refuses, with its exceptions."""
    from hyperopt import STATUS_STRINGS
    from hyperopt.exceptions import InvalidLoss, InvalidResultStatus

    if "status" not in found:
        raise KeyError(f"'status': the objective returned {dict(found)!r}; return 'status': STATUS_OK beside the loss")
    if found["status"] not in STATUS_STRINGS:
        raise InvalidResultStatus(found)
    if found["status"] == "ok":
        try:
            float(found["loss"])
        except (TypeError, ValueError, KeyError):
            raise InvalidLoss(f"{dict(found)!r}: 'loss' must be a number where 'status' is STATUS_OK") from None


class _Threshold(Stopper):
    """Ends the run at the first loss that is low enough."""

    def __init__(self, loss: float) -> None:
        self.loss = loss
        self.reached = False

    def __call__(self, trial_id: str, result: Metrics) -> bool:
        self.reached = self.reached or result.get("loss", float("inf")) <= self.loss
        return False

    def stop_all(self) -> bool:
        return self.reached

    def reason(self) -> str:
        return f"a loss of at most {self.loss:g} was reached"


_CLASS: Any = None


def _search_class() -> Any:
    """The searcher behind :func:`fmin`; made when it is needed, as HyperOpt is optional."""
    global _CLASS
    if _CLASS is not None:
        return _CLASS
    from tune_core.search.hyperopt import HyperOptSearch

    class FminSearch(HyperOptSearch):
        """Keeps its trials in the user's ``Trials``, as HyperOpt does, with what the objective returned."""

        def __init__(self, space: Any, algo: Any, rstate: Any, points: Any, trials: Any, early_stop_fn: Any) -> None:
            self._users_generator = rstate if hasattr(rstate, "integers") else None
            seed = int(rstate.randint(2**31 - 1)) if hasattr(rstate, "randint") else rstate
            seed = None if self._users_generator is not None else seed
            super().__init__(space, "loss", "min", points, random_state_seed=seed, algo=algo)
            self._users_trials, self._early_stop_fn = trials, early_stop_fn
            self._early_stop_arguments: list[Any] = []
            self._ended = False
            self._result: Metrics = {}  # of the trial that is being told
            self._ends: dict[int, int] = {}  # in which order the trials have ended
            self.one_by_one = False
            self.save_file = ""

        def __deepcopy__(self, memo: object) -> Any:
            return self  # it fills the Trials of this process

        def _setup(self) -> None:
            super()._setup()
            self._trials = self._users_trials
            if self._users_generator is not None:
                self._rng = self._users_generator

        def _ask(self, trial_id: str) -> Any:
            if self.one_by_one and self._tids:
                return None
            return self.FINISHED if self._ended else super()._ask(trial_id)

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            """Tell HyperOpt, and the user's own objects."""
            is_ours = trial_id in self._tids
            self._result = result or {}
            super().on_trial_complete(trial_id, result, error)
            if not is_ours or not (self.save_file or self._early_stop_fn):
                return
            ended = self._in_the_order_of_their_ends()
            self._save(ended)
            if self._early_stop_fn is not None:
                stop, more = self._early_stop_fn(ended, *self._early_stop_arguments)
                self._ended, self._early_stop_arguments = bool(stop), list(more)

        def _finish(self, trial_id: str, state: int, result: Any) -> None:
            """Fill in the trial's document: with what its objective returned, if it did."""
            tid, trials, hyperopt = self._tids.pop(trial_id), self._trials, self._hyperopt
            document = next(found for found in reversed(trials._dynamic_trials) if found["tid"] == tid)
            document["refresh_time"] = hyperopt.utils.coarse_utcnow()
            self._ends[tid] = len(self._ends)
            returned = self._result.get(RETURNED)
            if returned is None:
                document["state"], document["result"] = hyperopt.JOB_STATE_ERROR, {"status": hyperopt.STATUS_FAIL}
            else:
                document["state"] = hyperopt.JOB_STATE_DONE
                document["result"] = {key: self._result[key] for key in returned if key in self._result}
            trials.refresh()

        def _in_the_order_of_their_ends(self) -> Any:
            """The user's ``Trials`` as they would be had the ended trials run one after the other, and no others."""
            hyperopt, running = self._hyperopt, set(self._tids.values())
            documents = [found for found in self._trials._dynamic_trials if found["tid"] not in running]
            documents.sort(key=lambda found: self._ends.get(found["tid"], -1))
            return hyperopt.trials_from_docs(documents, validate=False, exp_key=self._trials._exp_key)

        def _save(self, ended: Any) -> None:
            if self.save_file:
                import cloudpickle  # as HyperOpt does

                part = f"{self.save_file}.part"
                with open(part, "wb") as file:
                    cloudpickle.dump(ended, file)
                os.replace(part, self.save_file)

        def close(self) -> None:
            """Trials that were cut off count for nothing, as those that raised."""
            self._result = {}
            for trial_id in list(self._tids):
                self._finish(trial_id, self._hyperopt.JOB_STATE_ERROR, {})

    _CLASS = FminSearch
    return _CLASS
