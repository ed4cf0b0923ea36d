"""Every public name of Ray Tune's own modules can be imported here, or says what to use instead."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Iterator
from types import ModuleType

import pytest

from tune_core.cli.migrate import why_absent

SKIPPED = ("automl", "examples", "tests", "cli", "impl")


def modules() -> Iterator[ModuleType]:
    """Ray Tune's modules, as far as they can be imported."""
    pytest.importorskip("ray", reason="needs Ray Tune")
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")

    def walk(package: ModuleType) -> Iterator[ModuleType]:
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if found.name.rpartition(".")[2] in SKIPPED or found.name.rpartition(".")[2].startswith("_"):
                continue
            try:
                module = importlib.import_module(found.name)
            except Exception:  # needs a library that is not here
                continue
            yield module
            if found.ispkg:
                yield from walk(module)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tune = importlib.import_module("ray.tune")
        yield tune
        yield from walk(tune)


def unanswered(names: list[tuple[str, str]]) -> list[str]:
    """Those that can neither be imported nor say what to use instead."""
    reasons = {f"{path}.{name}": why_absent(path, name) for path, name in names}
    return [name for name, reason in reasons.items() if reason is not None and "has no counterpart:" not in reason]


def test_every_name_of_the_lists_is_answered() -> None:
    listed = [
        (module.__name__, name)
        for module in modules()
        for name in getattr(module, "__all__", ())
        if isinstance(name, str) and not name.startswith("_")
    ]
    assert len(listed) > 100
    assert unanswered(listed) == []


def test_every_public_api_is_answered_at_its_own_path() -> None:
    marked = [
        (module.__name__, name)
        for module in modules()
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and "PUBLIC" in str(getattr(value, "_annotated_type", "")).upper()
        and (inspect.isclass(value) or inspect.isfunction(value))
    ]
    assert len(marked) > 60
    assert unanswered(marked) == []
