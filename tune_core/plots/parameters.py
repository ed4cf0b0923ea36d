"""Parameters as axes: numbers or categories, logarithmic or not, where they exist at all."""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tune_core.display.formatting import value_text
from tune_core.results.recording import Recording, flat_config

MAX_CATEGORIES = 24
_LARGEST = sys.float_info.max
_CHOICES = ("choice", "grid_search")
_NESTED = re.compile(r"'([^']+)': ((?:q?(?:log)?(?:uniform|randint|randn))\([^()]*\))")


@dataclass
class Parameter:
    """One parameter of an experiment.

    ``values`` has an entry for each trial that has the parameter: a number, or the position in ``labels``.
    """

    name: str
    log: bool = False
    labels: list[str] | None = None
    values: dict[int, float] = field(default_factory=dict)
    _bounds: tuple[float, float] | None = field(default=None, repr=False, compare=False)

    @property
    def is_category(self) -> bool:
        """Whether its values are categories."""
        return self.labels is not None

    @property
    def varies(self) -> bool:
        """Whether it has more than one value, counting its absence as one."""
        return len(set(self.values.values())) > 1

    def bounds(self) -> tuple[float, float]:
        """Least and greatest value, never the same."""
        if self._bounds is None:
            self._bounds = self._find_bounds()
        return self._bounds

    def _find_bounds(self) -> tuple[float, float]:
        if self.labels is not None:
            return 0.0, max(1.0, len(self.labels) - 1.0)
        finite = [v for v in self.values.values() if math.isfinite(v)] or [0.0]
        return apart(min(finite), max(finite), 0.5, 0.5)

    def unit(self, value: float) -> float:
        """A value's place between 0 and 1, on the scale that the parameter is searched on."""
        return place_between(value, *self.bounds(), self.log)

    def text(self, value: float) -> str:
        """A value as people read it."""
        if self.labels is not None:
            return self.labels[int(value)]
        return value_text(int(value) if abs(value) < 1e15 and value == int(value) else float(value))


def apart(low: float, high: float, below: float, above: float) -> tuple[float, float]:
    """The ends of an axis: ``low`` and ``high``, or around them where they are the same, never the same."""
    if low < high:
        return low, high
    least = abs(low) * 1e-3  # beside a large number, the steps that fit small ones are nothing
    below, above = (max(step, least) if step else 0.0 for step in (below, above))
    return max(-_LARGEST, low - below), min(_LARGEST, high + above)


def place_between(value: float, low: float, high: float, log: bool = False) -> float:
    """A value's place between ``low`` (0) and ``high`` (1), whatever the numbers are."""
    if log and low > 0:
        width = math.log(high) - math.log(low)
        if width > 0:
            return (math.log(value) - math.log(low)) / width if value > 0 else 0.0
    if math.isinf(high - low):  # too far apart for their difference to be a number
        value, low, high = value / 4, low / 4, high / 4
    return (value - low) / (high - low)


def parameters_of(recording: Recording, wanted: Iterable[str] | None = None) -> list[Parameter]:
    """The parameters that vary between trials, in the order of the search space; or the ``wanted`` ones."""
    texts = described(recording.experiment.header.space)
    configs = {trial.index: flat_config(trial.config) for trial in recording.trials}
    appeared = dict.fromkeys(name for config in configs.values() for name in config)
    tops = list(dict.fromkeys(name.partition("/")[0] for name in (*texts, *appeared)))
    chosen = list(wanted) if wanted is not None else sorted(appeared, key=lambda n: tops.index(n.partition("/")[0]))
    found = []
    for name in chosen:
        raw = {index: config[name] for index, config in configs.items() if name in config}
        if not raw:
            continue
        parameter = _parameter(name, raw, texts.get(name, ""))
        if wanted is not None or parameter.varies or len(raw) < len(configs):
            found.append(parameter)
    return [p for p in found if wanted is not None or p.varies]


def described(space: object, prefix: str = "") -> dict[str, str]:
    """The text of each domain of a journaled space, by the parameter's name."""
    found: dict[str, str] = {}
    if isinstance(space, Mapping):
        if set(space) == {"grid_search"}:
            return {prefix.rstrip("/"): f"grid_search({space['grid_search']!r})"}
        for name, child in space.items():
            found.update(described(child, f"{prefix}{name}/"))
        return found
    if not isinstance(space, str) or not prefix:
        return {}
    found[prefix.rstrip("/")] = space
    if space.startswith("choice("):  # the domains of the dicts among its categories
        found.update((f"{prefix}{name}", text) for name, text in _NESTED.findall(space))
    return found


def _parameter(name: str, raw: Mapping[int, Any], text: str) -> Parameter:
    function = text.partition("(")[0]
    values = list(raw.values())
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    if numbers and function not in _CHOICES:
        return Parameter(name, _is_log(function, values), None, {i: float(v) for i, v in raw.items()})
    return _category(name, raw, known_choices(text), numbers)


def _is_log(function: str, values: Sequence[float]) -> bool:
    low = min(values)
    if not low > 0:
        return False
    if function:
        return "log" in function
    return max(values) / low >= 1000


def known_choices(text: str) -> list[object]:
    if text.partition("(")[0] not in _CHOICES:
        return []
    try:
        found = ast.literal_eval(text.partition("(")[2].rpartition(")")[0])
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # values that are no literals
        return []
    return list(found) if isinstance(found, (list, tuple)) else []


def _category(name: str, raw: Mapping[int, Any], known: Sequence[Any], numbers: bool) -> Parameter:
    counts: dict[str, int] = {label_of(value): 0 for value in known}
    for value in raw.values():
        counts[label_of(value)] = counts.get(label_of(value), 0) + 1
    labels = list(counts)
    if numbers:
        by_label = {label_of(v): v for v in (*known, *raw.values())}
        labels.sort(key=lambda label: by_label[label])
    if len(labels) > MAX_CATEGORIES:
        kept = set(sorted(labels, key=lambda label: -counts[label])[: MAX_CATEGORIES - 1])
        labels = [label for label in labels if label in kept] + ["other"]
    position = {label: i for i, label in enumerate(labels)}
    other = len(labels) - 1
    return Parameter(name, False, labels, {i: float(position.get(label_of(v), other)) for i, v in raw.items()})


def label_of(value: object) -> str:
    """A category as a short text."""
    return value_text(value, 24)
