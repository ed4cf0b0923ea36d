"""Tries each suggestion several times and tells the searcher the mean, for objectives that are noisy."""

from __future__ import annotations

import base64
import json
import math
import os
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_core.core.automatic import AUTO_RESULT_KEYS
from tune_core.core.flatten import flatten
from tune_core.core.objective import Objective
from tune_core.core.validation import python_values
from tune_core.core.values import Config, ConfigView, Metrics
from tune_core.errors import InvalidArgumentError, RestoreError
from tune_core.search.base import Searcher
from tune_core.search.wrapping import WrappingSearcher
from tune_core.space.portable import from_portable, to_portable

TRIAL_INDEX = "__trial_index__"
"""Key of a configuration that holds the number of its repetition, from 0."""


@dataclass
class Group:
    """The repetitions of one suggestion.

    Parameters
    ----------
    config
        The suggestion.
    trials
        Ids of its trials, in order.
    values
        The metric of those that have ended well; of several metrics the first.
    numbers
        All numbers in their last results, by flat names.
    pruned
        Those of them that a scheduler ended early.
    failed
        How many have failed.
    """

    config: Config
    trials: list[str] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    pruned: list[str] = field(default_factory=list)
    failed: int = 0

    @property
    def counted(self) -> list[str]:
        """The trials that the mean is of: the complete ones, or, if there is none, those that were ended early."""
        return [trial for trial in self.values if trial not in self.pruned] or list(self.values)

    @property
    def mean(self) -> float | None:
        """Mean of the metric; None if nothing has ended well."""
        counted = self.counted
        return sum(map(self.values.__getitem__, counted)) / len(counted) if counted else None

    @property
    def means(self) -> dict[str, float]:
        """Means of all numbers that each of these trials has."""
        first, *others = map(self.numbers.__getitem__, self.counted)
        shared = [name for name in first if all(name in other for other in others)]
        return {name: sum(one[name] for one in (first, *others)) / (1 + len(others)) for name in shared}

    @property
    def sd(self) -> float | None:
        """Standard deviation of the metric (of the sample); None below two values."""
        mean, counted = self.mean, self.counted
        if mean is None or len(counted) < 2:
            return None
        return math.sqrt(sum((self.values[trial] - mean) ** 2 for trial in counted) / (len(counted) - 1))


