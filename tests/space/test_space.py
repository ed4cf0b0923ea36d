"""Domains, drawing and the journal form of search spaces."""

from __future__ import annotations

import copy
import json
import math
import pickle
import random
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tune_core import space
from tune_core.errors import RestoreError, SearchSpaceError, UserCodeError

finite = st.floats(-1e6, 1e6, allow_nan=False)
seeds = st.integers(-(2**70), 2**70)


def function_constant(x: int) -> int:
    return x


@st.composite
def float_domains(draw: Any) -> space.Float:
    lower, upper = sorted((draw(finite), draw(finite)))
    if draw(st.booleans()):
        lower, upper = abs(lower) + 1e-6, abs(lower) + 1e-3 + abs(upper)
        return space.loguniform(lower, upper)
    return space.uniform(lower, upper + 1.0)


@st.composite
def integer_domains(draw: Any) -> space.Integer:
    lower, width = draw(st.integers(-(10**6), 10**6)), draw(st.integers(1, 10**6))
    if draw(st.booleans()):
        return space.randint(lower, lower + width)
    return space.lograndint(abs(lower) + 1, abs(lower) + 1 + width)


@st.composite
def quantised_domains(draw: Any) -> Any:
    q, low, steps = draw(st.integers(1, 1000)), draw(st.integers(-100, 100)), draw(st.integers(1, 100))
    if draw(st.booleans()):
        exponent = draw(st.integers(-6, 2))
        low = abs(low) + 1 if draw(st.booleans()) else low
        bounds = [float(Decimal(k * q).scaleb(exponent)) for k in (low, low + steps, 1)]
        return space.quniform(*bounds) if low <= 0 else space.qloguniform(*bounds)
    return space.qrandint(low * q, (low + steps) * q, q)


all_domains = st.one_of(
    float_domains(),
    integer_domains(),
    quantised_domains(),
    st.builds(space.randn, finite, st.floats(1e-3, 1e3)),
    st.builds(space.choice, st.lists(st.integers() | st.text(), min_size=1)),
)


# --- domains ----------------------------------------------------------------------------------------------------------


@given(all_domains, seeds)
def test_drawn_value_is_valid(domain: space.Domain, seed: int) -> None:
    assert domain.is_valid(domain.draw(space.rng_for(seed, 0)))


@given(all_domains)
def test_pickling_keeps_a_domain_equal(domain: space.Domain) -> None:
    copy = pickle.loads(pickle.dumps(domain))

    assert copy == domain
    assert hash(copy) == hash(domain)
    assert repr(copy) == repr(domain)


@given(all_domains)
def test_repr_of_a_domain_makes_the_same_domain(domain: space.Domain) -> None:
    assert eval(repr(domain), vars(space)) == domain


@given(float_domains(), seeds)
def test_float_stays_within_bounds(domain: space.Float, seed: int) -> None:
    assert domain.lower <= domain.draw(space.rng_for(seed, 0)) <= domain.upper


@given(integer_domains(), seeds)
def test_integer_excludes_the_upper_bound(domain: space.Integer, seed: int) -> None:
    value = domain.draw(space.rng_for(seed, 0))

    assert type(value) is int
    assert domain.lower <= value < domain.upper


@given(quantised_domains(), seeds)
def test_quantised_value_is_exactly_a_multiple(domain: Any, seed: int) -> None:
    value = domain.draw(space.rng_for(seed, 0))

    assert Decimal(repr(value)) % Decimal(repr(domain.q)) == 0
    assert domain.lower <= value <= domain.upper


@given(quantised_domains(), finite)
def test_snapped_value_is_valid(domain: Any, value: float) -> None:
    assert domain.is_valid(domain.snap(value))


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (space.randint(1, 4), [1, 2, 3]),
        (space.qrandint(2, 8, 2), [2, 4, 6, 8]),
        (space.qrandint(1, 8, 3), [3, 6]),
        (space.qrandint(1, 3), [1, 2, 3]),
        (space.lograndint(1, 4), [1, 2, 3]),
        (space.qlograndint(2, 8, 2), [2, 4, 6, 8]),
        (space.quniform(0, 0.5, 0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (space.qloguniform(0.1, 0.4, 0.1), [0.1, 0.2, 0.3, 0.4]),
        (space.choice(["a"]), ["a"]),
        (space.choice(range(3)), [0, 1, 2]),
    ],
    ids=repr,
)
def test_every_value_of_a_small_domain_is_drawn_and_no_other(domain: space.Domain, values: list[Any]) -> None:
    assert set(domain.sample(size=500, random_state=7)) == set(values)


