"""The tree behind an encoding: each node makes its part of a configuration from plain values, and reads it back."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from statistics import NormalDist
from typing import Any

from tune_core.errors import SearchSpaceError
from tune_core.search.encoding.params import Param, Values
from tune_core.space.dependent_values import Box, Pending
from tune_core.space.domains import Categorical, Domain, Function
from tune_core.space.sampling import fits, path_str


class DecodeState:
    """One configuration being made."""

    __slots__ = ("boxes", "pending", "rng", "values")

    def __init__(self, values: Mapping[str, object], rng: Random) -> None:
        self.values = values
        self.rng = rng
        self.pending: list[tuple[object, object, Pending]] = []
        self.boxes: list[tuple[Any, Any]] = []


class Node:
    """Part of a space."""

    def make(self, making: DecodeState) -> Any:
        raise NotImplementedError

    def read(self, value: object, out: Values, asked: str) -> None:
        raise NotImplementedError


class Fixed(Node):
    """A constant."""

    def __init__(self, value: object) -> None:
        self.value = value

    def make(self, making: DecodeState) -> Any:
        return self.value

    def read(self, value: object, out: Values, asked: str) -> None:
        pass


class Computed(Fixed):
    """A ``sample_from``: called once all else is known."""

    def __init__(self, function: Function, path: tuple[object, ...]) -> None:
        self.function, self.path = function, path

    def make(self, making: DecodeState) -> Any:
        return Pending(self.function, making.rng.getrandbits(64), self.path)


class Container(Node):
    """A dict, list or tuple."""

    def __init__(self, kind: type, items: list[tuple[object, Node]]) -> None:
        self.kind, self.items = kind, items

    def make(self, making: DecodeState) -> Any:
        out: Any = {} if self.kind is dict else (Box if self.kind is tuple else list)([None] * len(self.items))
        for key, node in self.items:
            value = out[key] = node.make(making)
            if value.__class__ is Pending:
                making.pending.append((out, key, value))
            elif value.__class__ is Box:
                making.boxes.append((out, key))
        return out

    def read(self, value: Any, out: Values, asked: str) -> None:
        for key, node in self.items:
            try:
                child = value[key]
            except (KeyError, IndexError, TypeError):
                if isinstance(node, (Fixed, Computed)):
                    continue
                raise SearchSpaceError(
                    f"{asked}[{key!r}]", "is missing", "each parameter of the space needs a value", "Add it."
                ) from None
            node.read(child, out, asked)


class Number(Node):
    """A range of numbers."""

    def __init__(self, param: Param, path: tuple[Any, ...]) -> None:
        self.param, self.path = param, path
        domain = param.domain
        self.normal = NormalDist(domain.mean or 0.0, domain.sd) if getattr(domain, "sd", None) is not None else None
        self.step = domain.q if param.kind == "int" else None

    def make(self, making: DecodeState) -> Any:
        value = _value(making, self.param)
        if self.normal is not None:
            value = self.normal.inv_cdf(value)
        elif self.step is not None:
            value = value * self.step
        return self.param.domain.snap(value)

    def read(self, value: Any, out: Values, asked: str) -> None:
        domain = self.param.domain
        if not domain.is_valid(value):
            raise _outside(self.path, domain, value, asked)
        number = domain.cast(value)
        if self.normal is not None:
            number = self.normal.cdf(number)
        elif self.step is not None:
            number = number / self.step
        out[self.param.name] = self.param.snap(number)


class Choice(Node):
    """A choice, and what depends on it."""

    def __init__(self, param: Param, domain: Categorical, branches: list[Node], path: tuple[object, ...]) -> None:
        self.param, self.domain, self.branches, self.path = param, domain, branches, path

    def make(self, making: DecodeState) -> Any:
        return self.branches[_value(making, self.param)].make(making)

    def read(self, value: object, out: Values, asked: str) -> None:
        index = self.domain.index_of(value)
        if index is None:
            index = next((i for i, category in enumerate(self.domain.categories) if fits(value, category)), None)
        if index is None:
            raise _outside(self.path, self.domain, value, asked)
        out[self.param.name] = index
        self.branches[index].read(value, out, asked)


def _value(making: DecodeState, param: Param) -> Any:
    try:
        return making.values[param.name]
    except KeyError:
        raise SearchSpaceError(
            f"The parameter {param.name!r}",
            "was given no value by the search library",
            "it is active under the choices made",
            "This is a defect of the searcher's adaptor: please report it with the search space.",
        ) from None


def _outside(path: tuple[object, ...], domain: Domain, value: object, asked: str) -> SearchSpaceError:
    return SearchSpaceError(
        f"{asked}{path_str(path).removeprefix('param_space')}",
        f"is {value!r}",
        f"{path_str(path)} is {domain!r}, which does not contain that value",
        "Use a value of that domain, or widen the domain.",
    )
