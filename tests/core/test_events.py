"""The one line of an error that says most."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

import pytest

from tune_core.core.events import error_line, with_output


def lines() -> None:
    raise RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA to enable device-side assertions.")


def follows() -> None:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError("second\nmore") from error


def begins_with_an_empty_line() -> None:
    raise ValueError("\nAll the 5 fits failed.\nTraceback (most recent call last):\n  File x\nTypeError: inner")


def no_message() -> None:
    raise ValueError


def syntax() -> None:
    exec("x ===")


@pytest.mark.parametrize(
    "raising, line",
    [
        (lines, "RuntimeError: CUDA error: out of memory"),
        (follows, "ValueError: second"),
        (begins_with_an_empty_line, "ValueError: All the 5 fits failed."),
        (no_message, "ValueError"),
        (syntax, "SyntaxError: invalid syntax"),
    ],
)
def test_an_exception_is_told_by_its_type_and_the_first_line_of_its_message(
    raising: Callable[[], None], line: str
) -> None:
    try:
        raising()
    except Exception:
        text = traceback.format_exc()
    assert error_line(text) == line
    assert error_line(with_output(text, "Traceback (most recent call last):\nprinted: this")) == line


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes and groups are new in Python 3.11")
def test_notes_and_groups_do_not_hide_the_exception() -> None:
    noted = ValueError("bad")
    noted.add_note("a note")  # type: ignore[attr-defined,unused-ignore]
    group = ExceptionGroup("several", [noted, TypeError("two")])  # type: ignore[name-defined,unused-ignore]  # noqa: F821
    for error, line in [(noted, "ValueError: bad"), (group, "ExceptionGroup: several (2 sub-exceptions)")]:
        assert error_line(_raised(error)) == line


def _raised(error: Exception) -> str:
    try:
        raise error
    except Exception:
        return traceback.format_exc()


def test_what_is_no_traceback_is_told_by_its_first_line() -> None:
    assert error_line("the worker process was ended by SIGABRT\nmore") == "the worker process was ended by SIGABRT"
    assert error_line("") == ""
