"""scikit-learn's own tests of its searches, run with ours under their names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NOT_OURS = {
    "test_custom_run_search": "compares all attributes with those of a search of scikit-learn's, and ours has one more",
}
"""Tests that cannot apply to a search that is another class, and why."""

ROOT = Path(__file__).parents[2]
QUICK = ["sklearn.tests.test_metaestimators", "sklearn.tests.test_metaestimators_metadata_routing"]
MODULES = ["sklearn.model_selection.tests.test_search", *QUICK]


def run(modules, chosen=""):
    """Run test modules of scikit-learn's in a process of their own, where our searches stand for its own."""
    left_out = " or ".join(NOT_OURS)
    expression = f"({chosen}) and not ({left_out})" if chosen else f"not ({left_out})"
    command = [sys.executable, "-m", "pytest", "-p", "integrations.tune_sklearn.swapped", "--pyargs", *modules]
    command += ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "-k", expression]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    paths = [str(ROOT), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout, done.stdout[-2000:]


@pytest.mark.skipif("TUNE_CORE_SKLEARN_TESTS" not in os.environ, reason="minutes; `tox -e sklearn-own` runs it")
@pytest.mark.timeout(3600)
def test_scikit_learns_tests_of_its_searches_pass_with_ours():
    run(MODULES)


@pytest.mark.timeout(900)
def test_scikit_learns_tests_of_results_pass_with_ours():
    run(MODULES[:1], "grid_search_cv_results or random_search_cv_results or refit_callable_multi_metric or empty_cv")
