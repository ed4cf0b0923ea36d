"""The one translation between search spaces and what libraries take: flat floats, ints and category numbers.

A library is handed only three kinds of parameters, each with plain bounds: ``float``, ``int`` (both ends included) and
``cat`` (the number of a category). All else is done here, exactly and once for all libraries: steps become whole
numbers of steps, a normal distribution becomes its quantile, categories of any type become their numbers, nested names
become flat ones, and what depends on a choice becomes conditional.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from random import Random
from statistics import NormalDist
from typing import Any

from tune_core.core.values import Config, ConfigView
from tune_core.errors import SearchSpaceError
from tune_core.search.encoding.nodes import Choice, Computed, Container, DecodeState, Fixed, Node, Number
from tune_core.search.encoding.params import Param, Values
from tune_core.space.dependent_values import draw_sample_from
from tune_core.space.domains import Categorical, Domain, Function
from tune_core.space.numeric import Float, Integer
from tune_core.space.pinning import pin
from tune_core.space.sampling import Constant, compile_space, draw_value, is_container, is_grid, path_str
from tune_core.space.validation import validate

_MANY = 10**9  # more steps than this are a continuum
_TAIL = 1e-9  # quantiles of a normal distribution end here


class Encoding:
    """A search space as a list of plain parameters, and the way there and back.

    Parameters
    ----------
    space
        A search space of :mod:`tune_core.space`.
    asked_by
        The searcher's name, for errors.

    Raises
    ------
    SearchSpaceError
        If the space is impossible, holds a grid, or nothing to search.

    Examples
    --------
    >>> from tune_core import space
    >>> encoding = Encoding({"lr": space.loguniform(0.1, 1), "net": {"act": space.choice(["relu", None])}})
    >>> [(p.name, p.kind, p.low, p.high) for p in encoding.params]
    [('lr', 'float', 0.1, 1.0), ('net/act', 'cat', 0, 1)]
    >>> encoding.decode({"lr": 0.5, "net/act": 1})
    {'lr': 0.5, 'net': {'act': None}}
    >>> encoding.encode({"lr": 0.5, "net": {"act": "relu"}})
    {'lr': 0.5, 'net/act': 0}
    """

    def __init__(self, space: Mapping[str, Any], asked_by: str = "The searcher") -> None:
        validate(space)
        self.space = dict(space)
        self.asked_by = asked_by
        self.params: list[Param] = []
        self._names: set[str] = set()
        self._paths: dict[str, tuple[Any, ...]] = {}  # of each parameter: where its value stands in a configuration
        self._root = self._node(self.space, (), "", ())
        self.by_name = {param.name: param for param in self.params}
        if not self.params:
            raise SearchSpaceError(
                "param_space",
                "holds nothing to search",
                f"{asked_by} needs at least one domain with more than one value",
                'Add one, for example {"lr": tune.loguniform(1e-4, 1e-1)}, or leave search_alg out.',
            )

    @property
    def is_conditional(self) -> bool:
        """Whether some parameters exist only under some choices."""
        return any(param.condition for param in self.params)

    @property
    def is_reversible(self) -> bool:
        """Whether a configuration tells to the last bit the point that it was decoded from."""
        return not any(
            param.kind == "float" and (param.domain.sd is not None or param.domain.q is not None)
            for param in self.params
        )

    @property
    def digest(self) -> str:
        """A text that is equal for spaces of the same parameters."""
        told = repr([(p.name, p.kind, p.low, p.high, p.log, p.condition) for p in self.params])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def size(self) -> int | None:
        """Number of different points; None if a parameter is continuous or the space conditional."""
        if self.is_conditional or any(param.size is None for param in self.params):
            return None
        return math.prod(param.size or 1 for param in self.params)

    def active(self, values: Mapping[str, Any]) -> list[Param]:
        """The parameters that exist at a point."""
        return [param for param in self.params if param.is_active(values)]

    def children(self, name: str, index: int) -> list[Param]:
        """The parameters that exist directly under category ``index`` of choice ``name``."""
        return [param for param in self.params if param.condition[-1:] == ((name, index),)]

    def decode(self, values: Mapping[str, Any], rng: Random | None = None) -> Config:
        """The configuration of a point; ``rng`` seeds the space's ``sample_from`` functions."""
        known = {k: self.by_name[k].snap(v) for k, v in values.items() if k in self.by_name}
        made = DecodeState(known, rng or Random(0))
        config: Config = self._root.make(made)
        if made.pending:
            draw_sample_from(config, made.pending, draw_value)
        for container, key in made.boxes:
            container[key] = tuple(container[key])
        return config

    def normalise(self, values: Mapping[str, Any]) -> Values:
        """A point with the inactive parameters left out and the others as plain numbers within bounds."""
        out: Values = {}
        for param in self.params:
            if param.name in values and param.is_active(out):
                out[param.name] = param.snap(values[param.name])
        return out

    def encode(self, config: ConfigView, asked: str = "point") -> Values:
        """The point of a whole configuration.

        Raises
        ------
        SearchSpaceError
            If a value is missing or outside of its domain.
        """
        out: Values = {}
        self._root.read(config, out, asked)
        return out

    def encode_part(self, point: ConfigView, asked: str = "point") -> Values:
        """The values of a part of a configuration, without those that it leaves out."""
        pinned = pin(self.space, point, asked)
        values = self.encode(compile_space(pinned).build(Random(0), []), asked)
        return {name: value for name, value in values.items() if not _is_open(pinned, self._paths[name])}

    def complete(self, point: ConfigView, rng: Random, asked: str = "point") -> Config:
        """A configuration from a part of one; the rest is drawn."""
        return compile_space(pin(self.space, point, asked)).build(rng, [])

    def draw(self, rng: Random) -> Values:
        """A random point, as random search would draw it."""
        return self.encode(compile_space(self.space).build(rng, []))

    # --- building the tree ------------------------------------------------------------------------------------------

    def _node(self, node: Any, path: tuple[Any, ...], name: str, condition: tuple[tuple[str, int], ...]) -> Node:
        if isinstance(node, Constant):
            return Fixed(node.value)
        if isinstance(node, Categorical):
            return self._choice(node, path, name, condition)
        if isinstance(node, Function):
            return Computed(node, path)
        if isinstance(node, (Float, Integer)):
            return self._number(node, path, name, condition)
        if is_grid(node):
            raise SearchSpaceError(
                path_str(path),
                "is a grid_search",
                f"{self.asked_by} chooses each value itself, and would not try them all",
                f"Use tune.choice({list(node['grid_search'])!r}), or leave search_alg out to cross the grid.",
            )
        if is_container(node):
            pairs = node.items() if isinstance(node, dict) else enumerate(node)
            return Container(
                type(node) if type(node) in (list, tuple) else dict,
                [(k, self._node(v, (*path, k), _join(name, k), condition)) for k, v in pairs],
            )
        if isinstance(node, Domain):
            raise SearchSpaceError(
                path_str(path),
                f"is a {type(node).__name__}",
                f"{self.asked_by} knows no such domain",
                "Use one of the functions of tune_core.space, e.g. tune.uniform.",
            )
        return Fixed(node)

    def _add(self, param: Param, path: tuple[Any, ...]) -> Param:
        self.params.append(param)
        self._paths[param.name] = path
        return param

    def _unique(self, name: str) -> str:
        while name in self._names:
            name += "'"
        self._names.add(name)
        return name

    def _choice(self, node: Categorical, path: tuple[Any, ...], name: str, condition: Any) -> Node:
        if len(node) == 1:
            return self._node(node[0], path, name, condition)
        name = self._unique(name)
        param = self._add(Param(name, "cat", 0, len(node) - 1, False, condition, node), path)
        branches = [
            self._node(category, path, f"{name}={i}", (*condition, (name, i)))
            for i, category in enumerate(node.categories)
        ]
        return Choice(param, node, branches, path)

    def _number(self, node: Float | Integer, path: tuple[Any, ...], name: str, condition: Any) -> Node:
        kind, low, high = _bounds(node)
        if low == high:
            return Fixed(node.snap(low * node.q if kind == "int" and node.q else low))
        param = Param(self._unique(name), kind, low, high, bool(node.log), condition, node)
        return Number(self._add(param, path), path)


def _is_open(space: Any, path: tuple[Any, ...]) -> bool:
    """Whether the value at a path is still to be drawn, by itself or with a choice around it."""
    for key in path:
        if isinstance(space, (Domain, Constant)):
            break
        space = space[key]
    return isinstance(space, Domain)


def _join(name: str, key: Any) -> str:
    text = str(key).replace("~", "~0").replace("/", "~1")
    return f"{name}/{text}" if name else text


def _bounds(node: Float | Integer) -> tuple[str, float, float]:
    """Kind and bounds of a number's parameter: the value itself, its number of steps, or its quantile."""
    if isinstance(node, Integer):
        return "int", node.first // (node.q or 1), node.last // (node.q or 1)
    if node.sd is not None:
        normal = NormalDist(node.mean or 0.0, node.sd)
        return "float", max(normal.cdf(node.lower), _TAIL), min(normal.cdf(node.upper), 1 - _TAIL)
    if node.q is not None and (node.upper - node.lower) / node.q < _MANY:
        return "int", round(node.lower / node.q), round(node.upper / node.q)
    return "float", node.lower, node.upper
