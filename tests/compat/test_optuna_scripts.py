"""Whole scripts for Optuna run as they stand, and with nothing but the one import changed.

Each script in ``optuna_scripts`` checks itself, and prints the same under both.
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

pytest.importorskip("optuna")

SCRIPTS = sorted(Path(__file__).with_name("optuna_scripts").glob("*.py"))
PRINTS = {
    "artifacts": "artifacts: 6",
    "callbacks_catboost": "best above 0.9: True",
    "callbacks_keras": "best below 0.9: True",
    "callbacks_lightgbm": "best above 0.9: True",
    "callbacks_lightning": "best below 0.9: True",
    "callbacks_xgboost": "best below 0.6: True",
    "constraints": "feasible ones are found: True\nbest feasible near 3: True",
    "estimators_xgboost_lightgbm": "best above 0.6: True\nbest above 0.6: True",
    "importance": "most important: much",
    "multi_objective": "trials: 40 | a front: True",
    "pruning": "pruned some: True | best above 0.9: True",
    "samplers": "best by the grid: {'x': 0, 'kind': 'low'}",
    "search_cv": "best above 0.6: True (150,)",
    "storage": "kept and gone on with",
    "terminator": "ended early",
    "tuner_lightgbm": "tuned: True 5",
    "visualisation": "plotted: contour, edf, history, importances, intermediate, parallel, rank, slice, timeline",
}
NEEDS = {
    "visualisation": ["plotly", "matplotlib", "sklearn"],
    "multi_objective": ["plotly", "matplotlib", "sklearn"],
    "importance": ["sklearn", "pandas"],
    "estimators_xgboost_lightgbm": ["optuna_integration", "pandas"],
}


def run(code: str, folder: Path) -> str:
    script = folder / "script.py"
    script.write_text(code)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "integrations"), os.environ.get("PYTHONPATH", "")]),
        "TUNE_CORE_STORAGE": str(folder / "storage"),
        "TUNE_CORE_PROGRESS": "off",
    }
    command = [sys.executable, "-W", "ignore", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def needed(script: Path) -> list[str]:
    tree = ast.parse(script.read_text())
    names = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return [name.partition(".")[0] for name in names] + NEEDS.get(script.stem, [])


def skip_unless_installed(script: Path) -> None:
    for name in needed(script):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_with_the_one_import_changed(script: Path, tmp_path: Path) -> None:
    skip_unless_installed(script)
    text = script.read_text()
    assert text.count("\nimport optuna\n") == 1
    assert (
        run(text.replace("\nimport optuna\n", "\nimport tune_core.compat.optuna as optuna\n"), tmp_path)
        == (PRINTS[script.stem])
    )


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_as_it_stands(script: Path, tmp_path: Path) -> None:
    skip_unless_installed(script)
    assert run(script.read_text(), tmp_path) == PRINTS[script.stem]
