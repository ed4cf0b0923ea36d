"""tune-core: hyperparameter tuning and experiment execution at any scale.

The public face, loaded lazily: importing this module imports nothing but itself; a name is fetched when it is first
used.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tune_core._version import __version__

if TYPE_CHECKING:
    from tune_core.callback import Callback
    from tune_core.checkpoint import Checkpoint
    from tune_core.compat.experiment import Experiment
    from tune_core.config import FailureConfig, ResumeConfig, RunConfig, SyncConfig, TuneConfig
    from tune_core.display.progress import CLIReporter, JupyterNotebookReporter
    from tune_core.display.reporter import ProgressReporter
    from tune_core.distributed import with_workers
    from tune_core.engine.checkpoint_retention import CheckpointConfig
    from tune_core.errors import TuneError
    from tune_core.executors.inline import InlineExecutor
    from tune_core.executors.local.executor import LocalExecutor
    from tune_core.executors.ray.executor import RayExecutor
    from tune_core.results import Result, ResultGrid
    from tune_core.results.analysis import ExperimentAnalysis
    from tune_core.schedulers import ASHAScheduler, create_scheduler
    from tune_core.search import create_searcher
    from tune_core.simulation import simulate
    from tune_core.space import (
        choice,
        grid_search,
        lograndint,
        loguniform,
        qlograndint,
        qloguniform,
        qrandint,
        qrandn,
        quniform,
        randint,
        randn,
        sample_from,
        uniform,
    )
    from tune_core.stopper import Stopper
    from tune_core.trainable import Trainable, with_parameters, with_resources
    from tune_core.trainable.gpu_memory import wait_for_gpu
    from tune_core.trainable.registry import register_trainable
    from tune_core.trainable.resources import PlacementGroupFactory
    from tune_core.trainable.session import (
        TuneContext,
        get_checkpoint,
        get_context,
        get_trial_dir,
        get_trial_id,
        get_trial_name,
        get_trial_resources,
        report,
    )
    from tune_core.tune_run import run, run_experiments
    from tune_core.tuner import Tuner

_SPACE = (
    "choice grid_search lograndint loguniform qlograndint qloguniform qrandint qrandn quniform randint randn "
    "sample_from uniform"
)
_SESSION = "get_checkpoint get_context get_trial_dir get_trial_id get_trial_name get_trial_resources report"
_HOMES = {
    **dict.fromkeys(_SPACE.split(), "space"),
    **dict.fromkeys(_SESSION.split(), "trainable.session"),
    "ASHAScheduler": "schedulers",
    "Callback": "callback",
    "Checkpoint": "checkpoint",
    "CheckpointConfig": "engine.checkpoint_retention",
    "CLIReporter": "display.progress",
    "ExperimentAnalysis": "results.analysis",
    "FailureConfig": "config",
    "TuneContext": "trainable.session",
    "run_experiments": "tune_run",
    "register_trainable": "trainable.registry",
    "SyncConfig": "config",
    "ResumeConfig": "config",
    "ProgressReporter": "display.reporter",
    "Experiment": "compat.experiment",
    "InlineExecutor": "executors.inline",
    "JupyterNotebookReporter": "display.progress",
    "LocalExecutor": "executors.local.executor",
    "PlacementGroupFactory": "trainable.resources",
    "RayExecutor": "executors.ray.executor",
    "Result": "results",
    "ResultGrid": "results",
    "RunConfig": "config",
    "Stopper": "stopper",
    "Trainable": "trainable",
    "TuneConfig": "config",
    "TuneError": "errors",
    "Tuner": "tuner",
    "create_scheduler": "schedulers",
    "create_searcher": "search",
    "run": "tune_run",
    "simulate": "simulation",
    "wait_for_gpu": "trainable.gpu_memory",
    "with_parameters": "trainable",
    "with_resources": "trainable",
    "with_workers": "distributed",
}

__all__ = [
    "ASHAScheduler",
    "CLIReporter",
    "Callback",
    "Checkpoint",
    "CheckpointConfig",
    "Experiment",
    "ExperimentAnalysis",
    "FailureConfig",
    "InlineExecutor",
    "JupyterNotebookReporter",
    "LocalExecutor",
    "PlacementGroupFactory",
    "ProgressReporter",
    "RayExecutor",
    "Result",
    "ResultGrid",
    "ResumeConfig",
    "RunConfig",
    "Stopper",
    "SyncConfig",
    "Trainable",
    "TuneConfig",
    "TuneContext",
    "TuneError",
    "Tuner",
    "__version__",
    "choice",
    "create_scheduler",
    "create_searcher",
    "get_checkpoint",
    "get_context",
    "get_trial_dir",
    "get_trial_id",
    "get_trial_name",
    "get_trial_resources",
    "grid_search",
    "lograndint",
    "loguniform",
    "qlograndint",
    "qloguniform",
    "qrandint",
    "qrandn",
    "quniform",
    "randint",
    "randn",
    "register_trainable",
    "report",
    "run",
    "run_experiments",
    "sample_from",
    "simulate",
    "uniform",
    "wait_for_gpu",
    "with_parameters",
    "with_resources",
    "with_workers",
]


class _Paths:
    """Finds the modules of this package: their files, and the paths that :mod:`tune_core.compat.names` adds."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
        """Called by the import system for every module that is not loaded yet."""
        if not name.startswith(f"{__name__}.") or name.startswith((f"{__name__}.compat", f"{__name__}._")):
            return None

        def by_file() -> Any:
            others = (finder for finder in sys.meta_path if finder is not cls)
            return next((spec for other in others if (spec := other.find_spec(name, path, target))), None)

        return import_module(f"{__name__}.compat.paths").find_spec(name, by_file)


sys.meta_path.insert(0, _Paths)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        try:
            return import_module(f"{__name__}.{name}")  # a documented subpackage: tune.schedulers, tune.search, ...
        except ModuleNotFoundError as error:
            if error.name == f"{__name__}.{name}":
                if name.startswith("__"):
                    raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
                return import_module(f"{__name__}.compat.paths").fetch(__name__, name)
            raise
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


if "TUNE_CORE_WORKER" in os.environ:  # a frozen program that was started as a worker: it does this and nothing else
    import_module(f"{__name__}.executors.local.process").main_of_frozen()
