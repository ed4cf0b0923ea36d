"""Tasks and actors that a trial starts itself: told at once where no bundle of the trial could ever run them.

A trial's actor holds its resources for as long as the trial runs. A task of its own that has no bundle waits for what
is free outside, which on a full cluster is for ever: the trials that hold it wait for such tasks themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.errors import ResourceError


def guard(bundles: Sequence[Mapping[str, float]], own: Mapping[str, float]) -> None:
    """From now on this process refuses to launch what fits none of ``bundles``, those beside the trial's ``own``."""
    import ray.actor
    import ray.remote_function

    def check(function: Any, resources: Mapping[str, float], strategy: object, least: Mapping[str, float]) -> None:
        wanted = {name: amount for name, amount in {**least, **resources}.items() if amount}
        if not wanted or not _stays_with_the_trial(strategy) or any(_fits(wanted, bundle) for bundle in bundles):
            return
        what = getattr(function, "class_name", "") or getattr(function, "function_name", "") or "a task"
        raise ResourceError(
            f"The Ray {'actor' if least else 'task'} {what}",
            f"asks for {wanted}, and the trial has {list(bundles) or 'nothing'} beside its own {dict(own)}",
            "it could wait for ever, since trials may hold the whole cluster",
            "Reserve room for N of them in the trial's own placement group: tune.with_resources(trainable, "
            f"tune.PlacementGroupFactory([{dict(own)}] + [{wanted}] * N)); or give it a scheduling_strategy.",
        )

    def check_task(function: Any, resources: Mapping[str, float], strategy: object) -> None:
        check(function, resources, strategy, {})

    def check_actor(function: Any, resources: Mapping[str, float], strategy: object) -> None:
        check(function, resources, strategy, {"CPU": 1})  # what Ray wants free to place an actor that asks for nothing

    ray.remote_function._task_launch_hook = check_task
    ray.actor._actor_launch_hook = check_actor


def _stays_with_the_trial(strategy: object) -> bool:
    """Whether it would run in the trial's own placement group, or anywhere; not where the user has sent it."""
    if strategy is None or strategy == "DEFAULT":
        return True
    group = getattr(strategy, "placement_group", None)
    if group is None:
        return False
    import ray.util

    current = ray.util.get_current_placement_group()
    return current is not None and current.id == group.id


def _fits(wanted: Mapping[str, float], bundle: Mapping[str, float]) -> bool:
    return all(bundle.get(name, 0) >= amount for name, amount in wanted.items())