@pytest.mark.parametrize(
    "domain", [space.qrandint(0, 9, 3), space.quniform(0, 0.3, 0.1), space.randint(0, 4)], ids=repr
)
def test_linear_steps_are_equally_likely(domain: space.Domain) -> None:
    counts = Counter(domain.sample(size=8000, random_state=3))

    assert all(abs(n - 2000) < 200 for n in counts.values())


def kolmogorov_distance(sample: list[float]) -> float:
    ordered = sorted(sample)
    n = len(ordered)
    return max(max((i + 1) / n - x, x - i / n) for i, x in enumerate(ordered))


def log_share(domain: Any, value: float) -> float:
    return (math.log(value) - math.log(domain.lower)) / (math.log(domain.upper) - math.log(domain.lower))


@pytest.mark.parametrize("seed", range(5))
def test_loguniform_is_uniform_in_the_logarithm(seed: int) -> None:
    domain = space.loguniform(1e-5, 1e2)
    shares = [log_share(domain, v) for v in domain.sample(size=4000, random_state=seed)]

    assert kolmogorov_distance(shares) < 1.95 / math.sqrt(4000)  # p = 0.001


@pytest.mark.parametrize("seed", range(5))
def test_first_draws_of_successive_indices_are_uniform_and_uncorrelated(seed: int) -> None:
    draws = [space.rng_for(seed, i).random() for i in range(4000)]
    products = [(a - 0.5) * (b - 0.5) for a, b in pairwise(draws)]

    assert kolmogorov_distance(draws) < 1.95 / math.sqrt(4000)
    assert abs(sum(products) / len(products)) < 4 / 12 / math.sqrt(4000)


def test_lograndint_draws_each_integer_by_its_share_of_the_logarithm() -> None:
    counts = Counter(space.lograndint(1, 8).sample(size=20000, random_state=1))

    for k in range(1, 8):
        assert counts[k] / 20000 == pytest.approx(math.log((k + 1) / k) / math.log(8), abs=0.012)


def test_randn_has_its_mean_and_deviation() -> None:
    values = space.randn(10, 2).sample(size=4000, random_state=0)
    mean = sum(values) / 4000
    sd = math.sqrt(sum((v - mean) ** 2 for v in values) / 4000)

    assert mean == pytest.approx(10, abs=0.15)
    assert sd == pytest.approx(2, abs=0.1)


def test_widest_float_domain_can_be_drawn_from() -> None:
    assert math.isfinite(space.uniform(-1.7e308, 1.7e308).sample(random_state=0))


@pytest.mark.parametrize(
    ("domain", "good", "bad"),
    [
        (space.uniform(0, 1), [0, 0.5, 1], [-0.1, 1.1, math.nan, "0.5", None, True]),
        (space.quniform(0, 1, 0.1), [0.3, 0.1 + 0.2], [0.25]),
        (space.randint(0, 3), [0, 2, 1.0], [3, 1.5, -1, math.inf, False]),
        (space.qrandint(0, 4, 2), [0, 4], [3, 6]),
        (space.randn(), [-5, 100.0], [math.inf, "1"]),
        (space.choice(["a", (1, 2), None]), ["a", (1, 2), None], ["b", 1]),
        (
            space.choice([{"k": "a", "x": space.uniform(0, 1)}]),
            [{"k": "a", "x": 0.5}],
            [{"k": "a", "x": 2}, {"k": "a"}],
        ),
        (space.sample_from(lambda: 1), [1, "anything"], []),
    ],
    ids=repr,
)
def test_is_valid_knows_members(domain: space.Domain, good: list[Any], bad: list[Any]) -> None:
    assert all(domain.is_valid(v) for v in good)
    assert not any(domain.is_valid(v) for v in bad)


def test_attributes_say_what_adaptors_need() -> None:
    domain = space.qloguniform(0.1, 10, 0.1, base=2)
    normal = space.qrandn(1, 2, 0.5)

    assert (domain.lower, domain.upper, domain.log, domain.q, domain.base) == (0.1, 10.0, True, 0.1, 2)
    assert (normal.mean, normal.sd, normal.q, normal.log) == (1.0, 2.0, 0.5, False)
    assert space.choice([1, 2]).categories == [1, 2]
    assert (space.randint(1, 5).first, space.randint(1, 5).last, space.qrandint(1, 5).last) == (1, 4, 5)


