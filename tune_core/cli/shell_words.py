"""Errors of the library, whose advice is for Python, in the words of who called a command in a shell."""

from __future__ import annotations

import re

from tune_core.errors import TuneError

_OPTIONS = "metric|mode|scope|format|theme|port"
_PYTHON_ONLY = (
    (
        re.compile(r"Look at get_dataframe\(\), or pass filter_nan_and_inf=False[^.]*\."),
        "`tune-core export EXP` has all.",
    ),
    (re.compile(r"ResultGrid\.errors has every traceback"), "`tune-core explain EXP TRIAL` tells a trial's"),
    (re.compile(r"Take a compromise from pareto_front\(\), or name one"), "Name one"),
    (re.compile(r", or set both in TuneConfig"), ""),
    (re.compile(r" or storage_filesystem="), ""),
    (
        re.compile(r"Let the run go on: Tuner\.restore\(path, \.\.\.\)\.fit\(\)"),
        "Wait for it, or restore the run in Python",
    ),
    (re.compile(r"Give a ResultGrid, an ExperimentAnalysis, or the experiment's"), "Give the experiment's"),
)
_CALL = re.compile(rf"(?:\b(Call|Use) )?\b[\w.]+\(((?:\b(?:{_OPTIONS})=(?:\"[^\"]*\"|'[^']*')(?:, )?)+)\)")
_NAMED = re.compile(rf"\b(?!tune-core)[\w.]+\(({_OPTIONS})\)")
_PAIR = re.compile(rf"(?<![\w-])({_OPTIONS})=(?:\"([^\"]*)\"|'([^']*)')(, (?=(?:{_OPTIONS})=))?")


def in_words_of_the_shell(error: TuneError) -> str:
    """The text of an error, with options in place of arguments.

    Examples
    --------
    >>> error = TuneError("report(mode)", "is None", "none is known", 'Give one: mode="min".')
    >>> in_words_of_the_shell(error).splitlines()
    ['--mode is missing; none is known.', 'Give one: --mode min.']
    """
    text = str(error)
    for pattern, instead in _PYTHON_ONLY:
        text = pattern.sub(instead, text)
    text = _CALL.sub(lambda found: ("Add " if found[1] else "") + _options(found[2]), text)
    text = _NAMED.sub(lambda found: f"--{found[1]}", text)
    return re.sub(rf"^(--(?:{_OPTIONS})) is None\b", r"\1 is missing", _options(text))


def _options(text: str) -> str:
    def option(found: re.Match[str]) -> str:
        return f"--{found[1]} {found[2] if found[2] is not None else found[3]}" + (" " if found[4] else "")

    return _PAIR.sub(option, text)
