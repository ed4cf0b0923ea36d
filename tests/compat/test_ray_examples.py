"""The examples in Ray's own wheel run after ``tune-core migrate`` has changed their imports.

What the command remarks upon is followed: ``ray.init`` is not needed, and what one example imports from another comes
from a file beside it. The quick ones run where Ray is installed, the others where ``TUNE_CORE_ALL_SCRIPTS`` is set.
Those whose library is missing are skipped, and say so.
"""

from __future__ import annotations

import ast
import importlib.util
import os
from pathlib import Path

import pytest

from .test_migrated_scripts import needed, needed_roots, run

pytest.importorskip("libcst", reason="needs tune-core[migrate]")

QUICK = {
    "async_hyperband_example",
    "custom_checkpointing_with_callback",
    "custom_func_checkpointing",
    "hyperband_function_example",
    "logging_example",
    "pbt_example",
    "pbt_function",
    "tune_basic_example",
}
NOT_RUN = {
    "cifar10_pytorch": "downloads CIFAR10",
    "mlflow_ptl": "downloads MNIST",
    "mnist_ptl_mini": "downloads MNIST",
    "mnist_pytorch": "downloads MNIST",
    "mnist_pytorch_trainable": "downloads MNIST",
    "pb2_ppo_example": "trains with RLlib, whose trainables are Ray Tune's own",
    "pbt_convnet_example": "downloads MNIST",
    "pbt_convnet_function_example": "downloads MNIST",
    "pbt_dcgan_mnist_func": "downloads MNIST",
    "pbt_dcgan_mnist_trainable": "downloads MNIST",
    "pbt_memnn_example": "downloads bAbI",
    "pbt_ppo_example": "trains with RLlib, whose trainables are Ray Tune's own",
    "pbt_transformers": "downloads a model and its data",
    "pbt_tune_cifar10_with_keras": "downloads CIFAR10",
    "tf_mnist_example": "downloads MNIST",
    "tune_mnist_keras": "downloads MNIST",
    "xgboost_dynamic_resources_example": "asks Ray Tune's controller what the cluster has, which has no counterpart",
}
"""Why an example cannot run in a test: it needs the network, a library that is part of Ray, or Ray Tune's insides."""
PARTS = {"common", "utils"}
"""Modules of examples that do nothing by themselves."""
INSIDE = {
    "ax_example": ["ax"],
    "bayesopt_example": ["bayes_opt"],
    "bohb_example": ["hpbandster", "ConfigSpace"],
    "optuna_define_by_run_example": ["optuna"],
    "optuna_example": ["optuna"],
    "optuna_multiobjective_example": ["optuna"],
    "pb2_example": ["pandas", "sklearn"],
}
"""What a searcher or scheduler needs."""


def examples() -> list[Path]:
    ray = importlib.util.find_spec("ray")  # it is not imported
    if ray is None or ray.origin is None:
        return []
    found = Path(ray.origin).parent.joinpath("tune", "examples").rglob("*.py")
    return sorted(path for path in found if path.stem != "__init__" and path.stem not in PARTS)


EXAMPLES = examples()


def migrated(path: Path) -> str:
    """An example as somebody has it who followed the remarks."""
    from tune_core.cli.migrate import migrate

    made = migrate(path.read_text().replace("from ray.tune.examples.", "from "))
    assert all("ray.init is not needed" in remark.text for remark in made.remarks), made.remarks
    return without_ray_init(made.source)


def without_ray_init(source: str) -> str:
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and ast.unparse(node).startswith("ray.init("):
            lines[node.lineno - 1] = " " * node.col_offset + "pass"
            lines[node.lineno : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno)
        elif isinstance(node, ast.Import) and [alias.name for alias in node.names] == ["ray"]:
            lines[node.lineno - 1] = " " * node.col_offset + "pass"
    return "\n".join(lines)


@pytest.mark.skipif(not EXAMPLES, reason="needs Ray's examples")
def test_every_example_is_run_or_has_a_reason() -> None:
    stems = {path.stem for path in EXAMPLES}
    assert set(NOT_RUN) | QUICK | set(INSIDE) <= stems
    assert len(stems) > 30 and len(stems - set(NOT_RUN)) > 15


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in EXAMPLES])
def test_example_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stem in NOT_RUN:
        pytest.skip(NOT_RUN[path.stem])
    if path.stem not in QUICK and "TUNE_CORE_ALL_SCRIPTS" not in os.environ:
        pytest.skip("takes long: set TUNE_CORE_ALL_SCRIPTS")
    for name in [*needed(path), *INSIDE.get(path.stem, [])]:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    source = migrated(path)
    assert "ray" not in needed_roots(source)
    (tmp_path / "script.py").write_text(source)
    for other in EXAMPLES:
        if f"from {other.stem} import" in source:
            (tmp_path / other.name).write_text(migrated(other))
    run(tmp_path / "script.py", tmp_path, *(["--smoke-test"] if "--smoke-test" in source else []))
