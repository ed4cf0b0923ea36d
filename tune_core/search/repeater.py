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
        The metric of those that have ended well.
    failed
        How many have failed.
    """

    config: Config
    trials: list[str] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    failed: int = 0

    @property
    def mean(self) -> float | None:
        """Mean of the metric; None if nothing has ended well."""
        return sum(self.values.values()) / len(self.values) if self.values else None

    @property
    def sd(self) -> float | None:
        """Standard deviation of the metric (of the sample); None below two values."""
        mean, n = self.mean, len(self.values)
        if mean is None or n < 2:
            return None
        return math.sqrt(sum((v - mean) ** 2 for v in self.values.values()) / (n - 1))


class Repeater(WrappingSearcher):
    """Runs each suggestion of a searcher ``repeat`` times and tells it the mean.

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
    Failed repetitions are left out of the mean; if all repetitions of a suggestion failed, it has failed.
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
        """Tell the searcher the mean once all repetitions have ended."""
        name = self._group_of.pop(trial_id, None)
        if name is None:
            return
        group = self.groups[name]
        value = None if error or result is None else self._value(result)
        if value is None:
            group.failed += 1
        else:
            group.values[trial_id] = value
        if len(group.values) + group.failed < self.repeat:
            return
        if group.mean is None:
            self.searcher.on_trial_complete(name, None, True)
        else:
            last = dict(result or {})
            self.searcher.on_trial_complete(name, {**last, str(self.metric): group.mean}, False)

    def _value(self, result: Metrics) -> float | None:
        objective = Objective(str(self.metric), str(self.mode))
        loss = objective.loss(result)
        return objective.as_value(loss) if math.isfinite(loss) else None

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
