"""From what a user gives as ``scheduler`` to a scheduler: None, a name, or an instance."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from tune_core.core.near_names import nearest
from tune_core.core.user_warnings import warn_user
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.base import Scheduler
from tune_core.schedulers.ray_methods import overrides

_CLASSES = {
    "asha": ("asha", "AsyncHyperBandScheduler"),
    "async_hyperband": ("asha", "AsyncHyperBandScheduler"),
    "asynchyperband": ("asha", "AsyncHyperBandScheduler"),
    "fifo": ("fifo", "FIFOScheduler"),
    "hb_bohb": ("hyperband", "HyperBandForBOHB"),
    "hyperband": ("hyperband", "HyperBandScheduler"),
    "median_stopping_rule": ("median", "MedianStoppingRule"),
    "medianstopping": ("median", "MedianStoppingRule"),
    "pb2": ("pb2", "PB2"),
    "pbt_replay": ("pbt_replay", "PopulationBasedTrainingReplay"),
    "pbt": ("pbt", "PopulationBasedTraining"),
    "pasha": ("pasha", "PASHAScheduler"),
    "auto": ("auto", "AutoScheduler"),
    "median_pruner": ("pruners", "MedianPruner"),
    "patient": ("pruners", "PatientPruner"),
    "percentile": ("pruners", "PercentilePruner"),
    "threshold": ("pruners", "ThresholdPruner"),
    "wilcoxon": ("pruners", "WilcoxonPruner"),
    "resource_changing": ("resource_changing", "ResourceChangingScheduler"),
    "sha": ("hyperband", "SuccessiveHalvingScheduler"),
}

NAMES = tuple(sorted(_CLASSES))
"""The names that :func:`create_scheduler` knows."""


def _load(name: str) -> Any:
    module, cls = _CLASSES[name]
    return getattr(import_module(f"tune_core.schedulers.{module}"), cls)


def scheduler_class(name: str) -> Any:
    """The class of a scheduler, by its name; KeyError if there is none."""
    return _load(name)


def create_scheduler(scheduler: str, **kwargs: object) -> Scheduler:
    """A scheduler by its name.

    Parameters
    ----------
    scheduler
        ``"asha"`` (also ``"async_hyperband"``), ``"hyperband"``, ``"pbt"`` … as in Ray Tune.
    **kwargs
        Its arguments. Those that only other schedulers take are left out, so that one set of arguments serves
        several; an argument that no scheduler takes is left out with a warning.

    Raises
    ------
    InvalidArgumentError
        If there is no such scheduler, or a needed argument is missing.

    Examples
    --------
    >>> create_scheduler("asha", max_t=9, reduction_factor=3).describe()
    'ASHA, stopping rule: rungs 1, 3, 9; max_t 9'
    """
    key = scheduler.lower() if isinstance(scheduler, str) else scheduler
    if key not in _CLASSES:
        raise _unknown("create_scheduler(scheduler)", scheduler)
    cls = _load(key)
    known = _arguments(cls)
    strange = [name for name in kwargs if name not in known and not any(name in _arguments(_load(n)) for n in NAMES)]
    if strange:
        warn_user(
            f"create_scheduler({key!r}, {strange[0]}=...) names an argument that no scheduler has; it has no effect. "
            f"{cls.__name__} takes: {', '.join(known)}.{_hint(strange[0], known)}"
        )
    missing = [n for n, p in known.items() if p.default is p.empty and n not in kwargs and p.kind is not p.VAR_KEYWORD]
    if missing:
        raise InvalidArgumentError(
            f"create_scheduler({key!r})",
            f"lacks {missing[0]}",
            f"{cls.__name__} cannot be made without it",
            f"Pass {missing[0]}=...",
        )
    made: Scheduler = cls(**{name: value for name, value in kwargs.items() if name in known})
    return made


def _hint(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f" Did you mean {near}?" if near else ""


def _arguments(cls: type) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(cls).parameters)


def _unknown(asked: str, name: object) -> InvalidArgumentError:
    hint = _hint(str(name).lower(), NAMES)
    fix = f"Use one of: {', '.join(NAMES)}.{hint}"
    return InvalidArgumentError(asked, f"is {name!r}", "no scheduler has that name", fix)


def scheduler_from(scheduler: Any) -> Scheduler:
    """The scheduler for what a user gave as ``TuneConfig(scheduler=...)``.

    Parameters
    ----------
    scheduler
        None for none (``"fifo"``), a name as for :func:`create_scheduler`, or a scheduler, also one that is written to
        Ray Tune's interface.

    Raises
    ------
    InvalidArgumentError
        If it is anything else.
    """
    if scheduler is None:
        return create_scheduler("fifo")
    if isinstance(scheduler, str):
        if scheduler.lower() not in _CLASSES:
            raise _unknown("TuneConfig(scheduler)", scheduler)
        return create_scheduler(scheduler)
    if isinstance(scheduler, Scheduler) and not overrides(scheduler):
        return scheduler
    if not isinstance(scheduler, type) and hasattr(scheduler, "on_trial_result"):
        from tune_core.schedulers.legacy import LegacyScheduler, OverriddenScheduler

        return OverriddenScheduler(scheduler) if isinstance(scheduler, Scheduler) else LegacyScheduler(scheduler)
    raise InvalidArgumentError(
        "TuneConfig(scheduler)",
        f"is {scheduler!r}",
        "it is neither a scheduler nor the name of one" + (" (but a class)" if isinstance(scheduler, type) else ""),
        "Use an instance like ASHAScheduler(), or a name like 'asha'.",
    )
