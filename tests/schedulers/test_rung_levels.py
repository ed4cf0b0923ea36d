"""Rungs are counted in integers and rank trials exactly."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.rung_levels import Rung, best_share, milestones


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_rungs_are_the_exact_powers_for_every_combination_up_to_a_million(factor: int) -> None:
    """All (r, max_t) with max_t = r·η^k up to 10^6, against powers built by multiplication alone."""
    differences = combinations = 0
    powers = [1]
    while powers[-1] * factor <= 10**6:
        powers.append(powers[-1] * factor)
    for grace in range(1, 10**6 // factor + 1):
        expected = [grace * power for power in powers if grace * power <= 10**6]
        for k, max_t in enumerate(expected):
            combinations += 1
            differences += milestones(grace, max_t, factor) != expected[: k + 1]
    assert combinations > 10**6 // factor
    assert differences == 0


def test_the_power_that_logarithms_get_wrong_has_all_its_rungs() -> None:
    assert int(math.log(243) / math.log(3)) == 4  # what a logarithm says: one rung is lost
    assert milestones(1, 243, 3) == [1, 3, 9, 27, 81, 243]


def test_a_bracket_starts_at_its_own_power() -> None:
    assert milestones(1, 81, 3, bracket=2) == [9, 27, 81]
    assert milestones(1, 81, 3, bracket=5) == []


def test_rungs_with_a_broken_factor_are_reached_at_the_next_whole_step() -> None:
    assert milestones(1, 20, 2.5) == [1, 3, 7, 16]
    assert milestones(1, 3, 1.1) == [1, 2, 3]
    assert milestones(2.5, 10, 2, whole=False) == [2.5, 5, 10]


def test_a_decimal_factor_is_the_decimal_and_not_its_nearest_float() -> None:
    assert milestones(100, 121, 1.1) == [100, 110, 121]


@given(st.integers(1, 50), st.integers(1, 400), st.floats(1.05, 6))
def test_rungs_rise_and_stay_within_max_t(grace: int, max_t: int, factor: float) -> None:
    found = milestones(grace, max_t, factor)
    assert found == sorted(set(found))
    assert all(grace <= at <= max_t for at in found)


@given(st.integers(0, 10**6), st.integers(2, 9))
def test_best_share_is_floor_division(number: int, factor: int) -> None:
    assert best_share(number, Fraction(factor)) == number // factor


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(2, 4))
def test_promotable_are_the_best_of_all_less_those_promoted(losses: list[int], factor: int) -> None:
    rung = Rung(1, Fraction(factor))
    gone: set[int] = set()
    entered: list[tuple[float, int]] = []
    for trial, loss in enumerate(losses):
        rung.enter(trial, float(loss))
        entered.append((float(loss), trial))
        best = [t for _, t in sorted(entered)[: len(entered) // factor]]
        assert list(rung.promotable()) == [t for t in best if t not in gone]
        for t in list(rung.promotable())[:1]:
            rung.leave(t, float(losses[t]))
            gone.add(t)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0, 9, 3), "grace_period"),
        ((1, math.inf, 3), "max_t"),
        ((1, 9, 1), "reduction_factor"),
        ((1, 9, True), "reduction_factor"),
    ],
)
def test_impossible_rungs_are_refused_by_name(arguments: tuple[float, float, float], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        milestones(*arguments)


def test_rung_counts_and_cuts_as_a_sort_would() -> None:
    draw, rung, expected = random.Random(1), Rung(1, Fraction(3)), []
    for trial in range(2000):
        loss = float(draw.randrange(300))
        assert rung.record(trial, loss) == sum(other < loss for other, _ in expected)
        expected.append((loss, trial))
        if trial % 97 == 0:
            assert rung.ranking == sorted(expected)
            place = draw.randrange(trial + 1)
            assert rung.cutoff(place + 1) == sorted(expected)[place][0]
