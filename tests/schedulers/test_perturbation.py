"""Exploring never leaves a domain, moves choices to neighbours, and depends on its generator alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.perturbation import check_mutations, complete, explore, move

DOMAINS: dict[str, Any] = {
    "uniform": tune.uniform(-1, 2),
    "quniform": tune.quniform(0, 1, 0.1),
    "loguniform": tune.loguniform(1e-5, 1e-1),
    "qloguniform": tune.qloguniform(5, 1000, 5),
    "randint": tune.randint(1, 10),
    "qrandint": tune.qrandint(4, 64, 4),
    "lograndint": tune.lograndint(1, 1000),
    "choice": tune.choice(["a", "b", "c", "d"]),
}


def around(
    config: dict[str, Any], seed: int, resample: float, factors: tuple[float, ...] = (1.2, 0.8)
) -> dict[str, Any]:
    return explore(config, DOMAINS, {}, random.Random(seed), resample, factors)[0]


@given(
    st.integers(0, 2**32), st.sampled_from([0.0, 0.25, 1.0]), st.sampled_from([(1.2, 0.8), (2.0, 0.5), (1.001, 0.999)])
)
def test_values_stay_in_their_domains_however_often_they_are_moved(
    seed: int, resample: float, factors: tuple[float, ...]
) -> None:
    rng = random.Random(seed)
    config = {name: domain.sample(random_state=rng) for name, domain in DOMAINS.items()}
    for step in range(20):
        config = around(config, seed + step, resample, factors)
        for name, domain in DOMAINS.items():
            assert domain.is_valid(config[name]), (name, config[name])
            assert type(config[name]) is type(domain.sample(random_state=1))


def test_choice_moves_to_a_neighbour() -> None:
    moved = {around({"choice": "b"}, seed, 0.0)["choice"] for seed in range(50)}
    assert moved == {"a", "c"}


def test_choice_at_the_edge_stays_or_moves_inwards() -> None:
    assert {around({"choice": "a"}, seed, 0.0)["choice"] for seed in range(50)} == {"a", "b"}


def test_list_of_values_moves_to_a_neighbour() -> None:
    values = [32, 64, 128]
    assert {move(64, values, None, random.Random(seed), (1.2, 0.8)) for seed in range(20)} == {32, 128}
    assert move(5, values, None, random.Random(0), (1.2,)) in values


def test_small_integer_moves_by_one_where_a_factor_would_leave_it() -> None:
    domain = tune.randint(1, 10)
    assert {move(2, domain, domain, random.Random(seed), (1.2, 0.8)) for seed in range(20)} == {1, 3}
    assert {move(1, domain, domain, random.Random(seed), (1.2, 0.8)) for seed in range(20)} == {1, 2}


def test_value_on_a_grid_moves_to_the_next_grid_value() -> None:
    domain = tune.quniform(0, 1, 0.1)
    assert {move(0.1, domain, domain, random.Random(seed), (1.2, 0.8)) for seed in range(20)} == {0.0, 0.2}


def test_what_a_function_draws_is_kept_within_the_search_space() -> None:
    config, _ = explore({"lr": 0.5}, {"lr": lambda: 7.0}, {"lr": tune.uniform(0, 1)}, random.Random(0), 1.0, (1.2,))
    assert config == {"lr": 1.0}


def test_functions_that_draw_globally_draw_the_same_each_time_and_leave_the_global_state() -> None:
    numpy = pytest.importorskip("numpy")
    how = {"a": lambda: random.random(), "b": lambda: float(numpy.random.rand())}
    random.seed(3)
    expected = random.random()
    random.seed(3)
    first, _ = explore({"a": 0.0, "b": 0.0}, how, {}, random.Random(1), 1.0, (1.2,))
    assert random.random() == expected
    second, _ = explore({"a": 0.0, "b": 0.0}, how, {}, random.Random(1), 1.0, (1.2,))
    assert first == second


def test_nested_hyperparameters_are_explored_and_others_left_alone() -> None:
    config = {"optimizer": {"lr": 0.1, "kind": "sgd"}, "depth": 3}
    made, words = explore(config, {"optimizer": {"lr": tune.uniform(0, 1)}}, {}, random.Random(0), 0.0, (2.0,))
    assert made == {"optimizer": {"lr": 0.2, "kind": "sgd"}, "depth": 3}
    assert config["optimizer"]["lr"] == 0.1
    assert words == ["optimizer/lr 0.1 → 0.2"]


def test_space_is_completed_with_what_only_mutations_have() -> None:
    space = complete({"x": 1, "opt": {"lr": 0.1}}, {"y": [1, 2], "opt": {"beta": tune.uniform(0, 1)}, "x": [1, 2]})
    assert space["x"] == 1
    assert space["y"] == tune.choice([1, 2])
    assert space["opt"] == {"lr": 0.1, "beta": tune.uniform(0, 1)}


@pytest.mark.parametrize("wrong", [3, {"lr": 3}, {"lr": "adam"}, {"lr": []}, {"a": {"lr": None}}])
def test_impossible_mutations_are_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        check_mutations("mutations", wrong)
    assert raised.value.fix


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8", "int64", "uint16"])
def test_numpy_numbers_are_multiplied_and_come_out_as_pythons_own(kind: str) -> None:
    numpy = pytest.importorskip("numpy")
    old, rng = getattr(numpy, kind)(40), random.Random(0)
    domain = tune.uniform(0, 100) if kind.startswith("float") else tune.randint(1, 101)
    moved = {move(old, domain, domain, rng, (1.2, 0.8)) for _ in range(20)}
    assert moved == {48, 32}
    assert {type(value) for value in moved} == {float if kind.startswith("float") else int}


def test_factors_may_be_numpy_numbers_and_booleans_are_no_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    assert move(2.0, tune.uniform(0, 9), tune.uniform(0, 9), random.Random(0), (numpy.float32(1.5),)) == 3.0
    for truth in (True, numpy.bool_(True)):
        assert move(truth, lambda: "drawn", None, random.Random(0), (1.2,)) == "drawn"


@pytest.mark.parametrize("resample", [0.0, 1.0])
def test_options_that_hold_domains_are_drawn_in_full(resample: float) -> None:
    how = {"kernel": tune.choice([{"name": "rbf", "gamma": tune.uniform(0, 1)}, {"name": "poly", "degree": 3}])}
    config = {"kernel": {"name": "rbf", "gamma": 0.5}}
    made = [explore(config, how, {}, random.Random(seed), resample, (1.2, 0.8))[0]["kernel"] for seed in range(20)]
    assert {one["name"] for one in made} == {"rbf", "poly"}
    assert all(isinstance(one["gamma"], float) for one in made if one["name"] == "rbf")


def test_choices_may_be_arrays() -> None:
    numpy = pytest.importorskip("numpy")
    first, second = numpy.array([1, 2]), numpy.array([3, 4])
    moved = [move(numpy.array([1, 2]), [first, second], None, random.Random(seed), (1.2,)) for seed in range(10)]
    assert {id(one) for one in moved} == {id(first), id(second)}


def test_a_domain_says_whether_a_moved_number_is_whole() -> None:
    real, whole = tune.uniform(0, 10), tune.randint(1, 9)
    assert move(1, real, real, random.Random(0), (1.2,)) == pytest.approx(1.2)
    moved = move(4.0, whole, whole, random.Random(0), (1.5,))
    assert (moved, type(moved)) == (6, int)
    assert move(10, lambda: 1, None, random.Random(0), (1.25,)) == 12
