"""Draws configurations from a search space, which is compiled once: each depends on the seed and its index alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from tune_core.core.values import Config, ResultDict
from tune_core.errors import SearchSpaceError
from tune_core.space.dependent_values import Box, Pending, draw_sample_from
from tune_core.space.domains import Categorical, Domain, Function, below, same, set_sampler
from tune_core.space.numeric import Float, Integer

Path = tuple[Any, ...]
Make = Callable[["_Draw"], Any]


class Constant:
    """A value in a space that is taken as it is, even where it looks like a domain or holds some."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class _Draw:
    """One configuration being drawn."""

    __slots__ = ("boxes", "grid", "pending", "rng")

    def __init__(self, rng: Random, grid: list[int]) -> None:
        self.rng = rng
        self.grid = grid  # which value of each grid
        self.pending: list[tuple[Any, Any, Pending]] = []  # container, key and function of each sample_from
        self.boxes: list[tuple[Any, Any]] = []  # container and key of each tuple still held as a list

    def fill(self, container: Any, makes: list[tuple[Any, Make]]) -> None:
        """Draw the values of a dict or list, and note those that are not complete yet."""
        for key, make_value in makes:
            value = make_value(self)
            container[key] = value
            if value.__class__ is Pending:
                self.pending.append((container, key, value))
            elif value.__class__ is Box:
                self.boxes.append((container, key))


def rng_for(seed: int, index: int) -> Random:
    """The generator of configuration ``index``: the same for the same two numbers, in every process."""
    return Random(_number_of(seed, index))


def set_rng_for(rng: Random, seed: int, index: int) -> Random:
    """Make of ``rng`` what :func:`rng_for` returns: a new generator is seeded twice by Python, an old one once."""
    rng.seed(_number_of(seed, index))
    return rng


def _number_of(seed: int, index: int) -> int:
    positive = seed << 1 if seed >= 0 else (-seed << 1) - 1
    return positive << 64 | index


def path_str(path: Path) -> str:
    """A path as the user would write it: ``param_space["model"]["lr"]``."""
    return "param_space" + "".join(f'["{p}"]' if isinstance(p, str) else f"[{p!r}]" for p in path)


def is_grid(node: object) -> bool:
    """Whether ``node`` is a grid: ``{"grid_search": [...]}``."""
    return isinstance(node, dict) and "grid_search" in node


def children(node: Any) -> Iterator[tuple[Any, Any]]:
    """Keys and values of a container of a space; nothing for leaves: domains, grids and constants."""
    kind = type(node)
    if kind is list or kind is tuple:
        return iter(enumerate(node))
    if isinstance(node, dict) and not is_grid(node):
        return iter(node.items())
    return iter(())


def is_container(node: object) -> bool:
    """Whether ``node`` is a dict (but no grid), list or tuple, of which each configuration has a copy of its own."""
    return type(node) in (list, tuple) or (isinstance(node, dict) and not is_grid(node))


def varies(node: object) -> bool:
    """Whether a domain or grid is anywhere in ``node``."""
    return isinstance(node, Domain) or is_grid(node) or any(varies(child) for _, child in children(node))


def varied_names(node: object, path: tuple[str, ...] = ()) -> list[str]:
    """Names of the parameters that vary, those in nested dicts joined by ``/``; a list counts as one."""
    if isinstance(node, (Domain, list, tuple)) or is_grid(node):
        return ["/".join(path)] if varies(node) else []
    return [name for key, child in children(node) for name in varied_names(child, (*path, str(key)))]


# --- compiling ----------------------------------------------------------------------------------------------------


