"""The sweeper: Hydra's overrides are the search space, each job is a trial in a process of tune-core's."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.singleton import Singleton
from hydra.core.utils import run_job, setup_globals
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

import tune_core as tune
from hydra_plugins.tune_core_sweeper.overrides import Sweeps, read
from tune_core.errors import in_terms_of

__all__ = ["TuneCoreSweeper", "TuneCoreSweeperConf"]

log = logging.getLogger(__name__)

_MODES = {"minimize": "min", "maximize": "max", "min": "min", "max": "max"}


_SAME = ("scheduler", "search_alg", "seed", "time_budget_s", "max_failures")
_NAMES = {**{name: name for name in _SAME}, "num_samples": "n_trials", "max_concurrent_trials": "n_jobs"}
"""What the arguments of a Tuner are called in the sweeper's configuration."""


@dataclass
class TuneCoreSweeperConf:
    """Settings under ``hydra.sweeper``; see :class:`TuneCoreSweeper`."""

    _target_: str = "hydra_plugins.tune_core_sweeper.sweeper.TuneCoreSweeper"
    n_trials: int | None = 20
    metric: Any = "objective"
    direction: Any = "minimize"
    n_jobs: int | None = None
    scheduler: Any = None
    search_alg: Any = None
    resources: Any = None
    seed: int | None = None
    time_budget_s: float | None = None
    max_failures: int = 0
    max_failure_rate: float = 0.0
    params: dict[str, Any] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="tune_core", node=TuneCoreSweeperConf, provider="tune_core")


class TuneCoreSweeper(Sweeper):
    """Searches what a multirun's overrides span.

    A job's value is what the task function returns: a number, several for several directions, or a dict of metrics; or
    what it reports with ``tune_core.report``, on which schedulers decide.

    Parameters
    ----------
    n_trials
        Number of jobs; null: every combination of the listed values, as Hydra's own sweeper runs them.
    metric
        Name of what is optimised, in what the task function reports. With several directions a list of names.
    direction
        ``minimize``, ``maximize``, or a list of these.
    n_jobs
        How many jobs may run at once; null: as many as the resources allow.
    scheduler, search_alg
        Names (``asha``), or ``_target_`` nodes.
    resources
        Of each job, e.g. ``{cpu: 2, gpu: 0.5}``.
    seed
        Of all that is drawn at random: the same seed gives the same jobs. null draws one.
    time_budget_s
        Seconds after which the sweep ends, running jobs included; null: no limit.
    max_failures
        How often a failed job is tried again.
    max_failure_rate
        Which part of the jobs may fail without the sweep failing.
    params
        Overrides by key, as the command line would have them; those there come before these.
    """

    def __init__(
        self,
        n_trials: int | None,
        metric: Any,
        direction: Any,
        n_jobs: int | None,
        scheduler: Any,
        search_alg: Any,
        resources: Any,
        seed: int | None,
        time_budget_s: float | None,
        max_failures: int,
        max_failure_rate: float,
        params: Any,
    ) -> None:
        self.n_trials, self.n_jobs, self.seed, self.time_budget_s = n_trials, n_jobs, seed, time_budget_s
        self.scheduler, self.search_alg = scheduler, search_alg
        self.resources = _plain(resources)
        self.max_failures, self.max_failure_rate = max_failures, max_failure_rate
        self.params = dict(params or {})
        self.modes = _modes(_plain(direction))
        self.metrics = _metrics(_plain(metric), self.modes)
        self.is_single = isinstance(_plain(direction), str)
        self.hydra_context: HydraContext | None = None
        self.config: DictConfig | None = None
        self.task_function: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives before a sweep; only its basic launcher can be used."""
        self.hydra_context, self.config, self.task_function = hydra_context, config, task_function
        launcher = config.hydra.launcher.get("_target_") or ""
        if not launcher.endswith("BasicLauncher"):
            raise HydraException(
                f"The launcher {launcher} cannot be used with the sweeper tune_core, which runs the jobs itself. "
                "Leave hydra/launcher out; hydra.sweeper.n_jobs and hydra.sweeper.resources say how many run at once."
            )

    def sweep(self, arguments: list[str]) -> Any:
        assert self.hydra_context is not None and self.config is not None and self.task_function is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = [f"{key}={value}" for key, value in self.params.items()]
        sweeps = read(parser.parse_overrides([*given, *arguments]), grid=self.n_trials is None)
        self.validate_batch_is_legal([sweeps.overrides(_example(sweeps.space))])
        folder = Path(self.config.hydra.sweep.dir).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        results = self._tune(sweeps, folder)
        self._raise_failures(results)
        summary = self._summary(results)
        OmegaConf.save(OmegaConf.create(summary), folder / "optimization_results.yaml")
        if self.is_single:
            log.info(f"Best parameters: {summary['best_evaluated_params']}")
            log.info(f"Best value: {summary['best_evaluated_value']}")
        return results

    def _tune(self, sweeps: Sweeps, folder: Path) -> Any:
        assert self.hydra_context is not None and self.config is not None and self.task_function is not None
        objective: Any = _job(self.hydra_context, self.config, self.task_function, sweeps, self.metrics)
        if self.resources:
            objective = tune.with_resources(objective, self.resources)
        with in_terms_of("hydra.sweeper", _NAMES):
            return tune.Tuner(
                objective,
                param_space=sweeps.space,
                tune_config=tune.TuneConfig(
                    metric=self.metrics[0] if self.is_single else self.metrics,
                    mode=self.modes[0] if self.is_single else self.modes,
                    num_samples=self.n_trials or 1,
                    max_concurrent_trials=self.n_jobs,
                    scheduler=self.scheduler,
                    search_alg=self.search_alg,
                    seed=self.seed,
                    time_budget_s=self.time_budget_s,
                    chdir_to_trial_dir=False,  # hydra.job.chdir says where a job works
                ),
                run_config=tune.RunConfig(
                    name="tune_core",
                    storage_path=str(folder),
                    failure_config=tune.FailureConfig(
                        max_failures=self.max_failures, fail_fast=self.max_failure_rate == 0 and self.max_failures == 0
                    ),
                ),
            ).fit()

    def _raise_failures(self, results: Any) -> None:
        failed = results.errors
        if len(failed) > self.max_failure_rate * len(results):
            raise HydraException(
                f"{len(failed)} of {len(results)} jobs failed, more than hydra.sweeper.max_failure_rate="
                f"{self.max_failure_rate} allows.\n{failed[0]}"
            ) from failed[0]

    def _summary(self, results: Any) -> dict[str, Any]:
        """What ``optimization_results.yaml`` says, under the names of Hydra's Optuna sweeper."""
        if self.is_single:
            best = results.get_best_result()
            value = best.metrics[self.metrics[0]]
            return {"name": "tune_core", "best_evaluated_params": dict(best.config), "best_evaluated_value": value}
        solutions = [
            {"params": dict(result.config), "values": [result.metrics[metric] for metric in self.metrics]}
            for result in results.pareto_front()
        ]
        return {"name": "tune_core", "solutions": solutions}


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _modes(direction: Any) -> list[str]:
    asked = [direction] if isinstance(direction, str) else list(direction or ())
    if not asked or any(one not in _MODES for one in asked):
        raise HydraException(f"hydra.sweeper.direction is {direction!r}. Use minimize or maximize, or a list of these.")
    return [_MODES[one] for one in asked]


