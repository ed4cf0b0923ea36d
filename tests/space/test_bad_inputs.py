"""Every bad search space ends in an error that says what was asked, what was found, why it fails and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from space.bad_inputs import BAD_INPUTS
from tune_core import space
from tune_core.errors import SearchSpaceError, TuneError


@pytest.mark.parametrize(("act", "error", "named"), [row[1:] for row in BAD_INPUTS], ids=[row[0] for row in BAD_INPUTS])
def test_bad_input_is_an_error_with_all_four_parts(act: Callable[[], Any], error: type[TuneError], named: str) -> None:
    with pytest.raises(error) as caught:
        act()

    assert type(caught.value) is error
    assert all((caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix))
    assert named in str(caught.value)


def test_good_spaces_pass() -> None:
    shared = {"x": space.uniform(0, 1)}
    space.validate({"a": shared, "b": shared, "c": space.choice([[], {}, None, shared])})
    space.validate({"d": (1, [space.randint(0, 2)])})
    space.validate({})
    space.validate({"g": space.grid_search([shared, 1]), "wide": space.uniform(-1.7e308, 1.7e308)})


def test_domain_of_another_library_is_refused() -> None:
    foreign = type("Uniform", (), {"__module__": "ray.tune.search.sample"})()

    with pytest.raises(SearchSpaceError, match=r'param_space\["lr"\].*ray'):
        space.validate({"lr": foreign})
