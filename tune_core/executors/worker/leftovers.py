"""Whether a trial could leave something behind in the trainable, which the next trial of the process would find.

A worker runs many trials, and has the trainable with all that is bound to it from one pickle. A model, a list or a
frame in there that one trial changes would be a changed one for the next: that trainable is unpickled again for each
trial. A function that refers to modules, other functions and constants alone is not, as nothing in it can change.
"""

from __future__ import annotations

import enum
import functools
import logging
import re
import sys
import types
from typing import Any

from tune_core.trainable import Prepared

_CONSTANTS = (
    bool, bytes, complex, enum.Enum, float, int, logging.Logger, range, re.Pattern, str, types.BuiltinFunctionType,
    types.EllipsisType, types.GetSetDescriptorType, types.MemberDescriptorType, types.MethodDescriptorType,
    types.ModuleType, types.NoneType, types.NotImplementedType, types.WrapperDescriptorType,
)  # fmt: skip
_OF_ANY_CLASS = frozenset((
    "__abstractmethods__", "__annotations__", "__dataclass_fields__", "__dataclass_params__", "__dict__", "__doc__",
    "__firstlineno__", "__module__", "__orig_bases__", "__parameters__", "__qualname__", "__slots__",
    "__static_attributes__", "__weakref__", "_abc_impl",
))  # fmt: skip
"""What a class has that its methods do not change."""


def can_be_left(prepared: Prepared) -> bool:
    """Whether one trial could change what the next one is given, beside its configuration."""
    look = _Look()
    return not (look.is_fixed(prepared.trainable) and all(map(look.is_fixed, prepared.parameters.values())))


class _Look:
    """One look at all that a trainable refers to."""

    def __init__(self) -> None:
        self._seen: dict[int, object] = {}

    def is_fixed(self, value: Any) -> bool:
        """Whether nothing in it can change; what was looked at before counts as fixed, so that circles end."""
        if isinstance(value, _CONSTANTS) or id(value) in self._seen:
            return True
        if getattr(type(value), "no_trial_changes_it", False) is True:  # a class of an integration says so
            return True
        self._seen[id(value)] = value
        if isinstance(value, types.FunctionType):
            return _is_importable(value) or self._is_fixed_function(value)
        if isinstance(value, type):
            return _is_importable(value) or self._is_fixed_class(value)
        if type(value) in (tuple, frozenset):
            return all(map(self.is_fixed, value))
        if type(value) is functools.partial:
            return self.is_fixed(value.func) and all(map(self.is_fixed, (*value.args, *value.keywords.values())))
        if isinstance(value, (classmethod, staticmethod)):
            return self.is_fixed(value.__func__)
        if isinstance(value, property):
            return all(map(self.is_fixed, (value.fget, value.fset, value.fdel)))
        flags = getattr(value, "flags", None)
        return type(value).__module__ == "numpy" and getattr(flags, "writeable", True) is False

    def _is_fixed_function(self, function: types.FunctionType) -> bool:
        cells = []
        for cell in function.__closure__ or ():
            try:
                cells.append(cell.cell_contents)
            except ValueError:  # not filled yet
                return False
        names = _global_names(function.__code__)
        used = [value for name, value in function.__globals__.items() if name in names]
        defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        return all(map(self.is_fixed, [*cells, *used, *defaults, *function.__dict__.values()]))

    def _is_fixed_class(self, cls: type) -> bool:
        own = [value for name, value in vars(cls).items() if name not in _OF_ANY_CLASS]
        return all(map(self.is_fixed, [*own, *cls.__bases__]))


def _is_importable(thing: Any) -> bool:
    """Whether it comes from an imported module, which is the process's own: it would be the same one again."""
    module = getattr(thing, "__module__", None)
    found: Any = sys.modules.get(module) if module not in ("__main__", "__mp_main__", None) else None
    for name in thing.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is thing


def _global_names(code: types.CodeType) -> set[str]:
    """Names that a function, and the functions inside it, may look up among the globals."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names
