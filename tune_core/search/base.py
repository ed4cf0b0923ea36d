"""The searcher's extension point: ask (:meth:`Searcher.suggest`) and tell (:meth:`Searcher.on_trial_complete`).

How a searcher works
--------------------
A searcher is a sequential model-based optimiser behind an *ask-and-tell* interface. It is asked for the configuration
of a new trial and told what trials came to; it never runs, stops or sees a trial, and holds no clock and no files.

**What it knows first.** ``set_search_properties`` is called once, before the first ask, with the metric (or metrics),
the mode, the search space, and in ``spec`` the seed, ``num_samples`` and constraints. A searcher made with a space or
metric of its own answers False if the two conflict. Results of earlier experiments and the points to evaluate first are
handed over before the first ask, too.

**When it is asked.** ``suggest(trial_id)`` is called while there are fewer unfinished suggestions than the run may have
at once (one a worker, and a few in reserve so that no worker waits; ``ConcurrencyLimiter`` lowers that), until
``num_samples`` trials exist or it answers :attr:`Searcher.FINISHED`. None means "not now": it is asked again after the
next tell. So with W workers about W suggestions are *pending* when it is asked: it has no results of them yet, and a
good searcher does not suggest points near them again (constant liar, kriging believer, fantasies).

**What it is told, and in what order.** Of each suggested trial, in the order in which the events were journaled:

1. any number of *rungs*, ``on_trial_result``: intermediate results at lower *fidelity*. With ``results_wanted`` at
   ``"rungs"`` only those on which the scheduler decided; with ``"all"`` each one. Within a trial the steps rise, except
   that a trial which went back to a checkpoint reports steps again. Each report holds the configuration it was made
   with.
2. one *end*, exactly one, after which the trial is never named again, unless a user resumes failed trials:

   ===================== ============================================================================================
   ``on_trial_complete`` the trial had all it could get: it returned, or met a stop condition, or a scheduler let it
                         pass its last rung. With ``error=True`` it failed for good, or its metric is missing, NaN or
                         infinite.
   ``on_trial_pruned``   a scheduler ended it early: the result is its last, at less than the full budget. By default
                         it counts as complete; a model should not take it for the value at full fidelity.
   ===================== ============================================================================================

   When population-based training turns a trial into a copy of another, it ends there for the searcher: what follows is
   not the configuration that it suggested. A failure that is retried is not reported; only the last attempt's end is.

**Order among trials.** Trials end in any order, not always in that of their suggestion. What a searcher answers may
depend on its arguments, the seed and the sequence of asks and tells alone.

**Restore.** After a crash a fresh copy, made from the same arguments, is given the journal's asks and tells again
(:attr:`Searcher.replays`). If it answers differently this time, ``adopt`` says which configuration the trial really
has, and those of all trials after it. Where replaying is too slow, asks are not repeated: ``adopt`` gives each trial's
configuration, and its tells follow. A searcher that can say in a few numbers what its next suggestion depends on beside
all asks and tells (``resume_state``) is not asked again either: ``recall`` gives back what it had suggested, and
``set_resume_state`` those numbers, so it goes on exactly as it would have.

**Invariants** (``tune_core.testing.searchers`` checks them for each searcher): configurations lie in the space; the
same seed and the same asks and tells give the same configurations; a failed trial does not end the search; a tell of an
unknown trial is no error; the global random generators are left as they were; ``suggest`` does not change what it was
told.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tune_core.core.objective import check_mode, lookup
from tune_core.core.values import Config, ConfigView, JsonObject, Metrics
from tune_core.errors import RestoreError

STATE_FILE = "searcher-state-{}.pkl"
"""Name of a searcher's state file in a folder. The ending is Ray Tune's; the content is JSON."""


def ignores_result(method: Callable[..., None]) -> Callable[..., None]:
    """Mark an ``on_trial_complete`` that does not read the result, so that none is put together for it.

    A method that overrides it in a subclass is given results again.
    """
    method.ignores_result = True  # type: ignore[attr-defined]
    return method


class Searcher:
    """Proposes configurations and learns from results.

    Names and semantics are Ray Tune's, so a searcher written for it works here. The engine calls a searcher from one
    thread at a time and journals each ask and each tell in order; after a crash a fresh copy is given the same asks
    and tells again, so a searcher needs no state file of its own.

    Parameters
    ----------
    metric, mode
        What to optimise; None takes ``TuneConfig``'s.
    """

    FINISHED = "FINISHED"
    """Answer of :meth:`suggest` that ends the search."""

    stateless: bool = False
    """Whether suggestion *i* depends on the seed and *i* alone: then nothing is replayed and nothing waits."""
    last_reason: str = ""
    """Why the last configuration was suggested, in a few words, for ``tune-core explain``; empty: no reason to give."""
    chosen_because: str = ""
    """Why ``search_alg="auto"`` took this searcher, for the beginning of a run; empty if the user chose it."""
    multi_objective: bool = False
    """Whether ``set_search_properties`` takes lists of metrics and modes."""
    handles_constraints: bool = False
    """Whether it heeds the ``constraints`` of ``set_search_properties``, or learns nothing that they could change."""
    replays: bool = True
    """Whether restoring repeats all asks and tells; slow searchers may be told results only (see ``SEARCHERS``)."""

    results_wanted: str = "all"
    """Which results :meth:`on_trial_result` is sent, if it is overridden: ``"all"``, or ``"rungs"``, those on which a
    scheduler decides."""

    def __init__(self, metric: str | None = None, mode: str | None = None) -> None:
        if isinstance(mode, str):
            check_mode(mode, f"{type(self).__name__}(mode)")
        self._metric = metric
        self._mode = mode

    @property
    def metric(self) -> Any:
        """The metric in force, or None."""
        return self._metric

    @property
    def mode(self) -> Any:
        """The mode in force, or None."""
        return self._mode

    def set_search_properties(self, metric: str | None, mode: str | None, config: ConfigView, **spec: Any) -> bool:
        """Take the run's metric, mode and search space; ``spec`` holds ``seed`` and ``num_samples``.

        Return False if the searcher already has a space or metric of its own that conflicts.
        """
        self._metric = self._metric if self._metric is not None else metric
        self._mode = self._mode if self._mode is not None else mode
        return True

    def suggest(self, trial_id: str) -> Config | str | None:
        """The configuration for a new trial; None: not now, ask again after the next result; ``FINISHED``: no more."""
        raise NotImplementedError

    def on_trial_result(self, trial_id: str, result: Metrics) -> None:
        """An intermediate result. Only searchers that override this are sent them; see :attr:`results_wanted`.

        A trial that goes back to a checkpoint may report a step again.
        """

    def on_trial_complete(self, trial_id: str, result: Metrics | None = None, error: bool = False) -> None:
        """A trial ended. ``error``: it failed, or its metric is missing, NaN or infinite; ``result`` may be None."""

    def on_trial_pruned(self, trial_id: str, result: Metrics) -> None:
        """A scheduler ended a trial early: ``result`` is its last, at less than the full budget."""
        self.on_trial_complete(trial_id, result)

    def adopt(self, trial_id: str, config: ConfigView) -> None:
        """On restore: trial ``trial_id`` runs ``config``, whatever :meth:`suggest` answered for it just now.

        Called if a searcher does not repeat its suggestions (``replays`` is False, or it did not repeat this one).
        """

    def resume_state(self) -> JsonObject | None:
        """What its suggestions depend on beside its arguments, the asks and the tells, as JSON of a bounded size.

        None: it cannot say that, and a restore asks everything again. What a fresh one says must differ where it is
        made from arguments by which it would answer differently.
        """
        return None

    def set_resume_state(self, state: JsonObject) -> None:
        """On restore: go on as the searcher does that gave this by :meth:`resume_state`, after the same asks and tells.

        Raises
        ------
        ValueError, TypeError, LookupError, AttributeError
            If it is no such state; the searcher's own is unchanged then.
        """
        raise TypeError(f"{type(self).__name__} has no state to go on from")

    def recall(self, trial_id: str, config: ConfigView, reason: str = "") -> None:
        """On restore: trial ``trial_id`` runs ``config``, which this searcher suggested then, for ``reason``.

        Called in place of :meth:`suggest`, if :meth:`resume_state` is not None; must not draw.
        """
        self.adopt(trial_id, config)

    def add_evaluated_point(
        self,
        parameters: ConfigView,
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        """Tell the searcher a point that was evaluated elsewhere, before the search starts."""
        raise NotImplementedError(f"{type(self).__name__} cannot be told points that were evaluated elsewhere")

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Take over the limit on unfinished suggestions; False leaves it to the engine."""
        return False

    def unfinished_trials(self) -> Collection[str]:
        """Trials that were suggested and have not ended, as far as the searcher knows them; limits count them."""
        return ()

    def save(self, checkpoint_path: str) -> None:
        """Write the searcher's state to a file, for users who keep it themselves. The engine does not use it."""
        raise NotImplementedError(f"{type(self).__name__} cannot be saved to a file")

    def restore(self, checkpoint_path: str) -> None:
        """Read the state that :meth:`save` wrote."""
        raise NotImplementedError(f"{type(self).__name__} cannot be restored from a file")

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Write the state to ``searcher-state-<session_str>.pkl`` in a folder; see :meth:`save`."""
        os.makedirs(checkpoint_dir, exist_ok=True)
        path = os.path.join(checkpoint_dir, STATE_FILE.format(session_str))
        self.save(f"{path}.new")
        os.replace(f"{path}.new", path)

    def restore_from_dir(self, checkpoint_dir: str) -> None:
        """Read the newest state that :meth:`save_to_dir` wrote into a folder.

        Raises
        ------
        RestoreError
            If there is none.
        """
        import glob

        found = glob.glob(os.path.join(glob.escape(checkpoint_dir), STATE_FILE.format("*")))
        if not found:
            raise RestoreError(
                f"{type(self).__name__}.restore_from_dir({checkpoint_dir!r})",
                "finds no state of a searcher",
                "save_to_dir has not been called with that folder",
                "Check the folder's name.",
            )
        self.restore(max(found, key=os.path.getmtime))

    def get_state(self) -> dict[str, Any]:
        """The state as plain values; :meth:`set_state` takes it."""
        with tempfile.TemporaryDirectory(prefix="tune-core-") as folder:
            path = os.path.join(folder, "state")
            self.save(path)
            with open(path, "rb") as file:
                return {"searcher": type(self).__name__, "state": file.read()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take what :meth:`get_state` gave."""
        with tempfile.TemporaryDirectory(prefix="tune-core-") as folder:
            path = os.path.join(folder, "state")
            with open(path, "wb") as file:
                file.write(state["state"])
            self.restore(path)

    @staticmethod
    def convert_search_space(spec: Mapping[str, Any], join: bool = False) -> Any:
        """A search space as this searcher's ``space`` takes it: unchanged, since nothing has to be converted here."""
        return dict(spec)

    def add_evaluated_trials(self, trials_or_analysis: Any, metric: str) -> None:
        """Tell the searcher trials of an earlier run: an analysis, or a list of its trials."""
        trials = getattr(trials_or_analysis, "trials", trials_or_analysis)
        for trial in [trials] if hasattr(trials, "last_result") else trials:
            value = lookup(trial.last_result, metric)
            if value is not None:
                self.add_evaluated_point(trial.config, value)

    def describe(self) -> str:
        """One line for the journal and the progress display."""
        return type(self).__name__
