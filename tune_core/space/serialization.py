"""The journal form of a configuration: plain JSON, with references to the space for what JSON cannot hold."""

from __future__ import annotations

import enum
import math
import operator
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tune_core.core.values import Config
from tune_core.errors import RestoreError
from tune_core.space.domains import Categorical, Domain, is_utf8, same
from tune_core.space.sampling import Constant, Path, fits, is_container, is_grid, path_str, varies

# Each mark is the key of a dict that stands for something else:
#   {"__choice__": k, "repr": ...}     category or grid value k of the space at this path; with "value" as well, the
#                                      configuration that was drawn from that category; with "plain", the category
#                                      in this form, for those who read it without the space
#   {"__const__": true, "repr": ...}   the constant that the space has at this path
#   {"__tuple__": [...]}               a tuple
#   {"__number__": "nan"}              a number that JSON lacks: NaN, an infinity, an integer of more than 64 bits
#   {"__value__": true, "repr": ...}   anything else: drawn again
#   {"__plain__": {...}}               a dict of the user's that has one of these marks as a key
_MARKS = frozenset(("__choice__", "__const__", "__number__", "__plain__", "__tuple__", "__value__"))
_NOTHING = object()
_SHORT = 100  # elements of what is worth its text in each trial's line
_TEXTS = frozenset(("datetime", "decimal", "fractions", "ipaddress", "uuid"))  # modules whose str() says it best
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def to_json(config: Config, param_space: Mapping[str, object] | None) -> dict[str, Any]:
    """``config`` itself if it is plain JSON, else a copy that refers to the search space for what is not."""
    if _is_plain(config):
        return config
    return {k: _encode(v, _child(param_space, k)) for k, v in config.items()}


def from_json(
    json_config: Config,
    param_space: Mapping[str, object] | None,
    fallback: Callable[[], Mapping[str, Any] | None] | None = None,
) -> dict[str, Any]:
    """The configuration that :func:`to_json` wrote.

    Parameters
    ----------
    json_config
        What the journal holds.
    param_space
        The search space in force.
    fallback
        Draws the configuration again, for values that only a ``sample_from`` can give.

    Raises
    ------
    RestoreError
        If the space no longer holds what the journal refers to.
    """
    if not _is_marked(json_config):
        return json_config
    return {k: _decode(v, _child(param_space, k), (k,), _DecodeContext(fallback)) for k, v in json_config.items()}


def describe(param_space: Any) -> Any:
    """A search space as JSON for people: domains, and what JSON cannot hold, as their text."""
    if isinstance(param_space, Constant):
        return describe(param_space.value)
    if isinstance(param_space, Mapping):
        return {str(k): describe(v) for k, v in param_space.items()}
    if type(param_space) in (list, tuple):
        return [describe(v) for v in param_space]
    return param_space if _is_plain(param_space) else stable_repr(param_space)


def stable_repr(value: object, limit: int = 200) -> str:
    """``repr(value)`` without memory addresses, the same in each process, and of bounded length."""
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{getattr(value, '__module__', '')}.{value.__qualname__}"
    try:
        text = _ADDRESS.sub("", repr(value))
    except Exception:  # the user's own __repr__
        text = f"<{type(value).__name__}>"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _text(value: Any) -> str:
    """A value that JSON cannot hold, as people would write it."""
    if hasattr(value, "__fspath__"):
        return stable_repr(os.fsdecode(value))[1:-1]
    return str(value) if type(value).__module__ in _TEXTS else stable_repr(value)


def _text_of_constant(value: Any) -> str:
    """The same for what stands in each trial's line: of a table, a model or a large array, what kind it is."""
    kind = type(value)
    if hasattr(value, "__fspath__") or kind.__module__ in _TEXTS or issubclass(kind, (enum.Enum, complex)):
        return _text(value)
    size = getattr(value, "size", None) if hasattr(value, "shape") else None
    if isinstance(value, (bytes, bytearray, frozenset, range, set)):
        size = len(value)
    if type(size) is int and size <= _SHORT:
        return stable_repr(value, 1000)
    return stable_repr(value if hasattr(value, "__qualname__") else kind)


def _is_plain(value: Any) -> bool:
    kind: type = value.__class__
    if kind is float:
        return bool(-math.inf < value < math.inf)
    if kind is int:
        return bool(-0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF)
    if kind is str:
        return value.isascii() or is_utf8(value)
    if kind is dict:
        for key, child in value.items():
            if key.__class__ is not str or key in _MARKS:
                return False
            if not (-math.inf < child < math.inf if child.__class__ is float else _is_plain(child)):
                return False
            if not key.isascii() and not is_utf8(key):
                return False
        return True
    if kind is list:
        return all(map(_is_plain, value))
    return value is None or kind is bool


def _is_marked(value: Any) -> bool:
    if value.__class__ is dict:
        if not _MARKS.isdisjoint(value):
            return True
        value = value.values()
    elif value.__class__ is not list:
        return False
    parts = [child for child in value if child.__class__ is dict or child.__class__ is list]  # mostly none
    return bool(parts) and any(map(_is_marked, parts))


def _child(space: Any, key: Any) -> object:
    """The node of the space at ``key`` of ``space``; ``_NOTHING`` if it has none."""
    if isinstance(space, Constant):
        return _child(space.value, key)
    if isinstance(space, Mapping) and not is_grid(space):
        return space.get(key, _NOTHING)
    if type(space) in (list, tuple) and isinstance(key, int) and key < len(space):
        return space[key]
    return _NOTHING


def _alternatives(space: Any) -> list[object] | None:
    if isinstance(space, Categorical):
        return space.categories
    return list(space["grid_search"]) if is_grid(space) else None


