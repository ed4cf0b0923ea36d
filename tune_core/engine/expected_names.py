"""Names in the configuration that no result has: most often a typo, reported once, while the run goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune_core.core import events as ev
from tune_core.core.flatten import flatten
from tune_core.core.near_names import nearest
from tune_core.core.user_warnings import warn_user

_PACKAGE = __name__.partition(".")[0]
RESULTS = 10
"""A trial that has reported so often has shown what it reports; so has one that ended."""


class ExpectedNames:
    """Watches the first results for the metrics that the configuration names.

    Parameters
    ----------
    names
        Each metric's name, and where it is named, e.g. ``{"los": "RunConfig(stop)"}``.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._missing = {name: where for name, where in names.items() if name not in _AUTOMATIC}
        self._seen: dict[str, None] = {}
        self._results: dict[int, int] = {}

    def see(self, event: Any) -> bool:
        """Take in an event; whether there is nothing more to watch for."""
        kind = type(event)
        if kind is ev.Reported:
            for name in [name for name in self._missing if ev.value_of(event, name) is not None]:
                del self._missing[name]
            self._seen.update(dict.fromkeys(flatten(event.metrics)))
            number = self._results[event.trial] = self._results.get(event.trial, 0) + 1
            if self._missing and number < RESULTS:
                return False
        elif kind is not ev.Ended or event.trial not in self._results:
            return not self._missing
        for name, where in self._missing.items():
            warn_user(self._text(name, where))
        return True

    def _text(self, name: str, where: str) -> str:
        if name in self._seen:
            return f"{where} names the metric {name!r}, which was None in each result so far: None is no value."
        close = nearest(name, self._seen)
        hint = f" Did you mean {close!r}?" if close else ""
        reported = ", ".join(list(self._seen)[:20])
        return f"{where} names the metric {name!r}, which no result has so far; reported were: {reported}.{hint}"


_AUTOMATIC = ("training_iteration", "time_total_s", "timestamp", "trial_id", "done")


def misspelt_mutations(mutated: object, space: Mapping[str, object]) -> list[str]:
    """Warnings about names in ``hyperparam_mutations`` that look like a parameter which is in the space otherwise."""
    if not isinstance(mutated, Mapping):
        return []
    known, names = list(flatten(dict(space))), list(flatten(dict(mutated)))
    unmutated = [name for name in known if name not in names]
    return [
        f"hyperparam_mutations names {name!r}, which param_space does not have: it is drawn from there at the start, "
        f"beside {close!r}, which never changes. Did you mean {close!r}?"
        for name in names
        if name not in known and (close := nearest(name, unmutated))
    ]


def misspelt_hooks(part: object, base: type) -> list[str]:
    """Warnings about methods of a user's subclass of ``base`` that are named almost like a hook that it lacks."""
    classes = type(part).__mro__
    own = [cls for cls in classes if issubclass(cls, base) and cls.__module__.partition(".")[0] != _PACKAGE]
    inherited = {name for cls in classes if cls not in own for name in vars(cls)}
    defined = {name: cls for cls in own for name, value in vars(cls).items() if callable(value)}
    hooks = [name.removeprefix("on_") for name in dir(base) if name.startswith("on_")]
    return [
        f"{cls.__name__}.{name} is none of the hooks of a {base.__name__}, so the run does not call it. "
        f"Did you mean 'on_{close}'?"
        for name, cls in defined.items()
        if name.startswith("on_") and name not in inherited
        if (close := nearest(name.removeprefix("on_"), hooks, 0.8)) and f"on_{close}" not in defined
    ]
