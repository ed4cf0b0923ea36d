"""Schedulers of the core as ``early_stopping``: by name or instance; what population based training and BOHB need."""

from __future__ import annotations

import contextlib
import copy
import inspect
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from tune_sklearn._base import TuneBaseSearchCV


_NEED_ARGUMENTS = {
    "patient": "PatientPruner",
    "pb2": "PB2",
    "pbt_replay": "PopulationBasedTrainingReplay",
    "percentile": "PercentilePruner",
    "threshold": "ThresholdPruner",
}
"""By name: the schedulers that can do nothing without arguments, which a name does not have."""
POPULATION = ("populationbasedtraining", "pbt")
BOHB = ("hyperbandforbohb", "hb_bohb")


def wanted(search: TuneBaseSearchCV) -> Any:
    """What a search's ``early_stopping`` comes to: False, True, a name or a scheduler. BOHB brings its own."""
    asked = search.early_stopping
    if isinstance(asked, np.bool_):
        asked = bool(asked)
    by_bohb = _is_bohb_search(getattr(search, "search_optimization", "random"))
    if by_bohb:
        if asked is False:
            raise InvalidArgumentError(
                "TuneSearchCV(early_stopping)",
                "is False with search_optimization='bohb'",
                "BOHB is hyperband and a search together",
                "Leave early_stopping out, or search by 'optuna'.",
            )
        if asked not in (None, True) and _name(asked) not in BOHB:
            warnings.warn(
                f"early_stopping={asked!r} is ignored: BOHB stops candidates by HyperBandForBOHB.",
                UserWarning,
                stacklevel=2,
            )
        return asked if _name(asked) in BOHB else "HyperBandForBOHB"
    if _name(asked) in BOHB:
        raise InvalidArgumentError(
            f"{type(search).__name__}(early_stopping)",
            "is HyperBandForBOHB without search_optimization='bohb'",
            "it works hand in hand with the searcher of that name",
            "Set search_optimization='bohb', or use early_stopping='HyperBandScheduler'.",
        )
    return asked or False


def is_population(search: TuneBaseSearchCV) -> bool:
    """Whether candidates copy each other and change their parameters on the way."""
    return _name(search.early_stopping) in POPULATION


def _is_bohb_search(search_optimization: object) -> bool:
    if isinstance(search_optimization, str):
        return search_optimization.lower() == "bohb"
    return type(search_optimization).__name__ == "TuneBOHB"


def _name(scheduler: object) -> str:
    if isinstance(scheduler, str):
        return scheduler.lower()
    return type(scheduler).__name__.lower()


@contextlib.contextmanager
def speaking_of(argument: str, leave_out: Iterable[str] = ()) -> Iterator[None]:
    """Have errors of the core speak of the argument that the user gave, and propose all names but some."""
    try:
        yield
    except InvalidArgumentError as error:
        fix = re.sub(rf" ({'|'.join(leave_out)}),", "", error.fix) if leave_out else error.fix
        raise InvalidArgumentError(argument, error.found, error.cause, fix) from None


def scheduler_for(asked: object, steps: int, space: Any, seed: int) -> Any:
    """The scheduler that was asked for, for candidates of that many steps."""
    from tune_core import schedulers

    if not isinstance(asked, str):
        return copy.deepcopy(asked)  # what it learns in one fit is not there in the next
    if asked.lower() in POPULATION:
        return schedulers.create_scheduler(
            "pbt",
            time_attr="training_iteration",
            perturbation_interval=max(1, steps // 4),
            hyperparam_mutations=dict(space),
            seed=seed,
        )
    in_need = _NEED_ARGUMENTS.get(asked.lower(), asked)
    if in_need in _NEED_ARGUMENTS.values():
        raise InvalidArgumentError(
            "TuneSearchCV(early_stopping)",
            f"is {asked!r}",
            f"{in_need} needs arguments, which a name does not have",
            f"Give an instance: early_stopping=tune_core.schedulers.{in_need}(...).",
        )
    named: Any = getattr(schedulers, asked, None) if asked[:1].isupper() else None
    make = named if named is not None else partial(schedulers.create_scheduler, asked)
    with speaking_of("TuneSearchCV(early_stopping)", leave_out=_NEED_ARGUMENTS):
        known = inspect.signature(named if named is not None else type(make())).parameters
    return make(**{name: value for name, value in _in_steps(steps).items() if name in known and _fits(known, name)})


def _in_steps(steps: int) -> dict[str, object]:
    """Arguments of a scheduler that is named only: it counts steps, which may take milliseconds, and no seconds."""
    return {"max_t": steps, "time_attr": "training_iteration", "grace_period": 1}


def _fits(known: Mapping[str, inspect.Parameter], name: str) -> bool:
    """Whether an argument is to be given: a grace period only where the scheduler's own is in seconds."""
    clock = known.get("time_attr")
    return name != "grace_period" or (clock is not None and clock.default == "time_total_s")
