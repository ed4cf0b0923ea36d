"""Optuna's interface, run by tune-core: trials in parallel processes, journaled, resumable.

Change one line of a script::

    import tune_core.compat.optuna as optuna

``create_study`` and ``load_study`` then give an ``optuna.Study`` whose ``optimize`` runs the trials with tune-core; all
other names are Optuna's own. The objective stays as it is, pruning and conditional parameters included. The study is in
the package ``tune_optuna``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from tune_core.core.optional_imports import require

_OURS = ("Study", "create_study", "load_study")


def __getattr__(name: str) -> Any:
    optuna = require("tune_core.compat.optuna", "optuna", "optuna")
    if name in _OURS:
        return getattr(import_module("tune_optuna"), name)
    if name == "study":
        return _study_module(optuna)
    return getattr(optuna, name)


def _study_module(optuna: Any) -> ModuleType:
    """``optuna.study`` with our studies in place of Optuna's."""
    name = f"{__name__}.study"
    if name not in sys.modules:
        module = ModuleType(name, optuna.study.__doc__)
        module.__getattr__ = lambda wanted: (  # type: ignore[method-assign]
            __getattr__(wanted) if wanted in _OURS else getattr(optuna.study, wanted)
        )
        sys.modules[name] = module
    return sys.modules[name]
