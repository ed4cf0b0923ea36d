"""Random and grid search as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

from tune_core import space
from tune_core.errors import InvalidArgumentError, SearchSpaceError
from tune_core.search import BasicVariantGenerator

SPACE: dict[str, Any] = {"x": space.uniform(0, 1), "g": space.grid_search([1, 2, 3])}


def ready(param_space: dict[str, Any], num_samples: int = 1, seed: int = 1, **arguments: Any) -> BasicVariantGenerator:
    search = BasicVariantGenerator(**arguments)
    assert search.set_search_properties("loss", "min", param_space, seed=seed, num_samples=num_samples)
    return search


def suggest_all(search: BasicVariantGenerator) -> list[dict[str, Any]]:
    configs: list[dict[str, Any]] = []
    while True:
        config = search.suggest(f"{len(configs):05d}")
        if not isinstance(config, dict):
            assert config == search.FINISHED
            return configs
        configs.append(config)


def test_suggests_samples_times_grid_and_then_finishes() -> None:
    search = ready(SPACE, num_samples=4)
    configs = suggest_all(search)

    assert search.total == len(configs) == 12
    assert configs == [space.generate(SPACE, 1, i) for i in range(12)]


def test_suggestion_does_not_depend_on_the_order_of_asking() -> None:
    forward = suggest_all(ready(SPACE, num_samples=4))
    search = ready(SPACE, num_samples=4)

    assert search.stateless
    assert [search.config_at(i) for i in reversed(range(12))] == forward[::-1]


def test_no_number_of_samples_means_no_end() -> None:
    search = ready(SPACE, num_samples=-1)

    assert search.total is None
    assert search.config_at(10**12) == space.generate(SPACE, 1, 10**12)


def test_past_the_end_there_is_nothing() -> None:
    search = ready(SPACE, num_samples=2)

    assert search.config_at(6) is None
    assert search.config_at(-1) is None


def test_own_seed_goes_before_the_runs() -> None:
    assert ready(SPACE, random_state=9).config_at(0) == ready(SPACE, seed=9).config_at(0)
    assert ready(SPACE, random_state=9).config_at(0) != ready(SPACE).config_at(0)


def test_numpy_generator_may_give_the_seed() -> None:
    np = pytest.importorskip("numpy")
    first, second = (ready(SPACE, random_state=np.random.default_rng(5)).config_at(0) for _ in range(2))

    assert first == second != ready(SPACE, random_state=np.random.default_rng(6)).config_at(0)


def test_constant_grid_search_keeps_the_random_values_over_the_grid() -> None:
    configs = suggest_all(ready(SPACE, num_samples=2, constant_grid_search=True))

    assert len({c["x"] for c in configs[:3]}) == len({c["x"] for c in configs[3:]}) == 1
    assert configs[0]["x"] != configs[3]["x"]


def test_points_come_first_and_take_the_place_of_samples() -> None:
    flat = {"x": space.uniform(0, 1), "n": space.randint(0, 9)}
    search = ready(flat, num_samples=4, points_to_evaluate=[{"x": 0.25, "n": 3}, {"n": 4}])
    configs = suggest_all(search)

    assert search.total == 4
    assert configs[0] == {"x": 0.25, "n": 3}
    assert configs[1]["n"] == 4 and 0 <= configs[1]["x"] <= 1
    assert configs[2:] == [space.generate(flat, 1, i) for i in (2, 3)]


def test_point_is_crossed_with_the_grids_that_it_leaves_out() -> None:
    search = ready(SPACE, num_samples=3, points_to_evaluate=[{"x": 0.5}, {"g": 2}])
    configs = suggest_all(search)

    assert search.total == 3 + 1 + 3
    assert [(c["x"], c["g"]) for c in configs[:3]] == [(0.5, 1), (0.5, 2), (0.5, 3)]
    assert [c["g"] for c in configs[3:]] == [2, 1, 2, 3]


def test_more_points_than_samples_are_all_tried() -> None:
    assert suggest_all(ready({"x": space.uniform(0, 1)}, points_to_evaluate=[{"x": 0.1}, {"x": 0.2}])) == [
        {"x": 0.1},
        {"x": 0.2},
    ]


def test_point_within_a_branch_is_completed_in_that_branch() -> None:
    unit = space.uniform(0, 1)
    models = [{"kind": "svm", "C": unit}, {"kind": "knn", "k": space.randint(1, 9), "w": unit}]
    search = ready({"model": space.choice(models)}, points_to_evaluate=[{"model": {"kind": "knn", "k": 5}}])
    model = suggest_all(search)[0]["model"]

    assert set(model) == {"kind", "k", "w"}
    assert (model["kind"], model["k"]) == ("knn", 5)


def test_point_feeds_the_functions_of_the_space() -> None:
    tenfold, one = space.sample_from(lambda c: c.x * 10), space.sample_from(lambda: 1)
    functions = {"x": space.randint(0, 9), "y": tenfold, "z": one}

    assert suggest_all(ready(functions, points_to_evaluate=[{"x": 7, "z": 5}])) == [{"x": 7, "y": 70, "z": 5}]


@pytest.mark.parametrize(
    ("point", "named"),
    [
        ({"x": 2.0}, '["x"]'),
        ({"x": "a"}, '["x"]'),
        ({"g": 4}, '["g"]'),
        ({"typo": 1}, '["typo"]'),
        ({"const": 2}, '["const"]'),
        ({"deep": {"y": -1}}, '["deep"]["y"]'),
        ({"deep": 3}, '["deep"]'),
        ([("x", 1)], "points_to_evaluate[0]"),
    ],
)
def test_point_outside_of_the_space_is_an_error_that_names_it(point: Any, named: str) -> None:
    whole = {**SPACE, "const": 1, "deep": {"y": space.randint(0, 3)}}

    with pytest.raises(SearchSpaceError) as caught:
        ready(whole, points_to_evaluate=[point])
    assert "points_to_evaluate[0]" in str(caught.value) and named in str(caught.value)


def test_limit_holds_suggestions_back_until_a_trial_ends() -> None:
    search = ready(SPACE, num_samples=-1, max_concurrent=2)

    assert not search.stateless
    assert isinstance(search.suggest("00000"), dict) and isinstance(search.suggest("00001"), dict)
    assert search.suggest("00002") is None
    search.on_trial_complete("00000", {"loss": 1.0})
    assert search.suggest("00002") == space.generate(SPACE, 1, 2)


def test_ids_that_are_no_numbers_are_counted() -> None:
    search = ready(SPACE, num_samples=2)

    assert [search.suggest(name) for name in ("a", "b")] == [space.generate(SPACE, 1, i) for i in (0, 1)]


@pytest.mark.parametrize(
    "arguments",
    [{"max_concurrent": -1}, {"max_concurrent": 1.5}, {"points_to_evaluate": {"x": 1}}, {"random_state": "a"}],
)
def test_bad_argument_is_an_error_that_names_it(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(arguments))):
        BasicVariantGenerator(**arguments)


def test_asking_before_the_space_is_known_is_a_clear_error() -> None:
    with pytest.raises(SearchSpaceError, match="set_search_properties"):
        BasicVariantGenerator().suggest("00000")
