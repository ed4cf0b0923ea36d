"""Ray Tune's variant generator: every configuration of a specification, as a generator."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tune_core.errors import SearchSpaceError
from tune_core.space import Domain, compile_space
from tune_core.space.domains import as_rng
from tune_core.space.sampling import is_grid

Path = tuple[Any, ...]


class RecursiveDependencyError(SearchSpaceError):
    """Values of a specification depend on each other in a circle."""


def generate_variants(
    unresolved_spec: Mapping[str, object], constant_grid_search: bool = False, random_state: object = None
) -> Iterator[tuple[dict[Path, Any], dict[str, Any]]]:
    """Every combination of the grids in a specification, with its random values drawn.

    Parameters
    ----------
    unresolved_spec
        Nested dicts of constants, domains and grids.
    constant_grid_search
        Draw the random values once for all combinations, instead of anew for each.
    random_state
        Seed or generator of the draws; None draws from the system's randomness.

    Yields
    ------
    tuple
        What was drawn or chosen, by its path of keys; and the specification with those values in it.
    """
    rng = as_rng(random_state)
    space = compile_space(unresolved_spec)
    _, drawn, grids = parse_spec_vars(unresolved_spec)
    paths = [path for path, _ in (*drawn, *grids)]
    fixed = rng.getrandbits(64)
    for point in range(space.grid_size):
        seed = fixed if constant_grid_search else rng.getrandbits(64)
        spec = space.build(random.Random(seed), space.grid_point(point))
        yield {path: _at(spec, path) for path in paths}, spec


def parse_spec_vars(
    spec: Mapping[str, object],
) -> tuple[list[tuple[Path, Any]], list[tuple[Path, Any]], list[tuple[Path, Any]]]:
    """The constants, domains and grids of a specification, each with its path of keys."""
    constants: list[tuple[Path, object]] = []
    drawn: list[tuple[Path, object]] = []
    grids: list[tuple[Path, object]] = []
    _split(spec, (), constants, drawn, grids)
    grids.sort(key=lambda item: tuple(map(str, item[0])))
    return constants, drawn, grids


def _split(node: Any, path: Path, constants: list[Any], drawn: list[Any], grids: list[Any]) -> None:
    if is_grid(node):
        grids.append((path, node["grid_search"]))
    elif isinstance(node, Domain):
        drawn.append((path, node))
    elif isinstance(node, Mapping) and node:
        for key, child in node.items():
            _split(child, (*path, key), constants, drawn, grids)
    elif isinstance(node, (list, tuple)) and not has_no_domain(node):
        for position, child in enumerate(node):
            _split(child, (*path, position), constants, drawn, grids)
    else:
        constants.append((path, node))


def has_no_domain(node: Any) -> bool:
    """Whether all that is in a value is constant."""
    if isinstance(node, Domain) or is_grid(node):
        return False
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    return all(has_no_domain(child) for child in children)


def has_unresolved_values(spec: Mapping[str, object]) -> bool:
    """Whether a specification holds domains or grids."""
    return not has_no_domain(spec)


def assign_value(spec: Mapping[str, object], path: Path, value: object) -> None:
    """Put a value into nested dicts and lists at a path of keys."""
    node: Any = spec
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value


def _at(spec: Any, path: Path) -> Any:
    for key in path:
        spec = spec[key]
    return copy.copy(spec)


def format_vars(resolved_vars: Mapping[Path, object]) -> str:
    """Drawn values as text for names of folders: ``"lr=0.0100,layers=2"``."""
    named = {"/".join(map(str, path)): (path, value) for path, value in resolved_vars.items()}
    for left_out in ("run", "env", "resources_per_trial"):
        named.pop(left_out, None)
    shown = sorted((tuple(map(str, path)), value) for path, value in named.values())
    return ",".join(f"{_clean(path[-1])}={_clean(value)}" for path, value in shown)


def _clean(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else re.sub(r"[^a-zA-Z0-9_-]+", "_", str(value)).strip("_")


def flatten_resolved_vars(resolved_vars: Mapping[Path, object]) -> dict[str, Any]:
    """Drawn values by one key each: ``("config", "a", "b")`` becomes ``"a/b"``."""
    return {
        "/".join(map(str, path[1:] if path and path[0] == "config" else path)): value
        for path, value in resolved_vars.items()
    }