def _metrics(metric: Any, modes: Sequence[str]) -> list[str]:
    names = [metric] if isinstance(metric, str) else list(metric or ())
    if len(names) == 1 < len(modes):
        return [f"{names[0]}_{i}" for i in range(len(modes))]
    if len(names) != len(modes):
        raise HydraException(
            f"hydra.sweeper.metric names {names}, and hydra.sweeper.direction has {len(modes)}. Give each one."
        )
    return names


def _example(space: dict[str, Any]) -> dict[str, Any]:
    """One configuration, to see that a job of this sweep can be composed."""
    from tune_core.space import generate

    return dict(generate(space, seed=0, index=0))


# --- a job, in a process of its own -----------------------------------------------------------------------------------


def _job(
    hydra_context: HydraContext, config: DictConfig, task_function: TaskFunction, sweeps: Sweeps, metrics: list[str]
) -> Callable[[dict[str, Any]], Any]:
    state = Singleton.get_state()
    folder = os.getcwd()

    def job(trial: dict[str, Any]) -> Any:
        os.chdir(folder)
        setup_globals()
        Singleton.set_state(state)
        number = int(str(tune.get_context().get_trial_id()).rpartition("_")[2])
        job_config = hydra_context.config_loader.load_sweep_config(config, sweeps.overrides(trial))
        with open_dict(job_config):
            job_config.hydra.job.id = job_config.hydra.job.num = number
        ended: list[BaseException] = []

        def task(task_config: Any) -> Any:
            try:
                return task_function(task_config)
            except Exception:
                raise
            except BaseException as end:  # a scheduler's stop; Hydra's callbacks are told of the job's end first
                ended.append(end)

        done = run_job(
            task_function=task,
            config=job_config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=hydra_context,
        )
        if ended:
            raise ended[0]
        return _result(done.return_value, metrics)

    job.__name__ = getattr(task_function, "__name__", "job")
    return job


def _result(value: Any, metrics: list[str]) -> dict[str, Any] | None:
    """What a job that has ended reports: nothing more if it has reported by itself."""
    if tune.get_context().get_iteration():
        if value is not None:
            warnings.warn(
                "The task function reported results, so what it returned is not one more result. "
                "Report it, or return it without reporting.",
                stacklevel=2,
            )
        return None
    if isinstance(value, dict):
        return value
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(values) != len(metrics) or any(isinstance(one, str) or one is None for one in values):
        raise HydraException(
            f"The task function returned {value!r}; the sweep needs {' and '.join(metrics)}. Return "
            f"{'a number' if len(metrics) == 1 else f'{len(metrics)} numbers'}, or report with tune_core.report."
        )
    return dict(zip(metrics, map(float, values), strict=True))
