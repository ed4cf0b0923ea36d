"""Runs for the tests of all integrations: one trial that is let alone, stopped, broken off, paused or exploited."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tune_core as tune
from tune_core.core.events import Lease
from tune_core.schedulers.base import Continue, Decision, Exploit, Pause, Scheduler, Stop

Objective = Callable[[dict[str, Any]], Any]


class At(Scheduler):
    """Makes one decision about each trial, when it reaches iteration ``at``."""

    saves_at_lease_end = True
    needs_metric = False

    def __init__(self, at: int, decision: Decision) -> None:
        super().__init__()
        self.at, self.decision = at, decision
        self.done: set[int] = set()

    def lease(self, trial: Any) -> Lease:
        return Lease() if trial.index in self.done else Lease(until=self.at)

    def on_result(self, trial: Any, result: Mapping[str, Any]) -> Decision:
        self.done.add(trial.index)
        return self.decision

    def choose(self, waiting: Any) -> int | None:
        return next((t.index for t in (*waiting.pending, *waiting.paused)), None)


def stop_at(at: int) -> At:
    return At(at, Stop("that will do"))


def pause_at(at: int) -> At:
    return At(at, Pause("others first"))


def exploit_at(at: int, config: dict[str, Any]) -> At:
    """At ``at`` a trial goes on from its own checkpoint with another configuration, as an exploited one would."""
    return At(at, Exploit(0, config, "a better one"))


def go_on_at(at: int) -> At:
    return At(at, Continue())


def run(
    objective: Objective,
    tmp_path: Path,
    config: dict[str, Any] | None = None,
    *,
    scheduler: Scheduler | None = None,
    stop: Any = None,
    max_failures: int = 0,
    executor: Any = "inline",
    metric: str | None = None,
    mode: str = "min",
    name: str = "run",
    resources: Any = None,
) -> Any:
    """Run one trial, in this process unless said otherwise; its result. What a function returns is dropped."""
    trainable: Any = _returns_nothing(objective) if inspect.isfunction(objective) else objective
    if resources:
        trainable = tune.with_resources(trainable, resources)
    grid = tune.Tuner(
        trainable,
        param_space=config or {},
        tune_config=tune.TuneConfig(scheduler=scheduler, metric=metric, mode=mode if metric else None),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(tmp_path),
            stop=stop,
            failure_config=tune.FailureConfig(max_failures=max_failures),
            verbose=0,
            executor=executor,
        ),
    ).fit()
    (result,) = grid
    return result


def _returns_nothing(objective: Objective) -> Objective:
    def trial(config: dict[str, Any]) -> None:
        objective(config)

    return trial


def history(result: Any, name: str) -> list[Any]:
    """All values of a metric that the trial has reported, in the order of its iterations."""
    return [row[name] for row in result._history()]  # metrics_dataframe would need pandas


class Broken(RuntimeError):
    """What a training raises here to be broken off."""