class Repeater(WrappingSearcher):
    """Runs each suggestion of a searcher ``repeat`` times and tells it the means of the metrics.

    Parameters
    ----------
    searcher
        The searcher whose suggestions are repeated.
    repeat
        How many times. ``num_samples`` counts trials, so it should be a multiple of this.
    set_index
        Whether the configuration says which repetition it is, as ``config["__trial_index__"]`` from 0: a seed for the
        objective.

    Notes
    -----
    Failed repetitions are left out of the means; if all repetitions of a suggestion failed, it has failed. So are those
    that a scheduler ended early, where others are complete; if none is, the suggestion counts as pruned.
    """

    _done_to_it = "repeated"
    _example = "Repeater(OptunaSearch(), 3)"

    @python_values
    def __init__(self, searcher: Searcher, repeat: int = 1, set_index: bool = True) -> None:
        super().__init__(searcher)
        if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
            raise InvalidArgumentError(
                "Repeater(repeat)", f"is {repeat!r}", "it counts trials", "Use an int of 1 or more."
            )
        self.repeat = repeat
        self.set_index = set_index
        self.groups: dict[str, Group] = {}
        """By the id of the first trial of each: what was suggested, and its statistics so far."""
        self._group_of: dict[str, str] = {}
        self._open: str | None = None  # the group that still lacks trials

    def suggest(self, trial_id: str) -> Config | str | None:
        """The suggestion that still lacks repetitions, or a new one."""
        if self._open is None:
            suggestion = self.searcher.suggest(trial_id)
            if not isinstance(suggestion, Mapping):
                return suggestion
            self._begin(trial_id, suggestion)
        return self._join(trial_id)

    def _begin(self, trial_id: str, config: ConfigView) -> None:
        self.groups[trial_id] = Group(dict(config))
        self._open = trial_id

    def _join(self, trial_id: str) -> dict[str, Any]:
        assert self._open is not None
        name, group = self._open, self.groups[self._open]
        index = len(group.trials)
        group.trials.append(trial_id)
        self._group_of[trial_id] = name
        if len(group.trials) == self.repeat:
            self._open = None
        return {**group.config, TRIAL_INDEX: index} if self.set_index else dict(group.config)

    def adopt(self, trial_id: str, config: ConfigView) -> None:
        """Add the trial to its group; the first trial of each group is forwarded."""
        bare = {key: value for key, value in config.items() if key != TRIAL_INDEX}
        if trial_id in self._group_of:  # suggested a moment ago, with another configuration
            name = self._group_of[trial_id]
            if name == trial_id:
                self.groups[name].config = bare
                self.searcher.adopt(trial_id, bare)
            return
        if self._open is None:
            self._begin(trial_id, bare)
            self.searcher.adopt(trial_id, bare)
        self._join(trial_id)

    def on_trial_complete(self, trial_id: str, result: Metrics | None = None, error: bool = False) -> None:
        """Tell the searcher the means once all repetitions have ended."""
        self._end(trial_id, None if error else result, False)

    def on_trial_pruned(self, trial_id: str, result: Metrics) -> None:
        """The same for a trial that a scheduler ended early."""
        self._end(trial_id, result, True)

    def _end(self, trial_id: str, result: Metrics | None, pruned: bool) -> None:
        name = self._group_of.pop(trial_id, None)
        if name is None:
            return
        group = self.groups[name]
        values = None if result is None else self._values(result)
        if values is None or result is None:
            group.failed += 1
        else:
            group.values[trial_id] = next(iter(values.values()))
            group.numbers[trial_id] = {**_numbers(result), **values}
            if pruned:
                group.pruned.append(trial_id)
        if len(group.values) + group.failed < self.repeat:
            return
        if not group.values:
            self.searcher.on_trial_complete(name, None, True)
            return
        told = {**(result or {}), **group.means}
        if len(group.pruned) == len(group.values):
            self.searcher.on_trial_pruned(name, told)
        else:
            self.searcher.on_trial_complete(name, told, False)

    def _values(self, result: Metrics) -> dict[str, float] | None:
        """The metrics that are optimised; None if one of them is missing or not finite."""
        metrics = [self.metric] if isinstance(self.metric, str) else list(self.metric)
        modes = [self.mode] * len(metrics) if isinstance(self.mode, str) else list(self.mode)
        objectives = [Objective(metric, mode) for metric, mode in zip(metrics, modes, strict=True)]
        losses = [objective.loss(result) for objective in objectives]
        if not all(map(math.isfinite, losses)):
            return None
        return {one.metric: one.as_value(loss) for one, loss in zip(objectives, losses, strict=True)}

    def unfinished_trials(self) -> Collection[str]:
        """Trials that have not ended."""
        return self._group_of.keys()

    def save(self, checkpoint_path: str) -> None:
        """Write the groups, and the searcher's own state, as JSON."""
        self.searcher.save(checkpoint_path)
        with open(checkpoint_path, "rb") as file:
            inner = base64.b64encode(file.read()).decode("ascii")
        groups = {
            name: {**vars(group), "config": to_portable(dict(group.config))} for name, group in self.groups.items()
        }
        state = {"repeated": inner, "groups": groups, "group_of": self._group_of, "open": self._open}
        with open(checkpoint_path, "w", encoding="utf-8") as file:
            json.dump(state, file)

    def restore(self, checkpoint_path: str) -> None:
        """Read what :meth:`save` wrote, into a repeater that was made with the same arguments and is not yet used."""
        try:
            with open(checkpoint_path, encoding="utf-8") as file:
                state = json.load(file)
            inner = base64.b64decode(state["repeated"])
            groups = {
                name: Group(**{**given, "config": from_portable(given["config"])})
                for name, given in state["groups"].items()
            }
            group_of, opened = dict(state["group_of"]), state["open"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RestoreError(
                f"Repeater.restore({checkpoint_path!r})",
                f"cannot read the file ({type(error).__name__}: {error})",
                "it was not written by a repeater's save()",
                "Give the file that save() wrote.",
            ) from error
        with tempfile.TemporaryDirectory(prefix="tune-core-") as folder:
            path = os.path.join(folder, "state")
            with open(path, "wb") as file:
                file.write(inner)
            self.searcher.restore(path)
        self.groups, self._group_of, self._open = groups, group_of, opened

    def describe(self) -> str:
        """The searcher and the number of repetitions."""
        return f"Repeater({self.searcher.describe()}, repeat={self.repeat})"


def _numbers(result: Metrics) -> dict[str, float]:
    """The numbers that a trial has reported."""
    plain = {key: value for key, value in result.items() if key not in AUTO_RESULT_KEYS and key != "config"}
    return {key: float(value) for key, value in flatten(plain).items() if type(value) in (int, float)}
