"""Every error that tune-core raises on purpose, under one base.

An error's text says four things: what was asked, what was found, the likely cause and what to do. Each error
carries the same four as attributes, so that a program can use them without parsing the text.
"""

from __future__ import annotations

import builtins
import contextlib
import re
from collections.abc import Iterator, Mapping


class TuneError(Exception):
    """Base of all errors raised by tune-core.

    Parameters
    ----------
    asked
        What was asked for: the parameter, call or file in question.
    found
        What was found instead; reads on from ``asked``.
    cause
        Why that cannot work.
    fix
        What to do about it.
    """

    def __init__(self, asked: str, found: str = "", cause: str = "", fix: str = "") -> None:
        self.asked = asked
        self.found = found
        self.cause = cause
        self.fix = fix
        text = f"{asked} {found}".strip()
        if cause:
            text = f"{text.removesuffix('.')}; {cause}"
        if fix:
            text = f"{text.removesuffix('.')}.\n{fix}"
        super().__init__(text)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.asked, self.found, self.cause, self.fix))


class InvalidArgumentError(TuneError, ValueError):
    """An argument has a value or a type that cannot work."""


class SearchSpaceError(TuneError, ValueError):
    """A search space or one of its domains is impossible."""


class MetricError(TuneError, ValueError):
    """A metric is missing, has no usable value, or was never reported."""


class NoResultError(MetricError, RuntimeError):
    """No trial has a result to compare."""


class FatalError(TuneError):
    """Raise it in an objective where no other trial can do better either: the whole run ends, with this message."""


class MissingMetricError(MetricError, FatalError):
    """A metric that the run needs was not reported."""


class ResourceError(TuneError, ValueError):
    """A trial asks for resources that can never be had."""


class ExecutorError(TuneError):
    """The place where trials run cannot be used, or no longer."""


class SerializationError(TuneError, TypeError):
    """An object cannot travel to the process that needs it."""


class CheckpointError(TuneError):
    """A checkpoint is missing, unreadable or cannot be written."""


class StorageError(TuneError, OSError):
    """The experiment's folder cannot be used."""

    def __str__(self) -> str:  # OSError would print its own arguments
        return Exception.__str__(self)


class JournalError(TuneError):
    """A journal cannot be read or written."""


class NoExperimentError(JournalError, ValueError, RuntimeError):
    """There is no experiment in a folder or at a URL."""


class JournalDamageWarning(UserWarning):
    """A part of a journal cannot be read; what was lost is not in the results."""


class ExperimentLockedError(StorageError):
    """Another driver is running this experiment."""


class RestoreError(TuneError, ValueError, RuntimeError):
    """An experiment cannot be restored as asked."""


class MissingDependencyError(TuneError, ImportError):
    """An optional library is not installed.

    Parameters
    ----------
    wanted
        What needs the library, e.g. ``"OptunaSearch"``.
    module
        The module that could not be imported.
    extra
        The extra of tune-core that brings it.
    """

    def __init__(self, wanted: str, module: str, extra: str, *_: str) -> None:
        self._args = (wanted, module, extra)
        TuneError.__init__(
            self,
            wanted,
            f"needs the package {module!r}",
            "it is not installed",
            f'Install it with: pip install "tune-core[{extra}]"',
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), self._args)


class UserCodeError(TuneError):
    """Code that the user brought (a searcher, scheduler, stopper, callback) raised an exception."""


class TrialError(TuneError):
    """One or more trials failed and the run was asked not to go on."""


_OWNERS = r"\b(?:TuneConfig|RunConfig|FailureConfig|CheckpointConfig|Tuner)"


@contextlib.contextmanager
def in_terms_of(call: str, names: Mapping[str, str]) -> Iterator[None]:
    """Let errors speak of the arguments that the user wrote, where these are passed on to a Tuner.

    Parameters
    ----------
    call
        What the user has called, e.g. ``"fmin"``.
    names
        From names of a Tuner's own arguments and its configurations' fields to those that they have in that call.

    Examples
    --------
    >>> with in_terms_of("fmin", {"time_budget_s": "timeout"}):
    ...     raise InvalidArgumentError("TuneConfig(time_budget_s)", "is -1", "it is a time")
    Traceback (most recent call last):
    tune_core.errors.InvalidArgumentError: fmin(timeout) is -1; it is a time
    """
    try:
        yield
    except TuneError as error:
        told = [_in_terms_of(call, names, text) for text in (error.asked, error.found, error.cause, error.fix)]
        if told != [error.asked, error.found, error.cause, error.fix]:
            TuneError.__init__(error, *told)
        raise


def _in_terms_of(call: str, names: Mapping[str, str], text: str) -> str:
    if text in names:
        return f"{call}({names[text]})"
    some = "|".join(map(re.escape, names))
    text = re.sub(rf"{_OWNERS}\(({some})\b", lambda found: f"{call}({names[found[1]]}", text)
    other = "|".join(re.escape(name) for name, its in names.items() if name != its)
    return re.sub(rf"\b({other})=", lambda found: f"{names[found[1]]}=", text) if other else text


def trial_error(raised: str, *parts: str) -> TrialError:
    """A trial's error; where it raised a built-in exception, an instance of that, too.

    Parameters
    ----------
    raised
        The name of what it raised, e.g. ``"ValueError"``.
    *parts
        What was asked, what was found, the likely cause, and what to do.
    """
    plain = TrialError(*parts)
    builtin = getattr(builtins, raised, None)
    if not isinstance(builtin, type) or not issubclass(builtin, Exception):
        return plain
    own = {
        "__doc__": TrialError.__doc__,
        "__str__": Exception.__str__,  # some built-in ones print their arguments in their own way
        "__reduce__": lambda error: (trial_error, (raised, error.asked, error.found, error.cause, error.fix)),
    }
    try:
        both: TrialError = type("TrialError", (TrialError, builtin), own)(*parts)
    except TypeError:  # it is made of other arguments, as a UnicodeDecodeError is
        return plain
    return both if str(both) == str(plain) else plain
