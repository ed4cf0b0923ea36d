"""Hydra's overrides as a search space, and a configuration of it as the overrides of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
    Transformer,
)
from hydra.errors import HydraException

import tune_core as tune
from tune_core import integration as tc

__all__ = ["Sweeps", "read"]

_PLAIN = (type(None), bool, int, float, str)


@dataclass
class Sweeps:
    """What a sweep searches, and what all of its jobs have in common.

    Parameters
    ----------
    fixed
        Overrides that are the same for each job.
    space
        Domains by parameter.
    keys
        How an override names the parameter: with a ``+`` where it adds a key.
    texts
        Of parameters with listed values: how an override writes each of them.
    """

    fixed: list[str] = field(default_factory=list)
    space: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    texts: dict[str, list[tuple[object, str]]] = field(default_factory=dict)

    def overrides(self, config: Mapping[str, object]) -> list[str]:
        """The overrides of the job that runs this configuration."""
        return [*self.fixed, *(f"{self.keys[name]}={self._text(name, value)}" for name, value in config.items())]

    def _text(self, name: str, value: object) -> str:
        for listed, text in self.texts.get(name, ()):
            if type(listed) is type(value) and listed == value:
                return text
        return str(value)


def read(overrides: Sequence[Override], *, grid: bool) -> Sweeps:
    """Sort parsed overrides into what is searched and what is fixed.

    Parameters
    ----------
    overrides
        As Hydra's parser gives them; of two for one key the later counts.
    grid
        Whether each combination of the listed values is to be run, as Hydra's own sweeper does.

    Raises
    ------
    HydraException
        If a sweep cannot be searched; names it.
    """
    found = Sweeps()
    for override in {o.get_key_element().lstrip("+~"): o for o in overrides}.values():
        if not override.is_sweep_override():
            found.fixed.append(override.input_line)
            continue
        name = override.get_key_element().lstrip("+")
        found.keys[name] = override.get_key_element()
        found.space[name] = _domain(override, name, found, grid)
    return found


def _domain(override: Override, name: str, found: Sweeps, grid: bool) -> Any:
    sweep: Any = override.value()
    tags = set(getattr(sweep, "tags", ()) or ())
    if isinstance(sweep, IntervalSweep):
        if grid or "grid" in tags:
            raise _wrong(override, "an interval has no list of values", "Use range(...) or choice(...)")
        return _interval(sweep, "log" in tags, override)
    if "log" in tags and not isinstance(sweep, RangeSweep):
        raise _wrong(override, "a list of values has no logarithm", "Leave the tag log out, or use interval(...)")
    if isinstance(sweep, RangeSweep) and not (grid or "grid" in tags):
        return _range(sweep, "log" in tags, override)
    return _listed(override, name, found, grid or "grid" in tags)


def _interval(sweep: IntervalSweep, log: bool, override: Override) -> object:
    start, end = sweep.start, sweep.end
    if start is None or end is None or end < start or (log and start <= 0):
        need = "start above 0 and " if log else ""
        raise _wrong(override, "its bounds are impossible", f"Use a {need}an end above the start")
    if start == end:
        return start
    if isinstance(start, int) and isinstance(end, int):  # int(interval(...)): both ends, as in Hydra's other sweepers
        return tune.lograndint(start, end + 1) if log else tune.randint(start, end + 1)
    return tune.loguniform(float(start), float(end)) if log else tune.uniform(float(start), float(end))


def _range(sweep: RangeSweep, log: bool, override: Override) -> Any:
    """The values that Hydra's ``range`` has, without its stop."""
    values = list(sweep.range())
    if not values:
        raise _wrong(override, "it has no values", "Use a stop beyond the start")
    low, high = min(values), max(values)
    step = abs(Decimal(str(sweep.step)))
    if not log:
        return tc.steps(low, high, int(step) if isinstance(low, int) else float(step))
    if not isinstance(low, int) or step != 1 or low <= 0:
        raise _wrong(override, "a logarithm needs whole numbers from 1, in steps of 1", "Use tag(log, interval(...))")
    return low if low == high else tune.lograndint(low, high + 1)


def _listed(override: Override, name: str, found: Sweeps, grid: bool) -> object:
    """Values of a choice, of a glob over the options of a group, or of a range that is tried in full."""
    if getattr(override.value(), "shuffle", False):  # each call would draw another order, which no search needs
        sweep: Any = override.value()
        values = list(sweep.list if isinstance(sweep, ChoiceSweep) else sweep.range())
        texts = [str(Transformer.str(value)) for value in values]
    else:
        values, texts = list(override.sweep_iterator()), list(override.sweep_string_iterator())
    if not values:
        raise _wrong(override, "it has no values", "Name at least one")
    labels = [_label(value, text) for value, text in zip(values, texts, strict=True)]
    found.texts[name] = list(zip(labels, texts, strict=True))
    return tune.grid_search(labels) if grid else tune.choice(labels)


def _label(value: object, text: str) -> object:
    """A listed value as configurations and results show it."""
    if isinstance(value, QuotedString):
        return value.text
    return value if isinstance(value, _PLAIN) else text


def _wrong(override: Override, cause: str, fix: str) -> HydraException:
    return HydraException(f"The sweep {override.input_line} cannot be searched: {cause}. {fix}.")
