"""Checks of the arguments that searchers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.errors import InvalidArgumentError


def check_points(name: str, points: Any) -> list[Mapping[str, Any]]:
    if points is None:
        return []
    if isinstance(points, (str, Mapping)) or not isinstance(points, Sequence):
        raise InvalidArgumentError(
            f"{name}(points_to_evaluate)", f"is {points!r}", "it is a list of configurations", "Use a list of dicts."
        )
    for i, point in enumerate(points):
        if not isinstance(point, Mapping):
            raise InvalidArgumentError(
                f"{name}(points_to_evaluate)[{i}]", f"is {point!r}", "a point is a dict", 'Use e.g. {"lr": 0.01}.'
            )
    return list(points)


def check_rewards(name: str, rewards: Any, points: Sequence[Any]) -> list[Any] | None:
    if rewards is None:
        return None
    if isinstance(rewards, (str, Mapping)) or not isinstance(rewards, Sequence) or len(rewards) != len(points):
        raise InvalidArgumentError(
            f"{name}(evaluated_rewards)",
            f"is {rewards!r}, for {len(points)} points_to_evaluate",
            "each point needs its value, or None where it is to be tried",
            "Give a list of the same length.",
        )
    return list(rewards)


def check_seed(name: str, seed: Any) -> int | None:
    if seed is None or (hasattr(seed, "__index__") and not isinstance(seed, bool)):
        return None if seed is None else int(seed)
    raise InvalidArgumentError(f"{name}(seed)", f"is {seed!r}", "a seed is a whole number", "Use e.g. 0, or None.")


def check_count(asked: str, value: Any, least: int = 1) -> int:
    """``value`` if it is a whole number of at least ``least``."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise InvalidArgumentError(
            asked, f"is {value!r}", f"it is a whole number of at least {least}", f"Use e.g. {max(least, 10)}."
        )
    return int(value)


def check_share(asked: str, value: Any) -> float:
    """``value`` if it is a number between 0 and 1, both excluded."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise InvalidArgumentError(asked, f"is {value!r}", "it is a share between 0 and 1", "Use e.g. 0.25.")
    return float(value)