def _encode(value: object, space: object) -> object:
    if _is_plain(value):
        return value
    number = _as_plain_number(value)
    if number is not None:
        return number
    alternatives = _alternatives(space)
    if alternatives is not None:
        found = _encode_choice(value, alternatives)
        if found is not None:
            return found
    elif not _is_open(space) and not is_container(value) and type(value) not in (int, float):
        return {"__const__": True, "repr": _text_of_constant(value)}
    return _encode_parts(value, space)


def _is_open(space: object) -> bool:
    return space is _NOTHING or isinstance(space, Domain) or is_container(space)


def _encode_parts(value: Any, space: Any) -> object:
    kind = type(value)
    if kind is dict and all(type(k) is str and is_utf8(k) for k in value):
        parts = {k: _encode(v, _child(space, k)) for k, v in value.items()}
        return parts if _MARKS.isdisjoint(parts) else {"__plain__": parts}
    if kind is list:
        return [_encode(v, _child(space, i)) for i, v in enumerate(value)]
    if kind is tuple:
        return {"__tuple__": [_encode(v, _child(space, i)) for i, v in enumerate(value)]}
    if kind in (int, float):
        return {"__number__": repr(value)}
    return {"__value__": True, "repr": _text(value)}


def _encode_choice(value: object, alternatives: Sequence[object]) -> object:
    for matches in (operator.is_, same):
        for k, alternative in enumerate(alternatives):
            if matches(alternative, value):
                found = {"__choice__": k, "repr": _text(value)}
                if is_container(value) or type(value) in (int, float):
                    found["plain"] = _encode_parts(value, _NOTHING)
                return found
    for k, alternative in enumerate(alternatives):
        if (varies(alternative) or is_container(alternative)) and fits(value, alternative):
            return {"__choice__": k, "repr": stable_repr(value), "value": _encode(value, alternative)}
    return None


def _as_plain_number(value: object) -> object:
    """A NumPy scalar as Python's own number, or None."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        number = value.item()
        if type(number) in (bool, int, float, str):
            return number if _is_plain(number) else _encode_parts(number, _NOTHING)
    return None


class _DecodeContext:
    """The configuration, drawn again once when a value needs it."""

    def __init__(self, fallback: Callable[[], Mapping[str, Any] | None] | None) -> None:
        self._fallback = fallback
        self._config: Any = None

    def at(self, path: Path, text: str) -> Any:
        if self._config is None and self._fallback is not None:
            self._config = self._fallback()
        node = self._config
        for key in path:
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                raise _lost(path, text, "it cannot be drawn again") from None
        return node


def as_given(told: Any, given: Any) -> Any:
    """What the journal tells of a configuration, with the objects of ``given`` where it tells of these.

    Parameters
    ----------
    told
        A configuration, or a part of one, from :func:`readable`.
    given
        One of the same trial, as it was handed over.
    """
    if type(told) is type(given) is dict:
        return {key: as_given(value, given[key]) if key in given else value for key, value in told.items()}
    if type(told) is type(given) and type(told) in (list, tuple) and len(told) == len(given):
        return type(told)(map(as_given, told, given))
    if type(told) is str and type(given) is not str and (told == _text_of_constant(given) or told == _text(given)):
        return given  # the second text is the costly one
    return told


def _lost(path: Path, text: str, cause: str) -> RestoreError:
    return RestoreError(
        path_str(path),
        f"was {text} and cannot be restored",
        f"it is not plain JSON, and {cause}",
        "Restore with the param_space that the run was started with.",
    )


def _decode(value: Any, space: Any, path: Path, again: _DecodeContext) -> Any:
    if not _is_marked(value):
        return value
    if value.__class__ is list:
        return [_decode(v, _child(space, i), (*path, i), again) for i, v in enumerate(value)]
    if "__plain__" in value:
        return _decode_dict(value["__plain__"], space, path, again)
    if "__tuple__" in value:
        return tuple(_decode(v, _child(space, i), (*path, i), again) for i, v in enumerate(value["__tuple__"]))
    if "__number__" in value:
        text = value["__number__"]
        return float(text) if text.lstrip("-") in ("nan", "inf") else int(text)
    text = str(value.get("repr"))
    if "__choice__" in value:
        alternatives = _alternatives(space)
        k = value["__choice__"]
        if alternatives is None or not 0 <= k < len(alternatives):
            raise _lost(path, text, f"the space has no choice there with a category {k}")
        return _decode(value["value"], alternatives[k], path, again) if "value" in value else _unwrap(alternatives[k])
    if "__const__" in value:
        if _is_open(space) or _alternatives(space) is not None:
            raise _lost(path, text, "the space has no constant there")
        return _unwrap(space)
    if "__value__" in value:
        return again.at(path, text)
    return _decode_dict(value, space, path, again)


def _decode_dict(value: Mapping[str, object], space: object, path: Path, again: _DecodeContext) -> dict[str, object]:
    return {k: _decode(v, _child(space, k), (*path, k), again) for k, v in value.items()}


def _unwrap(node: object) -> object:
    return node.value if isinstance(node, Constant) else node


def readable(value: object) -> Any:
    """A value as the journal holds it, in a form for people: the marks of this module are resolved."""
    if value.__class__ is dict:
        if "__plain__" in value:
            return {key: readable(child) for key, child in value["__plain__"].items()}
        if "__tuple__" in value:
            return tuple(map(readable, value["__tuple__"]))
        if "__number__" in value:
            text = value["__number__"]
            return float(text) if text.lstrip("-") in ("nan", "inf") else int(text)
        if "__choice__" in value or "__const__" in value or "__value__" in value:
            for form in ("value", "plain"):
                if form in value:
                    return readable(value[form])
            return str(value.get("repr"))
        return {key: readable(child) for key, child in value.items()}
    return list(map(readable, value)) if value.__class__ is list else value
