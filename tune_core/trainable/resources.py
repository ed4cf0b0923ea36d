"""What a trial asks for: CPUs, fractions of GPUs, custom resources; as a dict or as bundles for a cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tune_core.core.near_names import nearest
from tune_core.core.user_warnings import warn_user
from tune_core.core.validation import python_value
from tune_core.core.values import Config
from tune_core.errors import ResourceError, UserCodeError

DEFAULT_RESOURCES: dict[str, float] = {"cpu": 1}
_USUAL = ("cpu", "gpu", "memory")
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
        #: The bundles as requests are written elsewhere in this package: ``cpu`` and ``gpu`` in lower case.
        self.requests = [check_resources(b, "PlacementGroupFactory(bundles)") for b in bundles]
        self.strategy = strategy

    @property
    def bundles(self) -> list[dict[str, float]]:
        """The bundles with Ray's names and without what is 0: ``[{"CPU": 1.0}]``; an empty first one is left out."""
        return [
            _with_rays_names(bundle) for bundle in (self.requests[1:] if self.head_bundle_is_empty else self.requests)
        ]

    @property
    def head(self) -> dict[str, float]:
        """The trial's own bundle."""
        return self.requests[0]

    @property
    def head_cpus(self) -> float:
        """CPUs of the trial's own bundle."""
        return self.requests[0].get("cpu", 0.0)

    @property
    def head_bundle_is_empty(self) -> bool:
        """Whether the trial's own process asks for nothing."""
        return not any(self.requests[0].values())

    @property
    def required_resources(self) -> dict[str, float]:
        """All bundles added up, with Ray's names: ``{"CPU": 2.0, "GPU": 0.5}``."""
        return _with_rays_names(self.total())

    def total(self) -> dict[str, float]:
        """All bundles added up."""
        total: dict[str, float] = {}
        for bundle in self.requests:
            for name, amount in bundle.items():
                total[name] = total.get(name, 0) + amount
        return total

    def __plain__(self) -> dict[str, object]:
        """As a value that a report can hold."""
        return {"bundles": self.requests, "strategy": self.strategy}

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PlacementGroupFactory)
            and self.requests == other.requests
            and self.strategy == other.strategy
        )

    def __hash__(self) -> int:
        return hash((self.strategy, tuple(tuple(sorted(b.items())) for b in self.requests)))

    def __repr__(self) -> str:
        return f"PlacementGroupFactory({self.requests}, strategy={self.strategy!r})"


Request: TypeAlias = Mapping[str, float] | PlacementGroupFactory
"""What a trial asks for, checked: amounts by name, or bundles."""


def _with_rays_names(resources: Mapping[str, float]) -> dict[str, float]:
    return {name.upper() if name in ("cpu", "gpu") else name: float(n) for name, n in resources.items() if n}


class HeldResources(dict[str, float]):
    """What a running trial was given: a dict of the whole, with the attributes of a :class:`PlacementGroupFactory`."""

    @property
    def bundles(self) -> list[dict[str, float]]:
        """The one bundle that the trial has."""
        return [_with_rays_names(self)]

    @property
    def strategy(self) -> str:
        """Of the placement."""
        return "PACK"

    @property
    def head_cpus(self) -> float:
        """CPUs of the trial."""
        return self.get("cpu", 0.0)

    @property
    def required_resources(self) -> dict[str, float]:
        """The same with Ray's names: ``{"CPU": 2.0, "GPU": 0.5}``."""
        return PlacementGroupFactory([self]).required_resources


def as_held(resources: Request | None) -> HeldResources | Request | None:
    """A trial's resources as its code sees them."""
    return HeldResources(resources) if type(resources) is dict else resources


def check_resources(resources: object, asked: str) -> dict[str, float]:
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
    for name, given in _flat(resources).items():
        amount = python_value(given)
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


def _flat(resources: Mapping[object, object]) -> Mapping[object, object]:
    """A request with what stands under ``custom_resources`` (and what is 0 under ``object_store_memory``) inlined."""
    custom = resources.get("custom_resources")
    if custom is not None and not isinstance(custom, Mapping):
        return resources
    others = {name: amount for name, amount in resources.items() if name != "custom_resources"}
    return {**others, **(custom or {})}


def as_request(resources: object, asked: str) -> object:
    """What ``with_resources`` was given, checked: a dict, a :class:`PlacementGroupFactory` or a function."""
    bundles = getattr(resources, "as_placement_group_factory", None)
    if bundles is not None:  # a ScalingConfig, also Ray Train's own
        made = bundles()
        return made if isinstance(made, PlacementGroupFactory) else PlacementGroupFactory(made.bundles, made.strategy)
    if not callable(resources) or isinstance(resources, PlacementGroupFactory):
        for name in check_resources(resources, asked):
            if name not in _USUAL and (meant := nearest(name.lower().removeprefix("num_"), _USUAL, 0.8)):
                warn_user(f"{asked} names {name!r}, a custom resource. Did you mean {meant!r}?")
    return resources


def resource_dict_to_pg_factory(spec: Mapping[str, float] | None = None) -> PlacementGroupFactory:
    """One bundle of a dict of resources; None: one CPU."""
    return PlacementGroupFactory([dict(spec or DEFAULT_RESOURCES)])


def json_to_resources(data: str | Mapping[str, object] | None) -> PlacementGroupFactory | None:
    """Resources from JSON such as ``'{"cpu": 2, "gpu": 0.5}'``; None stays None.

    Raises
    ------
    ResourceError
        If it is no JSON of a dict.
    """
    found: Any = data
    if isinstance(data, str):
        import json

        try:
            found = json.loads(data)
        except ValueError as error:
            raise ResourceError("json_to_resources(data)", f"is no JSON: {error}", "", "Use a dict's JSON.") from error
    return None if found is None else resource_dict_to_pg_factory(found)


def resources_from(request: object, config: Config) -> Request:
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


def resources_to_json(resources: object) -> object:
    """A resolved request as the journal keeps it."""
    if isinstance(resources, PlacementGroupFactory):
        return {"bundles": resources.requests, "strategy": resources.strategy}
    return resources


def resources_from_json(kept: object) -> Any:
    """What :func:`resources_to_json` wrote."""
    if isinstance(kept, dict) and isinstance(kept.get("bundles"), list):
        return PlacementGroupFactory(kept["bundles"], kept["strategy"])
    return kept


def resource_units(amount: float) -> int:
    """An amount in whole ten-thousandths."""
    return round(amount * GRAIN)
