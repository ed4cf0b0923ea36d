"""Fingerprints of values: equal for equal content, in any process, and other for other content."""

from __future__ import annotations

import functools
import hashlib
import re
import types
from collections.abc import Mapping

import joblib

_DEPTH = 12
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def fingerprint(*values: object) -> str:
    """A hexadecimal digest of what ``values`` hold: data, estimators with their parameters, functions with their code.

    Functions are told apart by what they do and not by their names, since a notebook's cell is edited and run again.
    """
    digest = hashlib.sha256()
    for value in values:
        digest.update(repr(_describe(value, _DEPTH)).encode(errors="surrogatepass"))
    return digest.hexdigest()


def _describe(value: object, depth: int) -> object:
    """``value`` as nested tuples of texts."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return (type(value).__name__, repr(value))
    if depth <= 0:
        return (_name(type(value)), _ADDRESS.sub("", repr(value)))
    if isinstance(value, type):
        return ("class", _name(value))
    if isinstance(value, Mapping):
        return (_name(type(value)), *((_describe(k, depth - 1), _describe(v, depth - 1)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return (_name(type(value)), *(_describe(v, depth - 1) for v in value))
    if isinstance(value, (set, frozenset)):
        return (_name(type(value)), *sorted(repr(_describe(v, depth - 1)) for v in value))
    if isinstance(value, types.FunctionType):
        return _describe_function(value, depth)
    if isinstance(value, types.MethodType):
        return ("method", _describe(value.__func__, depth - 1), _describe(value.__self__, depth - 1))
    if isinstance(value, functools.partial):
        return ("partial", *(_describe(v, depth - 1) for v in (value.func, value.args, value.keywords)))
    if hasattr(value, "get_params"):
        return (_name(type(value)), _describe(value.get_params(deep=False), depth - 1))
    if type(value).__module__.startswith("sklearn.metrics"):  # scorers, whose functions may be the user's
        return (_name(type(value)), _describe(vars(value), depth - 1))
    try:
        return (_name(type(value)), joblib.hash(value))
    except Exception:  # no pickle can be made of it
        inside = getattr(value, "__dict__", None) or _ADDRESS.sub("", repr(value))
        return (_name(type(value)), _describe(inside, depth - 1))


def _describe_function(function: types.FunctionType, depth: int) -> object:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # still empty
            cells.append(None)
    given = (function.__defaults__, function.__kwdefaults__, cells)
    return ("function", _describe_code(function.__code__), *(_describe(v, depth - 1) for v in given))


def _describe_code(code: types.CodeType) -> object:
    constants = tuple(_describe_constant(c) for c in code.co_consts)
    return (code.co_code.hex(), constants, code.co_names, code.co_varnames)


def _describe_constant(constant: object) -> object:
    if isinstance(constant, types.CodeType):
        return _describe_code(constant)
    if isinstance(constant, frozenset):  # whose order is another in each process
        return tuple(sorted(map(repr, constant)))
    return repr(constant)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