def test_chained_methods_make_the_same_domains_as_the_functions() -> None:
    assert space.Float(0, 1).uniform() == space.uniform(0, 1)
    assert space.uniform(0, 1).quantized(0.1) == space.quniform(0, 1, 0.1)
    assert space.Float(1e-4, 1).loguniform() == space.loguniform(1e-4, 1)
    assert space.Float().normal(1, 2) == space.randn(1, 2)
    assert space.Integer(1, 9).loguniform() == space.lograndint(1, 9)
    assert space.randint(0, 8).quantized(2) == space.qrandint(0, 8, 2)
    assert space.Categorical([1]).grid() == space.grid_search([1])


def test_normal_between_bounds_stays_within_them() -> None:
    domain = space.Float(0, 1).normal(0.5, 10)

    assert all(0 <= v <= 1 for v in domain.sample(size=100, random_state=0))
    assert eval(repr(domain), vars(space)) == domain


def test_domains_that_differ_are_unequal() -> None:
    assert space.choice([1]) != space.choice([True])
    assert space.uniform(0, 1) != space.randint(0, 1 + 1)
    assert len({space.uniform(0, 1), space.uniform(0, 1.0), space.loguniform(1, 2)}) == 2


def test_sample_takes_every_kind_of_random_state() -> None:
    np = pytest.importorskip("numpy")
    domain = space.uniform(0, 1)

    assert domain.sample(random_state=3) == domain.sample(random_state=random.Random(3))
    assert domain.sample(random_state=np.int64(3)) == domain.sample(random_state=3)
    for make in (np.random.default_rng, np.random.RandomState):
        assert domain.sample(random_state=make(3)) == domain.sample(random_state=make(3))
    assert domain.sample() != domain.sample()
    with pytest.raises(SearchSpaceError, match="random_state"):
        domain.sample(random_state="3")


# --- drawing ----------------------------------------------------------------------------------------------------------

MIXED: dict[str, Any] = {
    "lr": space.loguniform(1e-4, 1e-1),
    "model": space.choice(
        [
            {
                "kind": "svm",
                "C": space.loguniform(0.01, 9),
                "kernel": space.choice(["rbf", {"poly": space.randint(2, 5)}]),
            },
            {"kind": "knn", "k": space.randint(1, 30), "weights": (space.uniform(0, 1), "x")},
        ]
    ),
    "layers": [space.randint(8, 64), space.qrandint(8, 64, 8)],
    "batch": space.grid_search([16, 32]),
    "nested": {"depth": space.grid_search([1, 2, 3]), "name": "fixed"},
    "twice": space.sample_from(lambda config: config.layers[0] * 2),
}


@given(seeds, st.integers(0, 10**9))
def test_same_seed_and_index_give_the_same_configuration(seed: int, index: int) -> None:
    assert space.generate(MIXED, seed, index) == space.compile_space(MIXED).generate(seed, index)


@given(seeds, st.integers(0, 10**9))
@settings(max_examples=50)
def test_generated_configuration_fits_its_space(seed: int, index: int) -> None:
    config = space.generate(MIXED, seed, index)

    values = space.flatten(config)
    assert all(domain.is_valid(values[path]) for path, domain in space.domains(MIXED).items() if path != "model")
    assert space.domains(MIXED)["model"].is_valid(config["model"])
    assert config["twice"] == config["layers"][0] * 2
    assert list(config) == list(MIXED)


