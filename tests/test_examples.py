"""Every script in examples/ runs as it stands and prints what it promises.

Scripts are found, not listed. One whose imports are not installed is skipped; `# needs: module, ...` on a line of its
own names what it needs without importing it, and `# slow` marks one that takes more than about 20 seconds.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT

sys.path.append(str(ROOT / "docs"))
from gallery import code_hash, needs

EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(p for p in EXAMPLES.rglob("*.py") if not p.name.startswith("_"))
LIMIT_S = 600

PRINTS: dict[str, list[str]] = {
    "quickstart.py": [r"Best of 12 trials: a=0\.001, b=1, score=1\.000001"],
    "start_function.py": [r"\{'lr': 0\.1975\d+, 'floor': 0\.0161\d+\}"],
    "start_keras_hyperopt.py": [r"\{'lr': [\d.e-]+, 'units': \d+\}"],
    "start_pytorch_optuna.py": [r"\{'lr': [\d.e-]+, 'units': \d+\}"],
    "function_api.py": [
        r" reports: rate 0\.\d misses by 0\.\d{4}, last report 3",
        r" yields: rate 0\.\d misses by 0\.\d{4}, last report 3",
        r" returns: rate 0\.\d misses by 0\.\d{4}, last report 1",
        r"returns_a_number: rate 0\.\d misses by 0\.\d{4}, last report 1",
    ],
    "class_api.py": [r"(stride .+ checkpoints kept: of steps \[30, 40\]\n){4}", r"Best stride: 2\.0"],
    "checkpoints.py": [
        r"failed: RuntimeError: power failure",
        r"launched on \w+, attempt 2",
        r"going on from year 11 with 171\.03",
        r"5% a year: 265\.33 after 20 years, kept in checkpoint_",
    ],
    "digits_asha.py": [
        r"every trial +0\.9[5-9]\d\d +1080 +100%",
        r"ASHA +0\.9[5-9]\d\d +[1-5]\d\d +[1-4]\d%",
        r"rung \d+: accuracy [\d.]+ is outside the best 1/3",
    ],
    "solver_experiment.py": [
        r"200 +lost, orbit 3 +1\.1e-02 +4\.7e-02",
        r"1600 lost, orbit 13 +1\.4e-05 +1\.4e-06",
        r"Best: runge_kutta with 1600 forces an orbit",
    ],
    "resume_after_kill.py": [
        r"The first driver ended with SIGKILL\.",
        r"restored: 30 trials, (\d+) minutes of coffee, best loss (\S+)\nunbroken: 30 trials, \1 .*best loss \2\n",
        r"Trial by trial the same: True",
    ],
    "xgboost_breast_cancer.py": [
        r"Best of 30 trials: logloss 0\.\d+, error \d",
        r"Boosting rounds: \d+ of 2430, [5-9]\d% saved",
        r"Its model has \d+ rounds",
    ],
    "lightgbm_breast_cancer.py": [r"AUC 0\.99\d+", r"Boosting rounds: \d+ of 1620, [5-9]\d% saved"],
    "catboost_breast_cancer.py": [r"Iterations: \d+ of 1620, [5-9]\d% saved", r"Its model has \d+ trees"],
    "lightning_digits.py": [r"accuracy 0\.9\d+", r"Epochs: \d+ of 144, [3-9]\d% saved", r"Linear\(in_features=64"],
    "keras_digits.py": [r"Best accuracy 0\.9\d+", r"Epochs: \d+ of 144, [3-9]\d% saved", r"has \d+ weights"],
    "transformers_digits.py": [
        r"Best accuracy 0\.[7-9]\d+",
        r"Epochs: \d+ of 144, [3-9]\d% saved",
        r"Its model has \d+ weights",
    ],
    "pytorch_digits.py": [r"The best after 5 iterations: 0\.9\d+"],
    "pytorch_pbt.py": [
        r"learning rate \S+ from epoch 1, then \S+ from epoch \d+",
        r"Best loss 0\.3\d+ after 24 epochs",
    ],
    "ray_serve_digits.py": [
        r"Best accuracy 0\.9\d+ with \{",
        r'a picture of a 0: 200 \{"digit": ?0\}',
        r'a picture of a 7: 200 \{"digit": ?7\}',
    ],
    "tutorial.py": [
        r"a guess: accuracy 0\.\d+",
        r"0\.900 with lr=0\.0210",
        r"\d+ trials had begun, \d+ of them were over",
        r"24 trials, \d+ epochs instead of 216",
        r"stop: rung 1: accuracy 0\.\d+ is outside the best 1/3",
        r"that nobody has seen: 0\.9\d+",
    ],
    "tutorial_serve.py": [
        r"accuracy 0\.9\d+ with \{'width': \d+, 'lr': 0\.\d+\}",
        r'a picture of a 0: 200 \{"digit": ?0\}',
        r'a picture of a 7: 200 \{"digit": ?7\}',
    ],
    "own_searcher.py": [r"Random search: +height 0\.335576", r"Evolution strategy: +height 0\.0\d+ at"],
}


def name(script: Path) -> str:
    return script.relative_to(EXAMPLES).as_posix()


def is_missing(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is None
    except ModuleNotFoundError:  # one of its parents
        return True


def case(script: Path) -> object:
    marks = [pytest.mark.real]
    if re.search(r"^# slow$", script.read_text(encoding="utf-8"), re.MULTILINE):
        marks.append(pytest.mark.slow)
    if any(module.split(".")[0] == "ray" for module in needs(script)):
        marks.append(pytest.mark.ray)
    return pytest.param(script, marks=marks, id=name(script))


@pytest.mark.timeout(LIMIT_S + 30)
@pytest.mark.parametrize("script", [case(script) for script in SCRIPTS])
def test_example_runs_and_prints_what_it_promises(script: Path, tmp_path: Path) -> None:
    missing = sorted(filter(is_missing, needs(script)))
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    here = tmp_path / "here"
    here.mkdir()
    env = {**os.environ, "TUNE_CORE_STORAGE": str(tmp_path / "results")}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=here, env=env, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
    assert [pattern for pattern in PRINTS.get(name(script), []) if not re.search(pattern, done.stdout)] == [], (
        done.stdout
    )
    assert list(here.iterdir()) == [], "an example leaves nothing behind in the folder that it runs in"


@pytest.mark.parametrize("kept", sorted((ROOT / "docs" / "outputs").glob("*.txt")), ids=lambda path: path.stem)
def test_output_kept_for_the_site_is_the_scripts_as_it_is_now(kept: Path) -> None:
    scripts = {name(script).removesuffix(".py").replace("/", "-"): script for script in SCRIPTS}
    script = scripts[kept.stem]
    of, _, printed = kept.read_text(encoding="utf-8").partition("\n")
    assert of == code_hash(script), f"run: python docs/gallery.py {kept.stem}"
    assert [pattern for pattern in PRINTS.get(name(script), []) if not re.search(pattern, printed)] == []


def test_what_scripts_promise_names_scripts_that_exist() -> None:
    assert set(PRINTS) <= {name(script) for script in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_example_needs_no_main_guard_and_says_what_it_shows(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert "__main__" not in text
    assert ast.get_docstring(ast.parse(text))