class Compiled:
    """A search space made ready for fast drawing.

    Parameters
    ----------
    param_space
        A valid space: a dict of domains, grids, constants and containers of them.
    """

    def __init__(self, param_space: Mapping[str, object]) -> None:
        grids: list[tuple[Path, list[Any]]] = []
        _find_grids(dict(param_space), (), grids)
        grids.sort(key=lambda found: found[0])  # as in Ray Tune: sorted by name, the first one varies fastest
        self.grid_paths = [path for path, _ in grids]
        self._lengths = [len(values) for _, values in grids]
        self.grid_size = 1
        for length in self._lengths:
            self.grid_size *= length
        positions = {path: i for i, path in enumerate(self.grid_paths)}
        self._make = _compile(dict(param_space), (), positions)

    def grid_point(self, number: int) -> list[int]:
        """The position of each grid's value at a point of their product."""
        digits = []
        for length in self._lengths:
            number, digit = divmod(number, length)
            digits.append(digit)
        return digits

    def generate(self, seed: int, index: int, constant_grid: bool = False) -> Config:
        """Configuration ``index``; see :func:`generate`."""
        if self.grid_size == 1 and not self._lengths:
            return self.build(rng_for(seed, index), [])
        sample, point = divmod(index, self.grid_size)
        return self.build(rng_for(seed, sample if constant_grid else index), self.grid_point(point))

    def build(self, rng: Random, grid: list[int]) -> Config:
        """The configuration that ``rng`` draws at one point of the grids."""
        draw = _Draw(rng, grid)
        config: Config = self._make(draw)
        if draw.pending:
            draw_sample_from(config, draw.pending, draw_value)
        for container, key in draw.boxes:
            container[key] = tuple(container[key])
        return config


def compile_space(param_space: Mapping[str, object]) -> Compiled:
    """Make a search space ready for fast drawing."""
    return Compiled(param_space)


def _find_grids(node: Any, path: Path, found: list[tuple[Path, list[Any]]]) -> None:
    if is_grid(node):
        found.append((path, list(node["grid_search"])))
    for key, child in children(node):
        _find_grids(child, (*path, key), found)


def _compile(node: Any, path: Path, grids: Mapping[Path, int]) -> Make:
    if isinstance(node, Categorical):
        return _compile_choice(node, path)
    if isinstance(node, Function):
        return lambda draw: Pending(node, draw.rng.getrandbits(64), path)
    if isinstance(node, Domain):
        method = node.draw
        return lambda draw: method(draw.rng)
    if isinstance(node, Constant):
        value = node.value
        return lambda draw: value
    if is_grid(node):
        return _compile_grid(node["grid_search"], path, grids)
    if isinstance(node, dict):
        return _compile_dict(node, path, grids)
    if type(node) in (list, tuple):
        return _compile_list(node, path, grids)
    return lambda draw: node


def _compile_choice(domain: Categorical, path: Path) -> Make:
    categories = domain.categories
    n = len(categories)
    if not any(is_container(c) or isinstance(c, (Domain, Constant)) for c in categories):
        return lambda draw: categories[below(draw.rng, n)]
    makes = [_compile(c, path, {}) for c in categories]
    return lambda draw: makes[below(draw.rng, n)](draw)


def _compile_grid(values: Any, path: Path, grids: Mapping[Path, int]) -> Make:
    position = grids[path]
    if not any(is_container(v) or isinstance(v, (Domain, Constant)) for v in values):
        plain = list(values)
        return lambda draw: plain[draw.grid[position]]
    makes = [_compile(v, path, {}) for v in values]
    if not any(map(varies, values)):
        return lambda draw: makes[draw.grid[position]](draw)

    def make(draw: _Draw) -> Any:
        # Domains within a grid's value draw from a generator of their own, so that the other domains draw the same
        # numbers at each point of the grid.
        outer = draw.rng
        draw.rng = Random(outer.getrandbits(64))
        try:
            return makes[draw.grid[position]](draw)
        finally:
            draw.rng = outer

    return make


def _compile_dict(node: Mapping[str, object], path: Path, grids: Mapping[Path, int]) -> Make:
    template = dict(node)
    makes = [(k, _compile(v, (*path, k), grids)) for k, v in node.items() if _is_made(v)]

    def make(draw: _Draw) -> Config:
        out = template.copy()
        draw.fill(out, makes)
        return out

    return make


def _compile_list(node: Any, path: Path, grids: Mapping[Path, int]) -> Make:
    template = Box(node) if type(node) is tuple else list(node)
    makes = [(i, _compile(v, (*path, i), grids)) for i, v in enumerate(node) if _is_made(v)]
    if not makes and type(node) is tuple:
        return lambda draw: node

    def make(draw: _Draw) -> list[Any]:
        out = type(template)(template)
        draw.fill(out, makes)
        return out

    return make


def _is_made(node: object) -> bool:
    return isinstance(node, (Domain, Constant, dict)) or type(node) in (list, tuple)


