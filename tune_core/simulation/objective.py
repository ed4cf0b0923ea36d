"""What a simulated trial does, in the forms in which a user may say it; and where its checkpoints go."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from tune_core.core.values import Config, Metrics
from tune_core.errors import CheckpointError, InvalidArgumentError

Step = tuple[float, Metrics, Any]
"""How long a step took, what it reports, and the state after it (what a checkpoint would hold)."""

Model = Callable[[Config, int, Any], "Step | None"]
"""``(config, step, state) -> (seconds, metrics, state)``; None once the trial has nothing left to do."""


def as_model(objective: Any) -> Model:
    """A simulated objective in its general form.

    Parameters
    ----------
    objective
        One of

        - ``f(config)`` that yields ``(seconds, metrics)`` for each step (a generator, or any function that returns an
          iterable); a trial that goes back to a checkpoint skips what it has done,
        - ``f(config, step)`` with steps from 1, that returns ``(seconds, metrics)`` or, past the end, None,
        - ``f(config, step, state)`` that returns ``(seconds, metrics, state)``: what it trains is in ``state`` (None at
          the start), which is what checkpoints hold and a population hands on.

    Raises
    ------
    InvalidArgumentError
        If it is no function of one to three arguments.
    """
    number = _positional(objective)
    if number == 3:
        general: Model = objective
        return general
    if number == 2:

        def of_step(config: Config, step: int, state: Any) -> Step | None:
            answer = objective(config, step)
            return None if answer is None else (answer[0], answer[1], None)

        return of_step
    return _of_iterable(objective)


def _of_iterable(objective: Callable[[Config], Any]) -> Model:
    def following(config: Config, step: int, state: Any) -> Step | None:
        steps: Iterator[Any]
        if isinstance(state, _Position) and state.config is config and state.steps is not None:
            steps, state.steps = state.steps, None  # taken: whoever loads this state later begins anew
        else:
            steps = islice(iter(objective(config)), step - 1, None)
        for seconds, metrics in steps:
            return (seconds, metrics, _Position(config, steps))
        return None

    return following


class _Position:
    """An iterator that has come to a step; it goes to whoever asks first with the same configuration."""

    __slots__ = ("config", "steps")

    def __init__(self, config: Config, steps: Iterator[object]) -> None:
        self.config = config
        self.steps: Iterator[Any] | None = steps


def _positional(objective: Any) -> int:
    try:
        parameters = list(inspect.signature(objective).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    needed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    if not callable(objective) or not 1 <= len(needed) <= 3:
        raise InvalidArgumentError(
            "simulate(objective)",
            f"is {objective!r}",
            "a simulated objective is a function of config, of config and step, or of config, step and state",
            "Use e.g. lambda config, step: (1.0, {'loss': config['lr'] / step}).",
        )
    return len(needed)


class Store:
    """Simulated checkpoints: which there are, and the state that each holds."""

    def __init__(self) -> None:
        self.saved: dict[tuple[int, str], object] = {}
        self.written = 0

    def save(self, trial: int, name: str, state: Any) -> None:
        """Keep a state."""
        self.saved[trial, name] = state
        self.written += 1

    def load(self, trial: int, name: str) -> Any:
        """The state that a checkpoint holds."""
        try:
            return self.saved[trial, name]
        except KeyError:
            raise CheckpointError(
                f"Checkpoint {name} of trial {trial:05d}", "is not there", "it was never saved, or deleted too soon", ""
            ) from None

    def drop(self, trial: int, name: str) -> None:
        """Delete a checkpoint."""
        self.saved.pop((trial, name), None)

    def has(self, trial: int, name: str) -> bool:
        """Whether a checkpoint is there."""
        return (trial, name) in self.saved
