"""Replaying PBT: the schedule of a member and its ancestors, from our journal or Ray Tune's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError, JournalError
from tune_core.journal.reader import parse
from tune_core.schedulers import PopulationBasedTraining, PopulationBasedTrainingReplay
from tune_core.schedulers.pbt_replay import schedules
from tune_core.simulation import Simulation, simulate


def grow(config: dict[str, Any], step: int, state: Any) -> Any:
    score = (state or 0.0) + config["rate"]
    return (1.0, {"score": score}, score) if step <= 40 else None


def population() -> Simulation:
    scheduler = PopulationBasedTraining(
        "training_iteration", perturbation_interval=4, hyperparam_mutations={"rate": tune.uniform(0, 1)}
    )
    return simulate(grow, metric="score", mode="max", workers=4, num_samples=4, scheduler=scheduler)


def save(result: Simulation, folder: Path) -> Path:
    (folder / "journal.jsonl").write_bytes(result.journal)
    return folder


@pytest.mark.parametrize("trial", range(4))
def test_replayed_trial_reaches_the_very_score_of_the_member(tmp_path: Path, trial: int) -> None:
    result = population()
    replay = PopulationBasedTrainingReplay(save(result, tmp_path), trial=trial)
    again = simulate(grow, metric="score", mode="max", workers=1, num_samples=1, scheduler=replay)
    assert again.trials[0].last.metrics["score"] == result.trials[trial].last.metrics["score"]
    assert again.trials[0].iteration == 40


def test_without_a_trial_the_best_at_the_end_is_replayed(tmp_path: Path) -> None:
    result = population()
    replay = PopulationBasedTrainingReplay(save(result, tmp_path))
    again = simulate(grow, metric="score", mode="max", workers=1, num_samples=1, scheduler=replay)
    assert again.best_value == max(t.last.metrics["score"] for t in result.trials)


def test_schedule_starts_with_the_ancestor_s_first_configuration() -> None:
    result = population()
    found = schedules(parse(result.journal).events)
    for steps in found.values():
        assert steps[0][0] == 0
        assert [at for at, _ in steps] == sorted(at for at, _ in steps)


def test_ray_tune_s_policy_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pbt_policy_abc.txt"
    lines = [["a", "b", 10, 8, {"rate": 0.1}, {"rate": 0.5}], ["a", "c", 20, 16, {"rate": 0.5}, {"rate": 0.7}]]
    path.write_text("\n".join(map(json.dumps, lines)))
    replay = PopulationBasedTrainingReplay(str(path))
    assert replay.schedule == [(0, {"rate": 0.1}), (8, {"rate": 0.5}), (16, {"rate": 0.7})]
    assert replay.config == {"rate": 0.1}
    result = simulate(grow, metric="score", mode="max", workers=1, num_samples=1, scheduler=replay)
    assert result.best_value == pytest.approx(8 * 0.1 + 8 * 0.5 + 24 * 0.7)
    assert next(d.why for d in result.decisions()) == "the schedule's step at 8: rate 0.1 → 0.5"


def test_second_trial_is_refused(tmp_path: Path) -> None:
    replay = PopulationBasedTrainingReplay(save(population(), tmp_path), trial=0)
    with pytest.raises(tune.TuneError, match="second trial"):
        simulate(grow, metric="score", mode="max", workers=1, num_samples=2, scheduler=replay)


def test_what_is_no_policy_is_refused(tmp_path: Path) -> None:
    for name, text in (("a.txt", "nonsense"), ("b.txt", ""), ("c.txt", "[1, 2]")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InvalidArgumentError, match="policy_file"):
            PopulationBasedTrainingReplay(str(tmp_path / name))
    with pytest.raises(JournalError):
        PopulationBasedTrainingReplay(tmp_path)
    save(population(), tmp_path)
    with pytest.raises(InvalidArgumentError, match="trial"):
        PopulationBasedTrainingReplay(tmp_path, trial=9)
