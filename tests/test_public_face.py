"""The public face: all of it can be had with nothing optional installed, and importing it costs next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from imports import BLOCK_OPTIONAL, ROOT

import tune_core as tune

HEAVY = ("numpy", "pandas", "rich", "ray", "asyncio", "sklearn", "torch", "cloudpickle", "fsspec", "multiprocessing")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_core_imports_nothing_heavy():
    added = run("import sys; before = set(sys.modules); import tune_core; print(*sorted(set(sys.modules) - before))")
    tops = {name.partition(".")[0] for name in added.split()}
    assert {name for name in added.split() if name.startswith("tune_core")} == {"tune_core", "tune_core._version"}
    assert tops - {"tune_core"} <= sys.stdlib_module_names
    assert not tops & set(HEAVY)


def test_a_run_on_local_workers_needs_no_numpy_or_pandas():
    loaded = run(
        "import sys, tempfile, tune_core as tune\n"
        "def objective(config): return {'loss': config['x']}\n"
        "tune.Tuner(objective, param_space={'x': tune.uniform(0, 1)}, tune_config=tune.TuneConfig(seed=1),\n"
        "    run_config=tune.RunConfig(storage_path=tempfile.mkdtemp(), verbose=0)).fit()\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert not set(loaded.split()) & {"numpy", "pandas", "ray", "sklearn", "torch", "rich"}


def test_no_public_name_is_a_modules_too_which_would_hide_it_once_that_is_imported():
    import pkgutil

    assert not set(tune.__all__) & {module.name for module in pkgutil.iter_modules(tune.__path__)}


BLOCKED = """
import tune_core
for name in tune_core.__all__:
    assert getattr(tune_core, name) is not None, name
print(len(tune_core.__all__))
"""


def test_every_name_can_be_had_with_all_optional_packages_blocked():
    assert int(run(BLOCK_OPTIONAL + BLOCKED)) == len(tune.__all__)


def test_every_public_name_is_listed_and_has_a_docstring():
    assert sorted(tune.__all__) == sorted(set(tune.__all__))
    for name in tune.__all__:
        assert name in dir(tune)
        if name != "__version__":
            assert (getattr(tune, name).__doc__ or "").strip(), name


@pytest.mark.parametrize("name", ["schedulers", "search", "stopper", "executors", "logger", "errors", "space"])
def test_documented_subpackages_are_reached_from_the_face(name):
    assert getattr(tune, name).__name__ == f"tune_core.{name}"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Tunner'"):
        _ = tune.Tunner
