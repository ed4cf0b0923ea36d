"""Whole scripts for Ray Tune run after ``tune-core migrate`` has changed their imports.

Each script in ``ray_scripts`` follows the idiom of a page of Ray Tune's documentation, and checks itself. Those of
frameworks and of slow searchers run where ``TUNE_CORE_ALL_SCRIPTS`` is set.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT

pytest.importorskip("libcst", reason="needs tune-core[migrate]")

SCRIPTS = sorted(Path(__file__).with_name("ray_scripts").glob("*.py"))
QUICK = {
    "automatic_metrics",
    "class_api",
    "custom_scheduler",
    "experiments",
    "fault_tolerance",
    "function_api",
    "parameters_and_resources",
    "pbt_function",
    "returned_value",
    "trial_checkpoints",
    "tune_run_arguments",
}
INSIDE = {
    "analyze_results": ["pandas"],
    "bayesopt_search": ["bayes_opt"],
    "bohb": ["hpbandster"],
    "automatic_metrics": ["pandas"],
    "ax_search": ["ax"],
    "conditional_grid": ["pandas"],
    "function_api": ["pandas"],
    "hyperopt_conditional": ["hyperopt"],
    "keras_digits": ["torch"],
    "optuna_search": ["optuna"],
    "tune_run_arguments": ["pandas"],
}


def needed(script: Path) -> list[str]:
    tree = ast.parse(script.read_text())
    names = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return [n.partition(".")[0] for n in names if n.partition(".")[0] != "ray"] + INSIDE.get(script.stem, [])


def run(script: Path, folder: Path, *arguments: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "integrations"), os.environ.get("PYTHONPATH", "")]),
        "TUNE_CORE_STORAGE": str(folder / "storage"),
        "TUNE_RESULT_DIR": str(folder / "storage"),
        "TUNE_CORE_PROGRESS": "off",
        "KERAS_BACKEND": "torch",
        "OMP_NUM_THREADS": "1",
        "HOME": str(folder),
    }
    if "from ray" in script.read_text() or "import ray" in script.read_text():
        del environment["TUNE_RESULT_DIR"]  # Ray Tune of today raises where it is set
    command = [sys.executable, "-W", "ignore", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]


def skip_unless_installed(script: Path) -> None:
    for name in needed(script):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("script", [pytest.param(s, id=s.stem) for s in SCRIPTS])
def test_migrated_script(script: Path, tmp_path: Path) -> None:
    if script.stem not in QUICK and "TUNE_CORE_ALL_SCRIPTS" not in os.environ:
        pytest.skip("takes long: set TUNE_CORE_ALL_SCRIPTS")
    skip_unless_installed(script)
    from tune_core.cli.migrate import migrate

    migrated = migrate(script.read_text())
    assert not migrated.remarks
    assert "ray" not in needed_roots(migrated.source)
    (tmp_path / "script.py").write_text(migrated.source)
    run(tmp_path / "script.py", tmp_path)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(600)
@pytest.mark.parametrize("script", [pytest.param(s, id=s.stem) for s in SCRIPTS])
def test_script_under_ray_tune_itself(script: Path, tmp_path: Path) -> None:
    """What a script checks is Ray Tune's behaviour, and not ours."""
    if "TUNE_CORE_ALL_SCRIPTS" not in os.environ:
        pytest.skip("takes long: set TUNE_CORE_ALL_SCRIPTS")
    for name in ("ray", "pandas", "pyarrow"):
        pytest.importorskip(name)
    skip_unless_installed(script)
    (tmp_path / "script.py").write_text(script.read_text())
    run(tmp_path / "script.py", tmp_path)


def needed_roots(source: str) -> set[str]:
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = [a.name for n in imports if isinstance(n, ast.Import) for a in n.names]
    return {name.partition(".")[0] for name in [*names, *(n.module or "" for n in imports if hasattr(n, "module"))]}


@pytest.mark.parametrize(
    ("imports", "use", "expected"),
    [
        (
            "import ray\nfrom ray import tune",
            "ray.tune.run(f)",
            "import ray\nimport tune_core as tune\nimport tune_core",
        ),
        ("import ray.tune", "ray.init()\nray.tune.run(f)", "import tune_core\nimport ray"),
        ("import ray.tune", "ray.tune.run(f)", "import tune_core"),
        ("import ray.tune as rt", "rt.run(f)", "import tune_core as rt"),
    ],
)
def test_names_before_a_dot_are_imported(imports: str, use: str, expected: str) -> None:
    from tune_core.cli.migrate import migrate

    changed = migrate(f"{imports}\n\n{use}\n").source
    assert changed == f"{expected}\n\n{use.replace('ray.tune', 'tune_core')}\n"
