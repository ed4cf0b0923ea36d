"""Hydra's multirun with the sweeper `tune_core`: every form of override, real runs, their folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hydra")

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

import tune_core as tune
from hydra_plugins.tune_core_sweeper.overrides import Sweeps, read

APP = """
import hydra
import tune_core as tune

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    if cfg.lr < 0:
        raise ValueError("no such rate")
    if not cfg.steps:
        return (cfg.lr - 0.1) ** 2 + cfg.model.units / 100
    for step in range(cfg.steps):
        tune.report({"loss": cfg.lr / (step + 1)})

main()
"""
CONFIG = """
defaults:
  - model: small
  - override hydra/sweeper: tune_core
  - _self_
lr: 0.1
steps: 0
hydra:
  sweep: {dir: out}
  sweeper: {n_trials: 3, seed: 0}
"""


def parsed(*overrides: str, grid: bool = False) -> Sweeps:
    return read(OverridesParser.create().parse_overrides(list(overrides)), grid=grid)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "app.py").write_text(APP)
    (folder / "conf" / "config.yaml").write_text(CONFIG)
    for name, units in (("small", 8), ("big", 16)):
        (folder / "conf" / "model" / f"{name}.yaml").write_text(f"units: {units}\n")
    command = [sys.executable, "app.py", "-m", *arguments]
    env = {**os.environ, "HYDRA_FULL_ERROR": "0"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def read_yaml(path: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(path))


@pytest.mark.parametrize(
    ("override", "domain"),
    [
        ("a=1,2.5,x,null,true", tune.choice([1, 2.5, "x", None, True])),
        ("a=choice('x y',z)", tune.choice(["x y", "z"])),
        ("a=shuffle(1,2,3)", tune.choice([1, 2, 3])),
        ("a=sort(3,1,2)", tune.choice([1, 2, 3])),
        ("a=range(1,5)", tune.randint(1, 5)),
        ("a=range(5,1,-1)", tune.randint(2, 6)),
        ("a=range(0,20,5)", tune.qrandint(0, 15, 5)),
        ("a=range(1,8,3)", tune.choice([1, 4, 7])),
        ("a=range(0,1,0.25)", tune.quniform(0, 0.75, 0.25)),
        ("a=tag(log,range(1,9))", tune.lograndint(1, 9)),
        ("a=interval(0,1)", tune.uniform(0, 1)),
        ("a=int(interval(1,4))", tune.randint(1, 5)),
        ("a=tag(log,interval(0.001,1))", tune.loguniform(0.001, 1)),
        ("a=tag(log,int(interval(1,64)))", tune.lograndint(1, 65)),
        ("a=tag(grid,choice(1,2))", tune.grid_search([1, 2])),
        ("+a.b=tag(mine,interval(0,1))", tune.uniform(0, 1)),
    ],
)
def test_each_form_of_a_sweep_is_a_domain(override: str, domain: Any) -> None:
    (found,) = parsed(override).space.values()
    assert found == domain


def test_values_become_the_overrides_that_were_written() -> None:
    sweeps = parsed("+a='x y',[1,2],{k:3},null", "b@c=d,e", "~x", "++y=4", "z=interval(0,1)")
    texts = [text for _, text in sweeps.texts["a"]]
    jobs = [sweeps.overrides({"a": label, "b@c": "e", "z": 1e-05}) for label, _ in sweeps.texts["a"]]
    assert jobs == [["~x", "++y=4", f"+a={text}", "b@c=e", "z=1e-05"] for text in texts]
    again = [OverridesParser.create().parse_overrides(job)[2].value() for job in jobs]
    assert again == ["x y", [1, 2], {"k": 3}, None]


@pytest.mark.parametrize(
    ("override", "grid", "words"),
    [
        ("a=interval(0,1)", True, "range"),
        ("a=tag(log,interval(0,1))", False, "above 0"),
        ("a=tag(log,choice(1,2))", False, "logarithm"),
        ("a=tag(log,range(1,9,2))", False, "steps of 1"),
        ("a=range(5,1)", False, "no values"),
    ],
)
def test_sweep_that_cannot_be_searched_is_named(override: str, grid: bool, words: str) -> None:
    with pytest.raises(HydraException, match=words) as raised:
        parsed(override, grid=grid)
    assert override in str(raised.value)


def test_multirun_leaves_the_folders_that_hydra_users_expect(tmp_path: Path) -> None:
    done = run(tmp_path, "lr=tag(log, interval(0.01, 1))", "model=glob(*)", "+extra=range(1, 6, 2)")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    values = []
    for number in "012":
        config = read_yaml(out / number / ".hydra" / "config.yaml")
        overrides = read_yaml(out / number / ".hydra" / "overrides.yaml")
        assert [o.partition("=")[0] for o in overrides] == ["lr", "model", "+extra"]
        assert config["extra"] in (1, 3, 5) and config["model"]["units"] in (8, 16)
        values.append(((config["lr"] - 0.1) ** 2 + config["model"]["units"] / 100, config))
    value, config = min(values, key=lambda v: v[0])
    best = read_yaml(out / "optimization_results.yaml")
    assert best["best_evaluated_value"] == pytest.approx(value)
    assert best["best_evaluated_params"]["lr"] == config["lr"] and best["name"] == "tune_core"
    assert (out / "multirun.yaml").exists() and "Best parameters" in done.stdout


def test_scheduler_decides_on_what_the_task_reports(tmp_path: Path) -> None:
    sweeper = (
        "hydra.sweeper.n_trials=null hydra.sweeper.metric=loss hydra.sweeper.n_jobs=1 "
        "+hydra.sweeper.scheduler._target_=tune_core.schedulers.ASHAScheduler "
        "+hydra.sweeper.scheduler.max_t=4 +hydra.sweeper.scheduler.reduction_factor=2"
    )
    done = run(tmp_path, "steps=4", "lr=1,2,3,4", *sweeper.split())
    assert done.returncode == 0, done.stderr
    grid = tune.ResultGrid.from_path(tmp_path / "out" / "tune_core")
    assert {r.config["lr"]: r.metrics["training_iteration"] for r in grid} == {1: 4, 2: 1, 3: 1, 4: 1}
    best = read_yaml(tmp_path / "out" / "optimization_results.yaml")
    assert best["best_evaluated_params"] == {"lr": 1} and best["best_evaluated_value"] == 0.25


def test_job_that_fails_fails_the_sweep_with_its_error(tmp_path: Path) -> None:
    done = run(tmp_path, "lr=-1,-2")
    assert done.returncode != 0 and "no such rate" in done.stderr and "max_failure_rate" in done.stderr
    assert not (tmp_path / "out" / "optimization_results.yaml").exists()


def test_other_launchers_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "lr=1,2", "hydra.launcher._target_=somewhere.OtherLauncher")
    assert done.returncode != 0 and "n_jobs" in done.stderr
    assert not (tmp_path / "out" / "tune_core").exists()
