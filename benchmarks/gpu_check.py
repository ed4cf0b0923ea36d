"""Runs the suites of the frameworks on a GPU, and a run whose trials share it: `python benchmarks/gpu_check.py`.

Exit codes: 0 all passed, 1 something failed, 2 there is no GPU that PyTorch can use.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import tune_core as tune

ROOT = Path(__file__).resolve().parents[1]
NO_GPU = 2
SUITES = {  # folder of tests: modules that it needs
    "tune_lightning": "pytorch_lightning",
    "tune_keras": "keras",
    "tune_transformers": "transformers",
    "tune_xgboost": "xgboost",
    "tune_lightgbm": "lightgbm",
}


def train(config: dict[str, float]) -> dict[str, object]:
    """A few steps of PyTorch on the part of a GPU that the trial has."""
    import torch

    assert torch.cuda.device_count() == 1, torch.cuda.device_count()
    x = torch.ones(512, 512, device="cuda", requires_grad=True)
    loss = (x @ x * config["scale"]).mean()
    loss.backward()
    return {"loss": float(loss), "device": x.grad.device.type, "visible": os.environ["CUDA_VISIBLE_DEVICES"]}


def shared_gpu() -> bool:
    """Whether four trials of half a GPU each ran on it, each seeing one device."""
    with tempfile.TemporaryDirectory() as folder:
        grid = tune.Tuner(
            tune.with_resources(train, {"cpu": 1, "gpu": 0.5}),
            param_space={"scale": tune.grid_search([1.0, 2.0, 3.0, 4.0])},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        for result in grid:
            print(result.config, result.error or result.metrics)
        return not grid.errors and all(r.metrics["device"] == "cuda" for r in grid)


def main() -> int:
    try:
        import torch
    except ModuleNotFoundError:
        print("No GPU was checked: PyTorch is not installed.")
        return NO_GPU
    if not torch.cuda.is_available():
        print(f"No GPU was checked: PyTorch {torch.__version__} finds none here.")
        return NO_GPU
    print(f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}")
    passed = {"four trials of half a GPU": shared_gpu()}
    for suite, module in SUITES.items():
        if importlib.util.find_spec(module) is None:
            print(f"{suite}: not run, {module} is not installed")
            continue
        # memory as it is needed: TensorFlow and JAX take the whole device otherwise
        grows = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/integrations/{suite}"]
        passed[suite] = subprocess.run(command, cwd=ROOT, env={**os.environ, **grows}).returncode == 0
    print(*(f"{name}: {'passed' if ok else 'FAILED'}" for name, ok in passed.items()), sep="\n")
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
