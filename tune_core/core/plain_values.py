"""Turn what users report into plain values that JSON can hold, at no cost when they already are."""

from __future__ import annotations

import datetime
import enum
import math
import os
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from tune_core.core.flatten import flatten, repeated_name
from tune_core.errors import MetricError

MAX_ELEMENTS = 10_000
"""Largest array, list or set that a metric may hold."""

MAX_TEXT = 1_000_000
"""Longest text, in characters, that a metric may be: results are kept in one journal, and read by many."""

MAX_REPR = 1_000
"""Longest text, in characters, that a value without a plain form becomes."""

SEPARATOR = "\x1f"
"""Joins the keys of a path to a NaN or an infinity (see ``engine.events.restore_nonfinite``)."""

_INT_MIN = -(2**63)
_INT_MAX = 2**64 - 1
_MAX_DEPTH = 32
_NONE = type(None)


def plain_metrics(metrics: object, as_text: dict[str, str] | None = None) -> tuple[dict[str, Any], list[str] | None]:
    r"""Metrics as values that the journal can hold, and the paths of those that are NaN or infinite.

    Parameters
    ----------
    metrics
        What was reported. A dict of finite plain values comes back as it is, the same object.
    as_text
        If given, a value that has no plain form becomes its ``repr``, and its type is entered here under the metric's
        (outermost) name; otherwise it is an error.

    Returns
    -------
    tuple
        The metrics, with NaN and infinities as the strings ``"nan"``, ``"inf"`` and ``"-inf"``; and the key paths of
        those strings, keys and positions in lists joined by ``"\x1f"``, or None if there are none.

    Raises
    ------
    MetricError
        If ``metrics`` is no mapping or holds a value that has no plain form, is too large or nested too deep.
    """
    if type(metrics) is dict:
        if is_plain(metrics):
            return metrics, None
    elif not isinstance(metrics, Mapping):
        raise MetricError(
            "tune.report(metrics)",
            f"got {_describe(metrics)}",
            "metrics are a dict from names to values",
            'Report a dict, e.g. tune.report({"loss": loss}).',
        )
    found = _Found([], as_text)
    plain = _plain_mapping(metrics, (), found)
    if any(type(value) is dict for value in plain.values()):
        _check_flat_names(plain)
    return plain, found.nonfinite or None


def is_plain(metrics: dict[Any, Any], names: Container[str] | None = None) -> bool:
    """Whether all values are finite numbers, short texts and the like, which the journal holds as they are.

    Parameters
    ----------
    metrics
        What was reported.
    names
        If given, only these names may occur, of which each was found to be plain before; None: any plain text.
    """
    for name, value in metrics.items():
        kind = type(value)
        if kind is float:
            if value - value:  # not 0 for NaN and infinities only
                return False
        elif kind is int:
            if not _INT_MIN <= value <= _INT_MAX:
                return False
        elif kind is str:
            if not value.isascii() or len(value) > MAX_TEXT:  # may hold lone surrogates, which UTF-8 cannot
                return False
        elif kind is not bool and kind is not _NONE:
            return False
        if type(name) is not str or (name not in names if names is not None else not name.isascii()):
            return False
    return True


def _check_flat_names(plain: dict[str, Any]) -> None:
    """Results are flat where they are compared, so a name may say one thing only."""
    name = repeated_name(plain)
    if name is not None:
        cause = "another has the same name: a dict's entries are called outer/inner where results are compared"
        raise _unusable((name,), flatten(plain)[name], cause, "Rename one of them")


class _Found(NamedTuple):
    """What was found while a result was converted."""

    nonfinite: list[str]  # paths of NaN and infinities
    as_text: dict[str, str] | None  # type of what became text, by the metric's name; None: nothing may


def _plain_mapping(mapping: Mapping[object, object], path: tuple[str, ...], found: _Found) -> dict[str, object]:
    plain: dict[str, Any] = {}
    for key, value in mapping.items():
        name = _plain_key(key, path)
        if name in plain:
            raise _unusable((*path, name), key, "two of the keys beside it read the same as text", "Rename one of them")
        plain[name] = _plain(value, (*path, name), found)
    return plain


def _plain_key(key: Any, path: tuple[str, ...]) -> str:
    if isinstance(key, enum.Enum) and not isinstance(key, (str, int)):
        key = key.name
    if isinstance(key, str):
        text = _plain_text(str.__str__(key))
        if SEPARATOR not in text:
            return text
        raise _unusable((*path, text), key, "the character \\x1f is reserved in names", "Rename the metric")
    if not isinstance(key, (float, complex, bytes)) and hasattr(key, "__index__"):
        return str(int(key))
    raise _unusable((*path, str(key)), key, "names of metrics are strings", "Use str(...) for the name")


