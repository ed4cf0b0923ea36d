"""tune-core: hyperparameter tuning and experiment execution at any scale.

The public face, loaded lazily: importing this module imports nothing but itself; a name is fetched when it is first
used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tune_core._version import __version__

if TYPE_CHECKING:
    from tune_core.analysis import ExperimentAnalysis
    from tune_core.callback import Callback
    from tune_core.checkpoint import Checkpoint
    from tune_core.config import FailureConfig, RunConfig, TuneConfig
    from tune_core.engine.checkpoints import CheckpointConfig
    from tune_core.errors import TuneError
    from tune_core.executors.inline import InlineExecutor
    from tune_core.executors.local import LocalExecutor
    from tune_core.executors.ray import RayExecutor
    from tune_core.gpu import wait_for_gpu
    from tune_core.progress import CLIReporter, JupyterNotebookReporter
    from tune_core.resources import PlacementGroupFactory
    from tune_core.results import Result, ResultGrid
    from tune_core.schedulers import ASHAScheduler, create_scheduler
    from tune_core.search import create_searcher
    from tune_core.session import (
        get_checkpoint,
        get_context,
        get_trial_dir,
        get_trial_id,
        get_trial_name,
        get_trial_resources,
        report,
    )
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
    from tune_core.tune_run import run
    from tune_core.tuner import Tuner

_SPACE = (
    "choice grid_search lograndint loguniform qlograndint qloguniform qrandint qrandn quniform randint randn "
    "sample_from uniform"
)
_SESSION = "get_checkpoint get_context get_trial_dir get_trial_id get_trial_name get_trial_resources report"
_HOMES = {
    **dict.fromkeys(_SPACE.split(), "space"),
    **dict.fromkeys(_SESSION.split(), "session"),
    "ASHAScheduler": "schedulers",
    "Callback": "callback",
    "Checkpoint": "checkpoint",
    "CheckpointConfig": "engine.checkpoints",
    "CLIReporter": "progress",
    "ExperimentAnalysis": "analysis",
    "FailureConfig": "config",
    "InlineExecutor": "executors.inline",
    "JupyterNotebookReporter": "progress",
    "LocalExecutor": "executors.local",
    "PlacementGroupFactory": "resources",
    "RayExecutor": "executors.ray",
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
    "wait_for_gpu": "gpu",
    "with_parameters": "trainable",
    "with_resources": "trainable",
}

__all__ = [
    "ASHAScheduler",
    "CLIReporter",
    "Callback",
    "Checkpoint",
    "CheckpointConfig",
    "ExperimentAnalysis",
    "FailureConfig",
    "InlineExecutor",
    "JupyterNotebookReporter",
    "LocalExecutor",
    "PlacementGroupFactory",
    "RayExecutor",
    "Result",
    "ResultGrid",
    "RunConfig",
    "Stopper",
    "Trainable",
    "TuneConfig",
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
    "report",
    "run",
    "sample_from",
    "simulate",
    "uniform",
    "wait_for_gpu",
    "with_parameters",
    "with_resources",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        try:
            return import_module(f"{__name__}.{name}")  # a documented subpackage: tune.schedulers, tune.search, ...
        except ModuleNotFoundError as error:
            if error.name == f"{__name__}.{name}":
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
            raise
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
