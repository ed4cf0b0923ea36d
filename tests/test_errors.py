"""A trial's error is a TrialError, and what the trial raised."""

from __future__ import annotations

import builtins
import pickle

import pytest

from tune_core.errors import TrialError, TuneError, trial_error

PARTS = ("Trial 00001", "failed: boom", "it ran with x=1", "Mend it:\nTraceback")
EXCEPTIONS = sorted(
    name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)
)


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_text_and_parts_are_the_same_for_every_built_in_exception(name: str) -> None:
    error = trial_error(name, *PARTS)
    assert isinstance(error, TrialError) and isinstance(error, TuneError)
    assert str(error) == str(TrialError(*PARTS)) and error.fix == PARTS[3]
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), type(again).__mro__[1:]) == (str(error), type(error).__mro__[1:])


@pytest.mark.parametrize("name", ["ValueError", "KeyError", "FileNotFoundError", "ZeroDivisionError", "RuntimeError"])
def test_error_is_an_instance_of_what_was_raised(name: str) -> None:
    assert isinstance(trial_error(name, *PARTS), getattr(builtins, name))


@pytest.mark.parametrize("name", ["some.CustomError", "KeyboardInterrupt", "print", "", "UnicodeDecodeError"])
def test_anything_else_is_a_plain_trial_error(name: str) -> None:
    assert type(trial_error(name, *PARTS)) is TrialError
