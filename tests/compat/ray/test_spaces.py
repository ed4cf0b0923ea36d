"""Search spaces: what each function draws, what it refuses, and what a space expands to."""

from __future__ import annotations

import math
from typing import Any

import pytest

from .conftest import Api

DRAWS = {
    "uniform": (lambda t: t.uniform(2, 5), lambda v: 2 <= v < 5 and isinstance(v, float)),
    "quniform": (lambda t: t.quniform(0, 10, 0.5), lambda v: 0 <= v <= 10 and math.isclose(v * 2, round(v * 2))),
    "loguniform": (lambda t: t.loguniform(1e-4, 1e-1), lambda v: 1e-4 <= v <= 1e-1),
    "qloguniform": (lambda t: t.qloguniform(1e-2, 1, 1e-2), lambda v: 1e-2 <= v <= 1 + 1e-9),
    "randn": (lambda t: t.randn(10, 0.1), lambda v: 5 < v < 15),
    "qrandn": (lambda t: t.qrandn(10, 2, 0.2), lambda v: math.isclose(v / 0.2, round(v / 0.2), abs_tol=1e-6)),
    "randint": (lambda t: t.randint(-3, 3), lambda v: v in range(-3, 3)),
    "qrandint": (lambda t: t.qrandint(0, 12, 3), lambda v: v in (0, 3, 6, 9, 12)),
    "lograndint": (lambda t: t.lograndint(1, 100), lambda v: v in range(1, 100)),
    "qlograndint": (lambda t: t.qlograndint(2, 100, 2), lambda v: v % 2 == 0 and 2 <= v <= 100),
    "choice": (lambda t: t.choice(["a", "b"]), lambda v: v in ("a", "b")),
}


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_domain_draws_what_its_name_says(api: Api, name: str) -> None:
    make, fits = DRAWS[name]
    values = make(api.tune).sample(size=200)
    assert len(values) == 200
    assert all(fits(value) for value in values)
    assert fits(make(api.tune).sample())


def test_upper_end_of_randint_is_left_out_and_that_of_qrandint_is_not(api: Api) -> None:
    assert set(api.tune.randint(0, 3).sample(size=300)) == {0, 1, 2}
    assert set(api.tune.qrandint(0, 6, 3).sample(size=300)) == {0, 3, 6}


def test_a_seed_repeats_draws(api: Api) -> None:
    domain = api.tune.uniform(0, 1)
    assert list(domain.sample(size=5, random_state=3)) == list(domain.sample(size=5, random_state=3))


def test_classes_of_domains_are_at_their_paths(api: Api) -> None:
    sample = api("search.sample")
    assert isinstance(api.tune.uniform(0, 1), sample.Float)
    assert isinstance(api.tune.randint(0, 9), sample.Integer)
    assert isinstance(api.tune.choice([1, 2]), sample.Categorical)
    assert isinstance(api.tune.sample_from(lambda spec: 1), sample.Function)
    assert all(issubclass(getattr(sample, n), sample.Domain) for n in ("Float", "Integer", "Categorical", "Function"))


def test_domains_tell_their_bounds(api: Api) -> None:
    assert (api.tune.uniform(0, 2).lower, api.tune.uniform(0, 2).upper) == (0, 2)
    assert list(api.tune.choice(["a", "b"]).categories) == ["a", "b"]
    assert api.tune.uniform(0, 2).is_valid(1.5) and not api.tune.uniform(0, 2).is_valid(3)
    assert api.tune.choice([1, 2]).is_valid(2) and not api.tune.choice([1, 2]).is_valid(3)


def test_grid_search_is_a_marked_dict(api: Api) -> None:
    assert api.tune.grid_search([1, 2]) == {"grid_search": [1, 2]}


@pytest.mark.parametrize(
    "make",
    [lambda t: t.loguniform(0, 1), lambda t: t.loguniform(-1, 1), lambda t: t.lograndint(0, 5)],
    ids=["zero", "negative", "integers"],
)
def test_logarithmic_domain_needs_a_positive_bound(api: Api, make: Any) -> None:
    with pytest.raises(ValueError):
        make(api.tune)


def test_variants_are_the_product_of_the_grids(api: Api) -> None:
    variants = api("search.variant_generator")
    tune = api.tune
    spec = {"a": tune.grid_search([1, 2]), "b": {"c": tune.grid_search(["x", "y"])}, "d": 5}
    found = list(variants.generate_variants(spec))
    configs = [config for _, config in found]
    assert len(configs) == 4 and all(config["d"] == 5 for config in configs)
    assert {(config["a"], config["b"]["c"]) for config in configs} == {(1, "x"), (1, "y"), (2, "x"), (2, "y")}
    assert set(found[0][0]) == {("a",), ("b", "c")}


def test_constant_grid_search_draws_once_for_the_whole_grid(api: Api) -> None:
    spec = {"a": api.tune.grid_search([1, 2, 3]), "x": api.tune.uniform(0, 1)}
    generate = api("search.variant_generator").generate_variants
    assert len({config["x"] for _, config in generate(spec, constant_grid_search=True)}) == 1
    assert len({config["x"] for _, config in generate(spec)}) == 3


def test_sample_from_sees_what_was_drawn(api: Api) -> None:
    spec = {"config": {"a": api.tune.grid_search([2, 3]), "b": api.tune.sample_from(lambda spec: spec.config.a * 10)}}
    if api.is_ours:
        spec = spec["config"]
    found = [config.get("config", config) for _, config in api("search.variant_generator").generate_variants(spec)]
    assert sorted((config["a"], config["b"]) for config in found) == [(2, 20), (3, 30)]


def test_names_of_variants(api: Api) -> None:
    format_vars = api("search.variant_generator").format_vars
    assert format_vars({("a", "lr"): 0.01, ("layers",): 2}) == "lr=0.0100,layers=2"
    assert format_vars({("act",): "re lu/x"}) == "act=re_lu_x"


def test_spec_is_parsed_into_constants_domains_and_grids(api: Api) -> None:
    spec = {"a": 1, "b": api.tune.uniform(0, 1), "c": api.tune.grid_search([1, 2])}
    constants, drawn, grids = api("search.variant_generator").parse_spec_vars(spec)
    assert [path for path, _ in constants] == [("a",)]
    assert [path for path, _ in drawn] == [("b",)]
    assert [path for path, _ in grids] == [("c",)]


def test_random_search_is_grid_times_samples(api: Api) -> None:
    if not api.is_ours:
        pytest.skip("Ray Tune's generator needs an Experiment; the run below asks it")
    search = api("search.basic_variant").BasicVariantGenerator(random_state=1)
    search.set_search_properties("loss", "min", {"a": api.tune.grid_search([1, 2])}, num_samples=3)
    assert search.total == 6