def draw_value(node: object, rng: Random, config: Any = None) -> Any:
    """Draw one domain, or all domains in a container, outside of a compiled space."""
    if isinstance(node, Function):
        return node.draw(rng, config)
    if isinstance(node, (Float, Integer)):
        return node.draw(rng)
    return compile_space({"value": node}).build(rng, [])["value"] if varies(node) else node


# --- what the rest of the core asks ---------------------------------------------------------------------------------


def has_grid(param_space: Mapping[str, object]) -> bool:
    """Whether the space holds a grid."""
    found: list[tuple[Path, list[Any]]] = []
    _find_grids(dict(param_space), (), found)
    return bool(found)


def grid_size(param_space: Mapping[str, object]) -> int:
    """Number of points in the product of all grids; 1 without a grid."""
    return compile_space(param_space).grid_size


def generate(param_space: Mapping[str, object], seed: int, index: int, constant_grid: bool = False) -> Config:
    """Configuration ``index`` of a random and grid search.

    It is sample ``index // grid_size`` of grid point ``index % grid_size``, and depends on ``seed`` and ``index``
    alone. With ``constant_grid`` the random part is the same at all points of the grid.
    """
    return compile_space(param_space).generate(seed, index, constant_grid)


def flatten(param_space: Mapping[str, object]) -> dict[str, Any]:
    """All leaves of a space by path: ``{"model/layers/0": Integer, ...}``; a ``/`` in a key is written ``~1``.

    Leaves are domains, grids, constants and empty containers. The categories of a choice are not searched.
    """
    flat: dict[str, Any] = {}

    def walk(node: object, prefix: str) -> None:
        for key, child in children(node):
            path = prefix + _escape(key)
            if is_container(child) and child:
                walk(child, path + "/")
            else:
                flat[path] = child

    walk(dict(param_space), "")
    return flat


def unflatten(flat: Mapping[str, Any], param_space: Mapping[str, Any] | None = None) -> Config:
    """Inverse of :func:`flatten`; ``param_space`` says which containers are lists or tuples, and fills in constants."""
    if param_space is None:
        out: dict[str, Any] = {}
        for path, value in flat.items():
            *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
            node = out
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
        return out

    def build(node: Any, prefix: str) -> Any:
        made = []
        for key, child in children(node):
            path = prefix + _escape(key)
            if is_container(child) and child:
                made.append((key, build(child, path + "/")))
            elif path in flat:
                made.append((key, flat[path]))
            elif isinstance(child, Domain) or is_grid(child):
                raise SearchSpaceError(
                    f"unflatten({path!r})", "has no value", "each domain needs one", f"Give {path!r}."
                )
            else:
                made.append((key, child))
        return dict(made) if isinstance(node, dict) else type(node)(value for _, value in made)

    result: ResultDict = build(dict(param_space), "")
    return result


def _escape(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def domains(param_space: Mapping[str, object]) -> dict[str, Domain]:
    """The domains among the leaves of :func:`flatten`."""
    return {path: leaf for path, leaf in flatten(param_space).items() if isinstance(leaf, Domain)}


def fits(value: Any, node: Any) -> bool:
    """Whether ``value``, with all its parts, could be drawn from ``node``."""
    if isinstance(node, Constant):
        return same(node.value, value)
    if isinstance(node, Domain):
        return node.is_valid(value)
    if is_grid(node):
        return any(fits(value, v) for v in node["grid_search"])
    if isinstance(node, dict):
        return isinstance(value, Mapping) and value.keys() == node.keys() and all(fits(value[k], node[k]) for k in node)
    if type(node) in (list, tuple):
        return type(value) is type(node) and len(value) == len(node) and all(map(fits, value, node))
    return equal(node, value)


def equal(a: Any, b: object) -> bool:
    """Whether two values are the same, or equal as Python sees it (1 and 1.0)."""
    if same(a, b):
        return True
    try:
        return bool(a == b)
    except Exception:  # arrays and other types whose comparison is no truth value
        return False


class _SpaceSampler:
    """What a choice draws whole spaces with; its own module is below this one and cannot import it."""

    draw_value = staticmethod(draw_value)
    fits = staticmethod(fits)


set_sampler(_SpaceSampler())
