"""What a trial asks for: CPUs, fractions of GPUs, custom resources; as a dict or as bundles for a cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.errors import ResourceError, UserCodeError

DEFAULT_RESOURCES: dict[str, float] = {"cpu": 1}
GRAIN = 10_000
"""Resources are counted in whole ten-thousandths, so that fractions add up exactly."""


class PlacementGroupFactory:
    """Several bundles of resources that a trial needs at once: the first for itself, the others for its own workers.

    Parameters
    ----------
    bundles
        Dicts of resources, e.g. ``[{"CPU": 1}, {"CPU": 1, "GPU": 0.5}]``.
    strategy
        Ray's placement strategy: ``"PACK"``, ``"SPREAD"``, ``"STRICT_PACK"`` or ``"STRICT_SPREAD"``.
    """

    def __init__(self, bundles: Sequence[Mapping[str, float]], strategy: str = "PACK") -> None:
        if not bundles:
            raise ResourceError(
                "PlacementGroupFactory(bundles)",
                "is empty",
                "a trial needs at least one bundle for itself",
                'Use e.g. [{"cpu": 1}].',
            )
        strategies = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")
        if strategy not in strategies:
            raise ResourceError(
                "PlacementGroupFactory(strategy)",
                f"is {strategy!r}",
                "there is no such strategy",
                f"Use one of {', '.join(strategies)}.",
            )
        self.bundles = [check_resources(b, "PlacementGroupFactory(bundles)") for b in bundles]
        self.strategy = strategy

    @property
    def head(self) -> dict[str, float]:
        """The trial's own bundle."""
        return self.bundles[0]

    def total(self) -> dict[str, float]:
        """All bundles added up."""
        total: dict[str, float] = {}
        for bundle in self.bundles:
            for name, amount in bundle.items():
                total[name] = total.get(name, 0) + amount
        return total

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PlacementGroupFactory)
            and self.bundles == other.bundles
            and self.strategy == other.strategy
        )

    def __hash__(self) -> int:
        return hash((self.strategy, tuple(tuple(sorted(b.items())) for b in self.bundles)))

    def __repr__(self) -> str:
        return f"PlacementGroupFactory({self.bundles}, strategy={self.strategy!r})"


def check_resources(resources: Any, asked: str) -> dict[str, float]:
    """A request as a dict with the names ``cpu`` and ``gpu`` in lower case, or a :class:`ResourceError`."""
    if isinstance(resources, PlacementGroupFactory):
        return resources.total()
    if not isinstance(resources, Mapping):
        raise ResourceError(
            asked,
            f"is {resources!r} of type {type(resources).__name__}",
            "resources are a dict of names and amounts",
            'Use e.g. {"cpu": 1, "gpu": 0.5}.',
        )
    checked: dict[str, float] = {}
    for name, amount in resources.items():
        key = name.lower() if isinstance(name, str) and name.lower() in ("cpu", "gpu") else name
        if not isinstance(key, str):
            raise ResourceError(asked, f"has the key {name!r}", "a resource has a name", 'Use e.g. {"cpu": 1}.')
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not math.isfinite(amount) or amount < 0:
            raise ResourceError(
                f"{asked}[{name!r}]",
                f"is {amount!r}",
                "an amount is a finite number from 0",
                f"Use e.g. {{{name!r}: 1}}.",
            )
        if key == "gpu" and amount > 1 and amount != int(amount):
            raise ResourceError(
                f"{asked}['gpu']",
                f"is {amount!r}",
                "more than one GPU can only be had whole",
                f"Use {int(amount)} or {int(amount) + 1}, or a fraction below 1.",
            )
        checked[key] = amount
    return checked


def resources_from(request: Any, config: dict[str, Any]) -> Any:
    """A request for one configuration: functions are called and their answers checked."""
    if isinstance(request, PlacementGroupFactory):
        return request
    if callable(request):
        try:
            answer = request(config)
        except Exception as error:
            raise UserCodeError(
                "The function of with_resources",
                f"raised {type(error).__name__}: {error}",
                f"it was called with the configuration {config!r}",
                "Make it return a dict of resources for every configuration of the search space.",
            ) from error
        if answer is None:
            return DEFAULT_RESOURCES
        return answer if isinstance(answer, PlacementGroupFactory) else check_resources(answer, "resources(config)")
    return check_resources(request, "with_resources(resources)")


def resources_to_json(resources: Any) -> Any:
    """A resolved request as the journal keeps it."""
    if isinstance(resources, PlacementGroupFactory):
        return {"bundles": resources.bundles, "strategy": resources.strategy}
    return resources


def resources_from_json(kept: Any) -> Any:
    """What :func:`resources_to_json` wrote."""
    if isinstance(kept, dict) and isinstance(kept.get("bundles"), list):
        return PlacementGroupFactory(kept["bundles"], kept["strategy"])
    return kept


def resource_units(amount: float) -> int:
    """An amount in whole ten-thousandths."""
    return round(amount * GRAIN)