def _plain(value: object, path: tuple[str, ...], found: _Found) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return _plain_float(float.__float__(value), path, found)
    if isinstance(value, int):
        number = int.__int__(value)
        return number if _INT_MIN <= number <= _INT_MAX else _as_float(number, path, found)
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            cause = f"it has {len(value):,} characters and a metric may have {MAX_TEXT:,}"
            raise _unusable(
                path, value[:1000], cause, "Write it to a file in the trial's folder, or save it in a checkpoint"
            )
        return _plain_text(str.__str__(value))
    if len(path) > _MAX_DEPTH:
        raise _unusable(path[:3], value, f"it is nested more than {_MAX_DEPTH} deep", "Does it contain itself?")
    if isinstance(value, Mapping):
        return _plain_mapping(value, path, found)
    if isinstance(value, (list, tuple, set, frozenset)):
        return _plain_list(value, path, found)
    return _plain_foreign(value, path, found)


def _plain_float(number: float, path: tuple[str, ...], found: _Found) -> float | str:
    if math.isfinite(number):
        return number
    found.nonfinite.append(SEPARATOR.join(path))
    return str(number)  # "nan", "inf" or "-inf"


def _plain_text(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _plain_list(values: Any, path: tuple[str, ...], found: _Found) -> list[object]:
    _check_size(len(values), path, values)
    if isinstance(values, (set, frozenset)):
        try:
            values = sorted(values)
        except TypeError:
            values = sorted(values, key=repr)  # same order each run, whatever the hash seed
    return [_plain(value, (*path, str(i)), found) for i, value in enumerate(values)]


def _plain_foreign(value: object, path: tuple[str, ...], found: _Found) -> object:
    """Values of other libraries, known by what they can do, so that none of those libraries is imported here."""
    if isinstance(value, enum.Enum):
        return _plain(value.value, path, found)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, os.PathLike):
        return _plain_text(os.fsdecode(value))
    if isinstance(value, (complex, bytes, bytearray, type)):
        return _as_text(value, path, found)
    as_plain = getattr(value, "__plain__", None)  # types of our own say it themselves
    if as_plain is not None:
        return _plain(as_plain(), path, found)
    shape = getattr(value, "shape", None)
    if shape is not None:
        return _plain_array(value, path, found)
    if hasattr(value, "__float__"):  # Decimal, Fraction, and numbers of other libraries
        return _as_float(value, path, found)
    return _as_text(value, path, found)


def _as_text(value: object, path: tuple[str, ...], found: _Found) -> str:
    """The ``repr`` of a value that has no plain form, where that is allowed."""
    if found.as_text is None:
        raise _unusable(path, value)
    found.as_text.setdefault(path[0], _kind(value))
    text = _repr(value)
    return _plain_text(text if len(text) <= MAX_REPR else text[: MAX_REPR - 3] + "...")


def _plain_array(value: Any, path: tuple[str, ...], found: _Found) -> object:
    """Scalars and arrays of numpy, torch, TensorFlow, JAX, pandas."""
    try:
        size = math.prod(value.shape)
        if not hasattr(value, "item") and hasattr(value, "numpy"):  # TensorFlow
            value = value.numpy()
        if size == 1 and hasattr(value, "item"):
            plain = math.nan if _is_masked(value) else value.item()
        else:
            _check_size(size, path, value)
            plain = value.tolist()
    except MetricError:
        raise
    except Exception as error:
        raise _unusable(path, value, f"reading it failed: {type(error).__name__}: {error}") from error
    if type(plain) is type(value) or hasattr(plain, "shape"):  # e.g. numpy's longdouble is its own item
        return _as_float(plain, path, found)
    return _plain(plain, path, found)


def _is_masked(value: object) -> bool:
    """Whether numpy marks this one value as missing, such as the mean of nothing: it is no number, least of all 0."""
    mask: Any = getattr(value, "mask", None)
    return getattr(mask, "shape", None) is not None and bool(mask.all())


def _as_float(value: Any, path: tuple[str, ...], found: _Found) -> float | str:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    except Exception as error:
        raise _unusable(path, value, f"it is no number: {error}") from error
    return _plain_float(number, path, found)


def _check_size(size: int, path: tuple[str, ...], value: object) -> None:
    if size > MAX_ELEMENTS:
        raise _unusable(
            path,
            value,
            f"it has {size:,} elements and a metric may have {MAX_ELEMENTS:,}",
            "Report a summary of it, and save the whole in a checkpoint",
        )


def _unusable(path: tuple[str, ...], value: object, cause: str = "", fix: str = "") -> MetricError:
    return MetricError(
        f"The reported metric {'/'.join(path)!r}",
        f"is {_describe(value)}",
        cause or "results are kept as text, and this type has no plain form",
        f"{fix or 'Report a number, a string, or a list or dict of them'}.",
    )


def _describe(value: object) -> str:
    text = _repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} (a {_kind(value)})"


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # of the user's class; its value is only described
        return "?"