def test_configuration_is_the_same_in_another_process() -> None:
    code = (
        "from tune_core import space as s; "
        "print(s.generate({'a': s.uniform(0, 1), 'b': s.randn(), 'c': s.lograndint(1, 10**6)}, 42, 7))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert other.strip() == "{'a': 0.6839182326796619, 'b': -1.10615307697116, 'c': 182380}"


def test_every_configuration_differs_from_its_neighbours() -> None:
    whole = {"x": space.uniform(0, 1)}
    draws = [space.generate(whole, seed, index)["x"] for seed in range(-20, 20) for index in range(50)]

    assert len(set(draws)) == len(draws)


def test_grid_is_crossed_with_its_first_name_varying_fastest() -> None:
    grid = {"b": space.grid_search(["x", "y"]), "a": space.grid_search([1, 2]), "c": {"d": [space.grid_search([7])]}}
    configs = [space.generate(grid, 0, i) for i in range(4)]

    assert space.grid_size(grid) == 4
    assert [(c["a"], c["b"]) for c in configs] == [(1, "x"), (2, "x"), (1, "y"), (2, "y")]
    assert configs[0]["c"] == {"d": [7]}


def test_second_sample_of_a_grid_point_comes_after_the_whole_grid() -> None:
    grid = {"g": space.grid_search([1, 2, 3]), "x": space.uniform(0, 1)}
    configs = [space.generate(grid, 0, i) for i in range(6)]

    assert [c["g"] for c in configs] == [1, 2, 3, 1, 2, 3]
    assert len({c["x"] for c in configs}) == 6


def test_constant_grid_draws_once_for_all_points_of_the_grid() -> None:
    grid = {"g": space.grid_search([1, {"own": space.uniform(0, 1)}]), "x": space.uniform(0, 1)}
    configs = [space.generate(grid, 0, i, constant_grid=True) for i in range(4)]

    assert configs[0]["x"] == configs[1]["x"] != configs[2]["x"] == configs[3]["x"]


def test_has_grid_finds_nested_grids() -> None:
    assert space.has_grid({"a": [{"b": space.grid_search([1])}]})
    assert not space.has_grid({"a": space.choice([1])})
    assert space.grid_size({"a": 1}) == 1


def test_branch_of_a_choice_is_drawn_only_when_it_is_chosen() -> None:
    for i in range(50):
        model = space.generate(MIXED, 1, i)["model"]
        assert set(model) == ({"kind", "C", "kernel"} if model["kind"] == "svm" else {"kind", "k", "weights"})
    kernels = {str(space.generate(MIXED, 1, i)["model"].get("kernel")) for i in range(99)}
    assert {"rbf", "{'poly': 2}"} <= kernels


def test_containers_are_new_and_leaves_the_same_objects() -> None:
    leaf = object()
    inner = [1, 2]
    constants = {"leaf": leaf, "list": inner, "dict": {"x": leaf}, "pick": space.choice([inner])}
    config = space.generate(constants, 0, 0)

    assert config["leaf"] is leaf and config["dict"]["x"] is leaf
    assert config["list"] == config["pick"] == inner
    assert config["list"] is not inner and config["pick"] is not inner and config["dict"] is not constants["dict"]


def test_tuples_of_domains_become_tuples_of_values() -> None:
    config = space.generate({"t": (space.randint(1, 3), (space.sample_from(lambda c: c.x), "k")), "x": 5}, 0, 0)

    assert type(config["t"]) is tuple and config["t"][1] == (5, "k")


# --- sample_from ------------------------------------------------------------------------------------------------------


def test_function_reads_values_in_each_form() -> None:
    config = space.generate(
        {
            "x": space.choice([3]),
            "deep": {"y": 4, "z": [5]},
            "a": space.sample_from(lambda spec: spec.config.x),
            "b": space.sample_from(lambda config: config["x"]),
            "c": space.sample_from(lambda c: c.deep.y + c["deep"]["z"][0]),
            "d": space.sample_from(lambda: 9),
            "e": space.sample_from(lambda c: c.get("missing", 7)),
            "f": space.sample_from(lambda spec: spec["config"]["x"]),
            "g": space.sample_from(lambda i=11: i),
            "h": space.sample_from(lambda c: dict(c.deep)),
            "i": space.sample_from(lambda c: c.deep),
            "j": space.sample_from(
                lambda c: [{"x": c.x}, {"inner": copy.copy(c.deep)}, (copy.deepcopy(c.deep), c.deep)]
            ),
        },
        0,
        0,
    )

    assert [config[k] for k in "abcdefg"] == [3, 3, 9, 9, 7, 3, 11]
    assert config["h"] == {"y": 4, "z": [5]} and type(config["i"]) is dict
    assert config["j"][1:] == [{"inner": config["deep"]}, (config["deep"], config["deep"])] and config["j"][0]["x"] == 3


def test_functions_are_called_in_the_order_of_their_needs() -> None:
    config = space.generate(
        {
            "a": space.sample_from(lambda c: c.b + 1),
            "b": space.sample_from(lambda c: c.c + 1),
            "c": space.sample_from(lambda: 1),
        },
        0,
        0,
    )

    assert config == {"a": 3, "b": 2, "c": 1}


def test_function_that_swallows_exceptions_still_waits_for_what_it_reads() -> None:
    def careless(config: Any) -> Any:
        try:
            return config.b
        except BaseException:
            return "too early"

    assert space.generate({"a": space.sample_from(careless), "b": space.sample_from(lambda: 1)}, 0, 0)["a"] == 1


def test_functions_that_need_one_another_are_an_error_that_names_both() -> None:
    circle = {"a": space.sample_from(lambda c: c.b), "b": space.sample_from(lambda c: c.a)}

    with pytest.raises(SearchSpaceError) as caught:
        space.generate(circle, 0, 0)
    assert 'param_space["a"] needs param_space["b"]' in str(caught.value)


def test_error_of_a_function_says_whose_it_is() -> None:
    with pytest.raises(UserCodeError, match=r'param_space\["bad"\].*ZeroDivisionError'):
        space.generate({"bad": space.sample_from(lambda: 1 / 0)}, 0, 0)
    with pytest.raises(UserCodeError, match="no value 'typo'; it has: x"):
        space.generate({"x": 1, "bad": space.sample_from(lambda c: c.typo)}, 0, 0)


def test_functions_are_seeded_and_the_global_generators_put_back() -> None:
    np = pytest.importorskip("numpy")
    chance = {
        "a": space.sample_from(lambda: random.random()),
        "b": space.sample_from(lambda _: float(np.random.rand())),
        "c": space.sample_from(lambda config: config.d + random.random()),
        "d": space.sample_from(lambda: random.random()),
    }
    random.seed(1)
    np.random.seed(1)
    before = (random.getstate(), np.random.get_state()[1].tolist())
    first = space.generate(chance, 5, 5)

    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    random.seed(2)
    np.random.seed(2)
    assert space.generate(chance, 5, 5) == first
    assert space.generate(chance, 5, 6) != first


def test_domains_that_a_function_returns_are_drawn() -> None:
    config = space.generate({"a": space.sample_from(lambda: {"x": space.randint(3, 4), "y": [1]})}, 0, 0)

    assert config == {"a": {"x": 3, "y": [1]}}


def test_function_may_draw_from_a_space_itself() -> None:
    inner = {"x": space.sample_from(random.random)}
    chance = {"a": space.sample_from(lambda: space.generate(inner, 0, 0)["x"])}

    assert space.generate(chance, 0, 0)["a"] == space.generate(inner, 0, 0)["x"]


def test_space_may_be_any_mapping() -> None:
    proxy = MappingProxyType({"g": space.grid_search([1, 2]), "x": {"y": space.randint(0, 9)}})

    space.validate(proxy)
    assert space.generate(proxy, 0, 1) == space.generate(dict(proxy), 0, 1)
    assert space.has_grid(proxy) and list(space.flatten(proxy)) == ["g", "x/y"]


def test_choice_may_hold_functions() -> None:
    branch = {"f": space.sample_from(lambda c: c.x)}
    config = space.generate({"m": space.choice([branch]), "x": space.choice([4])}, 0, 0)

    assert config["m"] == {"f": 4}
    assert space.choice([space.sample_from(lambda: 4)]).sample() == 4


# --- flat form --------------------------------------------------------------------------------------------------------


def test_flatten_names_every_leaf_by_its_path() -> None:
    flat = space.flatten({"a": {"b": [1, space.uniform(0, 1)]}, "x/y": 2, "empty": {}, "g": space.grid_search([1])})

    assert flat == {"a/b/0": 1, "a/b/1": space.uniform(0, 1), "x~1y": 2, "empty": {}, "g": {"grid_search": [1]}}


def test_unflatten_is_the_inverse_of_flatten() -> None:
    nested = {"a": {"b": [1, (2, "x")]}, "x/y~": {"z": 2}, "empty": {}, "none": []}

    assert space.unflatten(space.flatten(nested), nested) == nested
    assert space.unflatten({"a/b": 1, "x~1y": 2}) == {"a": {"b": 1}, "x/y": 2}
    with pytest.raises(SearchSpaceError, match="lr"):
        space.unflatten({}, {"lr": space.uniform(0, 1)})


def test_domains_leaves_out_constants_and_grids() -> None:
    assert list(space.domains(MIXED)) == ["lr", "model", "layers/0", "layers/1", "twice"]


# --- journal form -----------------------------------------------------------------------------------------------------

OBJECTS: dict[str, Any] = {
    **MIXED,
    "activation": space.choice([math.sin, math.cos, "relu"]),
    "sizes": space.choice([(64, 64), (128,), [(1,)]]),
    "const": function_constant,
    "grid": space.grid_search([function_constant, (1, 2)]),
    "branch": space.choice([{"f": math.exp, "x": space.uniform(0, 1), "t": (1, 2)}, {"f": math.log}]),
    "drawn": space.sample_from(lambda: complex(1, random.random())),
    "limits": (float("inf"), 10**30),
}


@given(seeds, st.integers(0, 10**6))
@settings(max_examples=100)
def test_journal_form_gives_the_configuration_back(seed: int, index: int) -> None:
    config = space.generate(OBJECTS, seed, index)
    written = json.loads(json.dumps(space.to_json(config, OBJECTS), allow_nan=False))

    assert space.from_json(written, OBJECTS, lambda: space.generate(OBJECTS, seed, index)) == config


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values))
def test_plain_json_is_not_copied(config: dict[str, Any]) -> None:
    assume('"__' not in json.dumps(config))

    assert space.to_json(config, {}) is config
    assert space.from_json(config, {}, None) is config


