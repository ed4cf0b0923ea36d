"""What every test needs: a quiet environment, set before any framework is imported, and Hypothesis' profile."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from importlib.util import find_spec

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["RAY_AUTH_MODE"] = "disabled"  # Ray would write a token into the home folder
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.setdefault("KERAS_BACKEND", "torch")
if "KERAS_HOME" not in os.environ:  # Keras writes its configuration there when it is imported
    os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="keras-")
    atexit.register(shutil.rmtree, os.environ["KERAS_HOME"], ignore_errors=True)

from collections.abc import Generator

import hypothesis
import pytest

hypothesis.settings.register_profile("tune", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "tune")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in files named test_ray*.py, so that `-m ray` finds it wherever it stands."""
    for item in items:
        if item.path.name.startswith("test_ray"):
            item.add_marker(pytest.mark.ray)


OPTIONAL = frozenset(("numpy", "pandas", "sklearn", "optuna", "hyperopt"))
"""Libraries for which a test is skipped where they are missing; some environment of tox.ini has each of them."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """A test that runs into an optional library that is not installed is skipped."""
    try:
        return (yield)
    except ImportError as error:
        cause = error.__cause__ if isinstance(error.__cause__, ModuleNotFoundError) else error
        missing = (cause.name or "").partition(".")[0]
        if missing in OPTIONAL and find_spec(missing) is None:
            pytest.skip(f"needs {missing}")
        raise
