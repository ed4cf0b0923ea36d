"""The table of trial states is complete: each pair of state and change is either in it or a named error."""

from __future__ import annotations

import itertools

import pytest

from tune_core.core.trial import TRANSITIONS, Change, IllegalTransitionError, Status, Trial

PAIRS = list(itertools.product(Status, Change))


@pytest.mark.parametrize(("status", "change"), PAIRS, ids=lambda value: value.value)
def test_every_change_of_every_status_is_in_the_table_or_a_named_error(status: Status, change: Change) -> None:
    trial = Trial(7, {})
    trial.status = status
    if (status, change) in TRANSITIONS:
        trial.change(change)
        assert trial.status is TRANSITIONS[status, change]
        return
    with pytest.raises(IllegalTransitionError) as caught:
        trial.change(change)
    assert trial.status is status
    assert all((caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix))
    assert "00007" in str(caught.value) and change.value in str(caught.value)


def test_every_status_can_be_reached_and_only_a_restore_leaves_the_last_ones() -> None:
    assert set(TRANSITIONS.values()) == set(Status)
    for status in (Status.TERMINATED, Status.ERROR):
        assert {change for s, change in TRANSITIONS if s is status} == {Change.REQUEUE}


def test_a_trials_id_has_five_digits_or_more() -> None:
    assert Trial(7, {}).trial_id == "00007"
    assert Trial(1234567, {}).trial_id == "1234567"


def test_a_trial_shows_its_id_status_and_iteration() -> None:
    assert repr(Trial(7, {})) == "Trial(00007, PENDING, iteration=0)"