def test_users_dict_with_a_mark_as_its_key_survives() -> None:
    config = {"a": {"__choice__": 0}, "b": [{"__plain__": (1, 2)}], "c": {"__tuple__": {"__const__": 1}}}

    assert space.from_json(json.loads(json.dumps(space.to_json(config, {}))), {}, None) == config


def test_values_that_json_lacks_are_kept() -> None:
    config = {"nan": math.nan, "inf": -math.inf, "big": 2**64, "tuple": (1, (2,)), "half": "\ud800"}
    again = space.from_json(json.loads(json.dumps(space.to_json(config, {}))), {}, lambda: config)

    assert math.isnan(again.pop("nan"))
    assert again == {k: v for k, v in config.items() if k != "nan"}


def test_numpy_scalars_are_kept_as_plain_numbers() -> None:
    np = pytest.importorskip("numpy")
    written = space.to_json({"a": np.float64(0.5), "b": [np.int32(3)], "c": np.bool_(True), "d": np.float32("nan")}, {})

    assert json.dumps(written) == '{"a": 0.5, "b": [3], "c": true, "d": {"__number__": "nan"}}'


def test_choice_of_equal_but_different_types_is_told_apart() -> None:
    domain = {"x": space.choice([1, True, (1,), (True,)])}

    for value in domain["x"].categories:
        again = space.from_json(space.to_json({"x": value}, domain), domain, None)["x"]
        assert repr(again) == repr(value)


