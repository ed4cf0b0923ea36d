"""HyperOpt's ``fmin``, run by tune-core: trials in parallel processes, journaled, resumable.

Change one line of a script::

    from tune_core.compat.hyperopt import fmin, hp, tpe, Trials, STATUS_OK

``fmin`` then runs the trials with tune-core; all other names are HyperOpt's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tune_core.core.optional_imports import require
from tune_core.stopper import Stopper


def __getattr__(name: str) -> Any:
    return getattr(require("tune_core.compat.hyperopt", "hyperopt", "hyperopt"), name)


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
    run_config: Any = None,
) -> Any:
    """Minimise ``fn`` over ``space``, as ``hyperopt.fmin`` does.

    Parameters
    ----------
    fn, space, algo, max_evals, timeout, loss_threshold, points_to_evaluate, return_argmin
        As in HyperOpt; ``algo`` is ``tpe.suggest`` unless given.
    trials
        A ``Trials`` to add the finished trials to.
    rstate
        A seed, or a NumPy ``Generator`` to draw one from.
    verbose, show_progressbar
        Whether to show tune-core's view.
    max_queue_len
        How many trials may run at once; None: as many as the machine has room for.
    early_stop_fn
        Called with the trials after each that has ended; ends the search if it answers ``(True, arguments)``.
    catch_eval_exceptions
        Whether a trial that raises has merely failed; otherwise its error ends the search.
    run_config
        A ``tune_core.RunConfig`` to use in place of the default one.

    Returns
    -------
    dict
        For each label the best value, as HyperOpt returns it; None if ``return_argmin`` is False.
    """
    import tune_core as tune

    searcher = _search_class()(space, algo, _seed(rstate), points_to_evaluate, trials, early_stop_fn)
    config = run_config or tune.RunConfig(
        verbose=int(bool(verbose or show_progressbar)),
        stop=None if loss_threshold is None else _Threshold(loss_threshold),
        failure_config=tune.FailureConfig(fail_fast=False if catch_eval_exceptions else "raise"),
    )
    if run_config is not None and loss_threshold is not None and config.stop is None:
        config = replace(config, stop=_Threshold(loss_threshold))
    tuner = tune.Tuner(
        _objective(fn, isinstance(space, Mapping)),
        tune_config=tune.TuneConfig(
            chdir_to_trial_dir=False,  # users of this interface expect paths as they are
            metric="loss",
            mode="min",
            search_alg=searcher,
            num_samples=-1 if max_evals is None else max_evals,
            time_budget_s=timeout,
            max_concurrent_trials=max_queue_len,
        ),
        run_config=config,
    )
    tuner.fit()
    return searcher.argmin if return_argmin else None


def _seed(rstate: Any) -> int | None:
    if rstate is None or isinstance(rstate, int):
        return rstate
    draw = getattr(rstate, "integers", None) or rstate.randint
    return int(draw(2**31 - 1))


def _objective(fn: Callable[[Any], Any], is_mapping: bool) -> Callable[[Mapping[str, Any]], Any]:
    def objective(config: Mapping[str, Any]) -> dict[str, Any]:
        result = fn(dict(config) if is_mapping else config["value"])
        if not isinstance(result, Mapping):
            return {"loss": float(result), "status": "ok"}
        found = {key: value for key, value in result.items() if key != "attachments"}
        if found.get("status", "ok") == "fail":
            found["loss"] = float("nan")
        return found

    objective.__name__ = getattr(fn, "__name__", type(fn).__name__)
    return objective


class _Threshold(Stopper):
    """Ends the run at the first loss that is low enough."""

    def __init__(self, loss: float) -> None:
        self.loss = loss
        self.reached = False

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
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
        """Remembers the best point by its labels, and fills the user's ``Trials``."""

        def __init__(self, space: Any, algo: Any, seed: Any, points: Any, trials: Any, early_stop_fn: Any) -> None:
            super().__init__(space, "loss", "min", points, random_state_seed=seed, algo=algo)
            self.argmin: dict[str, Any] = {}
            self._best = float("inf")
            self._users_trials, self._early_stop_fn = trials, early_stop_fn
            self._early_stop_arguments: list[Any] = []
            self._ended = False

        def __deepcopy__(self, memo: Any) -> Any:
            return self  # it fills the Trials of this process

        def _ask(self, trial_id: str) -> Any:
            return self.FINISHED if self._ended else super()._ask(trial_id)

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            """Tell HyperOpt, and the user's own objects."""
            values = self._live.get(trial_id)
            super().on_trial_complete(trial_id, result, error)
            if values is None:
                return
            if not error and result is not None and result["loss"] < self._best:
                self._best, self.argmin = result["loss"], dict(values)
            if self._users_trials is not None:
                self._copy(values, result if not error else None)
                if self._early_stop_fn is not None:
                    stop, more = self._early_stop_fn(self._users_trials, *self._early_stop_arguments)
                    self._ended, self._early_stop_arguments = bool(stop), list(more)

        def _copy(self, values: Any, result: Any) -> None:
            trials, hyperopt = self._users_trials, self._hyperopt
            tid = trials.new_trial_ids(1)[0]
            labels = self._domain.params
            misc = {
                "tid": tid,
                "cmd": ("domain_attachment", "FMinIter_Domain"),
                "workdir": None,
                "idxs": {label: [tid] if label in values else [] for label in labels},
                "vals": {label: [values[label]] if label in values else [] for label in labels},
            }
            state = hyperopt.JOB_STATE_ERROR if result is None else hyperopt.JOB_STATE_DONE
            own = {"status": "fail"} if result is None else {"status": "ok", **result}
            docs = trials.new_trial_docs([tid], [None], [own], [misc])
            docs[0]["state"] = state
            trials.insert_trial_docs(docs)
            trials.refresh()

    _CLASS = FminSearch
    return _CLASS
