"""Schedulers by name, and what a user may give for one."""

from __future__ import annotations

import pytest

from tune_core.errors import InvalidArgumentError
from tune_core.schedulers import ASHAScheduler, FIFOScheduler, create_scheduler, scheduler_from


def test_nothing_said_means_fifo() -> None:
    assert isinstance(scheduler_from(None), FIFOScheduler)


def test_a_scheduler_is_taken_as_it_is() -> None:
    scheduler = ASHAScheduler()
    assert scheduler_from(scheduler) is scheduler


def test_names_are_resolved() -> None:
    assert isinstance(scheduler_from("asha"), ASHAScheduler)
    assert isinstance(create_scheduler("AsyncHyperBand", max_t=9), ASHAScheduler)


@pytest.mark.parametrize("wrong", ["best", 3, ASHAScheduler, object()])
def test_anything_else_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        scheduler_from(wrong)
    assert raised.value.fix


def test_an_argument_that_no_scheduler_has_is_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="reduction_facto=.*Did you mean reduction_factor"):
        assert isinstance(create_scheduler("asha", reduction_facto=3), ASHAScheduler)


def test_arguments_of_other_schedulers_are_left_out() -> None:
    assert isinstance(create_scheduler("fifo", max_t=9), FIFOScheduler)