def test_array_categories_are_found_by_identity() -> None:
    np = pytest.importorskip("numpy")
    first, second = np.zeros(3), np.ones(3)
    domain = {"x": space.choice([first, second])}
    written = space.to_json({"x": second}, domain)

    assert written["x"]["__choice__"] == 1
    assert space.from_json(written, domain, None)["x"] is second


def test_value_that_the_space_no_longer_has_is_a_clear_error() -> None:
    written = space.to_json({"f": math.sin}, {"f": space.choice([math.cos, math.sin])})

    with pytest.raises(RestoreError, match=r'param_space\["f"\].*math.sin'):
        space.from_json(written, {"f": space.choice([math.cos])}, None)
    with pytest.raises(RestoreError, match="constant"):
        space.from_json(space.to_json({"f": math.sin}, {"f": math.sin}), {"f": space.uniform(0, 1)}, None)
    with pytest.raises(RestoreError, match="drawn again"):
        space.from_json(space.to_json({"f": math.sin}, {"f": space.sample_from(lambda: math.sin)}), {}, None)


@pytest.mark.parametrize(
    "param_space",
    [
        {"a/b": 1, "a": {"b": space.uniform(0, 1)}},
        {"a": {"b/c": 1, "b": {"c": 2}}},
        {"a/b": space.grid_search([1, 2]), "a": {"b": 2}},
    ],
)
def test_parameters_of_one_name_in_flat_results_are_refused(param_space: dict[str, Any]) -> None:
    with pytest.raises(SearchSpaceError, match="two parameters that are called 'a/b"):
        space.validate(param_space)
    space.validate({"a/b": 1, "a": {"c": {}}, "a/e": space.uniform(0, 1), "d": {"e/f": 1}})


def test_description_is_json_and_free_of_addresses() -> None:
    text = json.dumps(space.describe({**OBJECTS, "object": object()}), allow_nan=False)

    assert "0x" not in text
    assert json.loads(text)["lr"] == "loguniform(0.0001, 0.1)"


# --- import -----------------------------------------------------------------------------------------------------------


def test_import_loads_no_numpy() -> None:
    code = "import tune_core.space, tune_core.search, sys; print('numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
