"""Schedulers: which trials go on, which stop, which start as copies. Each is imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune_core.core.events import Lease
    from tune_core.core.trial import Status, TrialView
    from tune_core.schedulers.asha import ASHAScheduler, AsyncHyperBandScheduler
    from tune_core.schedulers.auto import AutoScheduler
    from tune_core.schedulers.base import Continue, Decision, Exploit, Pause, Scheduler, Stop, WaitingTrials
    from tune_core.schedulers.fifo import FIFOScheduler
    from tune_core.schedulers.hyperband import HyperBandForBOHB, HyperBandScheduler, SuccessiveHalvingScheduler
    from tune_core.schedulers.legacy import TrialScheduler
    from tune_core.schedulers.median import MedianStoppingRule
    from tune_core.schedulers.pasha import PASHAScheduler
    from tune_core.schedulers.pb2 import PB2
    from tune_core.schedulers.pbt import PopulationBasedTraining
    from tune_core.schedulers.pbt_replay import PopulationBasedTrainingReplay
    from tune_core.schedulers.pruners import (
        MedianPruner,
        PatientPruner,
        PercentilePruner,
        ThresholdPruner,
        WilcoxonPruner,
    )
    from tune_core.schedulers.registry import create_scheduler, scheduler_from
    from tune_core.schedulers.resource_changing import (
        DistributeResources,
        DistributeResourcesToTopJob,
        ResourceChangingScheduler,
    )

_MODULES = {
    "TrialScheduler": "legacy",
    "AutoScheduler": "auto",
    "PASHAScheduler": "pasha",
    "MedianPruner": "pruners",
    "PatientPruner": "pruners",
    "PercentilePruner": "pruners",
    "ThresholdPruner": "pruners",
    "WilcoxonPruner": "pruners",
    "DistributeResourcesToTopJob": "resource_changing",
    "DistributeResources": "resource_changing",
    "ResourceChangingScheduler": "resource_changing",
    "PopulationBasedTrainingReplay": "pbt_replay",
    "PB2": "pb2",
    "MedianStoppingRule": "median",
    "ASHAScheduler": "asha",
    "AsyncHyperBandScheduler": "asha",
    "Continue": "base",
    "Decision": "base",
    "Exploit": "base",
    "FIFOScheduler": "fifo",
    "HyperBandForBOHB": "hyperband",
    "HyperBandScheduler": "hyperband",
    "Lease": "base",
    "Pause": "base",
    "PopulationBasedTraining": "pbt",
    "Scheduler": "base",
    "Status": "base",
    "Stop": "base",
    "SuccessiveHalvingScheduler": "hyperband",
    "TrialView": "base",
    "WaitingTrials": "base",
    "create_scheduler": "registry",
    "scheduler_from": "registry",
}

__all__ = [
    "PB2",
    "ASHAScheduler",
    "AsyncHyperBandScheduler",
    "AutoScheduler",
    "Continue",
    "Decision",
    "DistributeResources",
    "DistributeResourcesToTopJob",
    "Exploit",
    "FIFOScheduler",
    "HyperBandForBOHB",
    "HyperBandScheduler",
    "Lease",
    "MedianPruner",
    "MedianStoppingRule",
    "PASHAScheduler",
    "PatientPruner",
    "Pause",
    "PercentilePruner",
    "PopulationBasedTraining",
    "PopulationBasedTrainingReplay",
    "ResourceChangingScheduler",
    "Scheduler",
    "Status",
    "Stop",
    "SuccessiveHalvingScheduler",
    "ThresholdPruner",
    "TrialScheduler",
    "TrialView",
    "WaitingTrials",
    "WilcoxonPruner",
    "create_scheduler",
    "scheduler_from",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES[name]}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
