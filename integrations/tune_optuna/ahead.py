"""Values drawn before the objective asks for them, as if it had asked: what it does not use is undone.

Where trials run one after another, each value is to be what the sampler gives when the objective asks. Most objectives
ask for the same parameters in the same order again, so these can be drawn with the suggestion, in that order, which
saves a way to the driver and back for each. Where the objective then asks for something else, or for less, the
sampler's random generators are put back to where they were before the first value that was not used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tune_core import integration as tc
from tune_optuna.parameters import to_text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

optuna: Any = tc.require("tune_optuna", "optuna", "optuna")


@dataclass
class Drawn:
    """The values that were drawn for a trial ahead of its questions, in their order."""

    names: list[str] = field(default_factory=list)
    before: list[Any] = field(default_factory=list)  # the state of the sampler's generators before each
    start: Any = None  # and before what is drawn for several parameters together, at a trial's first question

    def describe(self, trial: Trial) -> dict[str, list[Any]]:
        """For each parameter its value, as Optuna keeps it in its storage, and the distribution that it holds for."""
        frozen = trial._cached_frozen_trial
        distributions = {name: frozen.distributions[name] for name in self.names}
        return {n: [float(d.to_internal_repr(frozen.params[n])), to_text(d)] for n, d in distributions.items()}

    def undo(self, sampler: Any, used: Collection[str], has_ended: bool) -> list[str]:
        """Put the generators back to before the first value that was not used; the names that were not.

        ``has_ended``: the trial asks for nothing more.
        """
        number = next((i for i, name in enumerate(self.names) if name not in used), len(self.names))
        unused = self.names[number:]
        if unused:
            _restore(sampler, self.start if has_ended and not number else self.before[number])
            del self.names[number:], self.before[number:]
        return unused


def draw_ahead(trial: Trial, plan: Mapping[str, BaseDistribution]) -> Drawn:
    """Draw values for what the trial before has asked for, in its order, if that can be undone."""
    drawn = Drawn()
    sampler = trial.study.sampler
    if type(sampler) not in (optuna.samplers.RandomSampler, optuna.samplers.TPESampler):
        return drawn
    if not isinstance(trial.storage, optuna.storages.InMemoryStorage):
        return drawn  # a value that was set cannot be taken back
    drawn.start = _state(sampler)
    for name, distribution in plan.items():
        if trial._is_fixed_param(name, distribution) or distribution.single():
            continue  # the trial knows it by itself
        _ = trial.relative_params  # drawn now, if they were not yet
        drawn.before.append(_state(sampler))
        drawn.names.append(name)
        trial._suggest(name, distribution)
    return drawn


def _generators(sampler: Any) -> Iterator[Any]:
    """The random generators of a sampler of independent values."""
    yield sampler._rng.rng
    if hasattr(sampler, "_random_sampler"):
        yield sampler._random_sampler._rng.rng


def _state(sampler: Any) -> list[Any]:
    return [generator.get_state(legacy=False) for generator in _generators(sampler)]


def _restore(sampler: Any, states: list[Any]) -> None:
    for generator, state in zip(_generators(sampler), states, strict=True):
        generator.set_state(state)
