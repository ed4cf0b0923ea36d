"""Bad inputs for search spaces: (id, what is done, class of the error, what its message has to name)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tune_core import space
from tune_core.errors import InvalidArgumentError, SearchSpaceError, UserCodeError
from tune_core.search import BasicVariantGenerator, ConcurrencyLimiter

Row = tuple[str, Callable[[], Any], type[Exception], str]


def check(param_space: Any) -> Callable[[], None]:
    return lambda: space.validate(param_space)


def containing_itself() -> dict[str, Any]:
    inner: dict[str, Any] = {}
    inner["again"] = inner
    return {"inner": inner}


def with_point(point: Any) -> Callable[[], Any]:
    search = BasicVariantGenerator(points_to_evaluate=[point])
    return lambda: search.set_search_properties("loss", "min", {"lr": space.uniform(0, 1)}, seed=0, num_samples=1)


def two_required(a: Any, b: Any) -> None:
    """A function that no sample_from can call."""


GRID = space.grid_search([1, 2])
E = SearchSpaceError
BAD_INPUTS: list[Row] = [
    ("uniform swapped bounds", lambda: space.uniform(1, 0), E, "lower"),
    ("uniform equal bounds", lambda: space.uniform(1, 1), E, "lower"),
    ("uniform string bound", lambda: space.uniform("0", 1), E, "lower"),  # type: ignore[arg-type]
    ("uniform bool bound", lambda: space.uniform(0, True), E, "upper"),
    ("uniform None bound", lambda: space.uniform(0, None), E, "upper"),  # type: ignore[arg-type]
    ("uniform nan bound", lambda: space.uniform(math.nan, 1), E, "lower"),
    ("uniform infinite bound", lambda: space.uniform(0, math.inf), E, "upper"),
    ("uniform bound beyond floats", lambda: space.uniform(0, 10**400), E, "upper"),
    ("uniform list bound", lambda: space.uniform([0], 1), E, "lower"),  # type: ignore[arg-type]
    ("loguniform zero bound", lambda: space.loguniform(0, 0.1), E, "lower"),
    ("loguniform negative bounds", lambda: space.loguniform(-2, -1), E, "lower"),
    ("loguniform base one", lambda: space.loguniform(1, 2, base=1), E, "base"),
    ("loguniform negative base", lambda: space.loguniform(1, 2, base=-10), E, "base"),
    ("quniform zero step", lambda: space.quniform(0, 1, 0), E, "q=0"),
    ("quniform negative step", lambda: space.quniform(0, 1, -0.1), E, "q=-0.1"),
    ("quniform nan step", lambda: space.quniform(0, 1, math.nan), E, "q=nan"),
    ("quniform missing step", lambda: space.quniform(0, 1, None), E, "q=None"),  # type: ignore[arg-type]
    ("quniform step above range", lambda: space.quniform(0, 1, 2), E, "q=2"),
    ("quniform lower off the grid", lambda: space.quniform(0.05, 1, 0.1), E, "lower"),
    ("quniform upper off the grid", lambda: space.quniform(0, 0.95, 0.1), E, "upper"),
    ("quniform vanishing step", lambda: space.quniform(0, 1e300, 1e-300), E, "q=1e-300"),
    ("qloguniform zero bound", lambda: space.qloguniform(0, 1, 0.1), E, "lower"),
    ("randn zero deviation", lambda: space.randn(0, 0), E, "sd"),
    ("randn negative deviation", lambda: space.randn(0, -1), E, "sd"),
    ("randn missing deviation", lambda: space.randn(0, None), E, "sd"),  # type: ignore[arg-type]
    ("randn string mean", lambda: space.randn("0", 1), E, "mean"),  # type: ignore[arg-type]
    ("qrandn zero step", lambda: space.qrandn(0, 1, 0), E, "q=0"),
    ("randint swapped bounds", lambda: space.randint(5, 1), E, "lower"),
    ("randint no value", lambda: space.randint(5, 5), E, "lower"),
    ("randint fraction", lambda: space.randint(0.5, 5), E, "lower"),  # type: ignore[arg-type]
    ("randint string", lambda: space.randint(0, "5"), E, "upper"),  # type: ignore[arg-type]
    ("randint infinite", lambda: space.randint(0, math.inf), E, "upper"),  # type: ignore[arg-type]
    ("qrandint zero step", lambda: space.qrandint(0, 10, 0), E, "q=0"),
    ("qrandint fraction of a step", lambda: space.qrandint(0, 10, 0.5), E, "q=0.5"),  # type: ignore[arg-type]
    ("qrandint step above range", lambda: space.qrandint(1, 4, 8), E, "q=8"),
    ("qrandint no multiple in range", lambda: space.qrandint(11, 19, 20), E, "q=20"),
    ("lograndint zero bound", lambda: space.lograndint(0, 10), E, "lower"),
    ("qlograndint zero bound", lambda: space.qlograndint(0, 10, 2), E, "lower"),
    ("choice of nothing", lambda: space.choice([]), E, "categories"),
    ("choice of a string", lambda: space.choice("abc"), E, "categories"),
    ("choice of a set", lambda: space.choice({1, 2}), E, "categories"),
    ("choice of a dict", lambda: space.choice({"a": 1}), E, "categories"),
    ("choice of a number", lambda: space.choice(3), E, "categories"),  # type: ignore[arg-type]
    ("choice of a domain", lambda: space.choice(space.choice([1])), E, "categories"),  # type: ignore[arg-type]
    ("grid of nothing", lambda: space.grid_search([]), E, "values"),
    ("grid of a string", lambda: space.grid_search("abc"), E, "values"),
    ("sample_from a value", lambda: space.sample_from(3), E, "func"),  # type: ignore[arg-type]
    ("sample_from two arguments", lambda: space.sample_from(two_required), E, "func"),
    ("sample with a bad state", lambda: space.uniform(0, 1).sample(random_state="x"), E, "random_state"),
    ("space is a list", check([1]), E, "param_space"),
    ("space is a domain", check(space.uniform(0, 1)), E, "param_space"),
    ("space is a grid", check(GRID), E, "param_space"),
    ("integer name", check({"model": {3: 1}}), E, 'param_space["model"][3]'),
    ("grid beside other keys", check({"lr": {**GRID, "other": 1}}), E, 'param_space["lr"]'),
    ("empty grid", check({"lr": {"grid_search": []}}), E, 'param_space["lr"]'),
    ("grid that is no list", check({"lr": {"grid_search": 3}}), E, 'param_space["lr"]'),
    ("grid in a choice", check({"m": space.choice([{"lr": GRID}])}), E, 'param_space["m"]["lr"]'),
    ("grid in a grid", check({"m": [space.grid_search([GRID])]}), E, 'param_space["m"][0]'),
    ("function not called", check({"a": {"lr": space.uniform}}), E, 'param_space["a"]["lr"]'),
    ("set of domains", check({"s": {space.uniform(0, 1)}}), E, 'param_space["s"]'),
    ("unbounded domain", check({"x": space.Float()}), E, 'param_space["x"]'),
    ("domain open above", check({"x": space.Float(0)}), E, 'param_space["x"]'),
    ("space that contains itself", check(containing_itself()), E, 'param_space["inner"]["again"]'),
    ("point outside", with_point({"lr": 2}), E, 'points_to_evaluate[0]["lr"]'),
    ("point with a typo", with_point({"rl": 0.5}), E, 'points_to_evaluate[0]["rl"]'),
    ("point that is a list", with_point([0.5]), E, "points_to_evaluate[0]"),
    ("failing function", lambda: space.generate({"f": space.sample_from(lambda: 1 / 0)}, 0, 0), UserCodeError, '["f"]'),
    (
        "functions in a circle",
        lambda: space.generate({"a": space.sample_from(lambda c: c.a)}, 0, 0),
        E,
        'param_space["a"]',
    ),
    ("negative limit", lambda: BasicVariantGenerator(max_concurrent=-1), InvalidArgumentError, "max_concurrent"),
    ("points no list", lambda: BasicVariantGenerator({"lr": 1}), InvalidArgumentError, "points_to_evaluate"),  # type: ignore[arg-type]
    ("object for a seed", lambda: BasicVariantGenerator(random_state=object()), InvalidArgumentError, "state"),
    ("limiter of nothing", lambda: ConcurrencyLimiter(None, 1), InvalidArgumentError, "searcher"),  # type: ignore[arg-type]
    (
        "limit of zero",
        lambda: ConcurrencyLimiter(BasicVariantGenerator(), 0),
        InvalidArgumentError,
        "max_concurrent",
    ),
]
