"""The table of import paths: every entry can be had, and what cannot says what to use instead."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

import pytest
from imports import ROOT

import tune_core as tune
from tune_core.compat.names import ABSENT, ADDED, INTEGRATIONS, MODULES
from tune_core.compat.paths import names_of
from tune_core.errors import MissingDependencyError

LISTED = [(path, name) for path in sorted({*MODULES, *ADDED}) for name in sorted(names_of(path))]


def needs_a_framework(path: str, name: str) -> bool:
    return names_of(path)[name][0] in INTEGRATIONS


@pytest.mark.parametrize(("path", "name"), LISTED, ids=[f"{path}.{name}" for path, name in LISTED])
def test_listed_name_is_what_its_home_has(path: str, name: str) -> None:
    home, attribute = names_of(path)[name]
    if needs_a_framework(path, name) or f"{path}:{name}" in ABSENT:
        pytest.skip("needs a library of its own")
    module = importlib.import_module(f"tune_core.{path}")
    try:
        found, there = getattr(module, name), getattr(importlib.import_module(home), attribute)
    except MissingDependencyError as error:
        pytest.skip(f"not installed: {error}")
    assert found is there or (name.isupper() and found == there)


@pytest.mark.parametrize("path", sorted(MODULES))
def test_listed_module_can_be_imported(path: str) -> None:
    module = importlib.import_module(f"tune_core.{path}")
    entry = MODULES[path]
    if isinstance(entry, str):
        assert module is importlib.import_module(f"tune_core.{entry}")


@pytest.mark.parametrize("what", sorted(ABSENT))
def test_absent_name_says_why_and_what_to_use_instead(what: str) -> None:
    path, _, name = what.partition(":")
    module = "tune_core" if path == "tune_core" else f"tune_core.{path}"
    try:
        found = importlib.import_module(module)
        value = getattr(found, name) if name else found
    except ImportError as error:
        assert "has no counterpart here: " in str(error) or "not installed" in str(error)
        assert len(str(error)) > 60
    else:
        assert value is not None  # somebody wrote the module since: its file comes first


def test_a_name_that_nobody_knows_is_an_ordinary_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'NoSuchThing'"):
        from tune_core.stopper import NoSuchThing  # type: ignore[attr-defined]  # noqa: F401
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("tune_core.no_such_module")
    assert not hasattr(tune, "NoSuchThing")


def test_from_import_of_each_form_works() -> None:
    code = """
from tune_core.schedulers.async_hyperband import ASHAScheduler
from tune_core.search.sample import Float, uniform
from tune_core.experiment.trial import Trial
import tune_core.stopper.timeout
from tune_core.air import session
from tune_core import air, train
import tune_core as tune
assert tune.schedulers.async_hyperband.ASHAScheduler is ASHAScheduler is tune.ASHAScheduler
assert tune_core.stopper.timeout.TimeoutStopper is tune_core.stopper.TimeoutStopper
assert train.RunConfig is air.RunConfig is tune.RunConfig and session.report is tune.report is train.report
assert Trial.TERMINATED == "TERMINATED"
import pickle
assert pickle.loads(pickle.dumps(Float)) is Float
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "fine", done.stderr


def test_ray_train_is_left_to_ray() -> None:
    with pytest.raises(ImportError, match=r"keep importing it from ray\.train"):
        from tune_core.train import DataConfig  # noqa: F401
    with pytest.raises(ImportError, match="RLlib"):
        _ = tune.register_env


def test_migration_page_says_what_the_tables_say() -> None:
    spec = importlib.util.spec_from_file_location("ray_names", ROOT / "docs" / "ray_names.py")
    assert spec is not None and spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    page = maker.PAGE.read_text(encoding="utf-8")
    assert maker.filled(page) == page, "run python docs/ray_names.py --write"
