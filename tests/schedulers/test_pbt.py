"""PBT: the worst copy the best, explore, and stay in step."""

from __future__ import annotations

import math
from typing import Any

import pytest

import tune_core as tune
from tune_core.core import events as ev
from tune_core.errors import InvalidArgumentError
from tune_core.journal.reader import parse
from tune_core.schedulers import Continue, Exploit, Pause, PopulationBasedTraining
from tune_core.simulation import Faults, Simulation, simulate

from .helpers import Bench


def pbt(**more: Any) -> PopulationBasedTraining:
    settings = {
        "time_attr": "training_iteration",
        "perturbation_interval": 4,
        "hyperparam_mutations": {"rate": tune.uniform(0, 1)},
    }
    return PopulationBasedTraining(**{**settings, **more})


def grow(config: dict[str, Any], step: int, state: Any) -> Any:
    """The score grows by the rate at each step: whoever has the higher rate is better."""
    score = (state or 0.0) + config["rate"]
    return (1.0, {"score": score, "rate": config["rate"]}, score) if step <= 40 else None


def run(scheduler: Any, objective: Any = grow, **more: Any) -> Simulation:
    settings = {"metric": "score", "mode": "max", "workers": 8, "num_samples": 8, **more}
    return simulate(objective, settings.pop("space", {}), scheduler=scheduler, **settings)


def population(size: int = 4, **more: Any) -> Bench:
    bench = Bench(pbt(**more), mode="max", metric="score")
    for index in range(size):
        bench.start(index, {"rate": 0.1 * index})
    bench.scheduler.on_stall(exhausted=True)
    return bench


def test_worst_copies_the_best_with_another_rate_and_says_so() -> None:
    bench = population()
    for index in (1, 2, 3):
        assert bench.report(index, 4, index).until == 8
    decision = bench.report(0, 4, 0.0)
    assert isinstance(decision, Exploit)
    assert decision.source == 3
    assert decision.config["rate"] != 0.0
    assert decision.reason.startswith(
        "score 0 is number 4 of 4, among the worst 1: copies trial 00003 (score 3); rate 0.3 →"
    )


def test_copy_runs_to_the_next_interval_after_its_source() -> None:
    bench = population()
    bench.report(3, 4, 3.0)
    bench.report(3, 8, 6.0)
    for index in (2, 1):
        bench.report(index, 4, index)
    assert isinstance(bench.report(0, 4, 0.0), Exploit)
    assert bench.start(0) == 12


def test_nobody_copies_in_a_population_of_one() -> None:
    bench = population(1)
    assert isinstance(bench.report(0, 4, 0.0), Continue)


def test_nobody_is_perturbed_before_the_burn_in_is_over() -> None:
    bench = population(burn_in_period=10)
    assert bench.start(0) == 10
    assert isinstance(bench.report(0, 5, 0.0), Continue)


def test_quantile_of_zero_copies_nothing() -> None:
    bench = population(quantile_fraction=0)
    for index in (3, 2, 1, 0):
        assert isinstance(bench.report(index, 4, index), Continue)


def test_nan_is_the_worst_and_never_copied() -> None:
    bench = population(2)
    assert isinstance(bench.report(0, 4, math.nan), Continue)  # alone with a score so far
    assert isinstance(bench.report(1, 4, 1.0), Continue)
    decision = bench.report(0, 8, math.nan)
    assert isinstance(decision, Exploit)
    assert decision.source == 1
    assert "no finite number" in decision.reason


def test_ended_trials_are_neither_copied_nor_counted() -> None:
    bench = population(3)
    bench.report(2, 4, 9.0)
    bench.end(2)
    bench.report(1, 4, 1.0)
    decision = bench.report(0, 4, 0.0)
    assert isinstance(decision, Exploit)
    assert decision.source == 1


def test_hyperparameters_that_the_space_lacks_are_drawn() -> None:
    result = run(pbt())
    assert len({t.config["rate"] for t in result.trials}) > 1


def test_population_improves_on_its_best_member() -> None:
    alone = run(tune.schedulers.FIFOScheduler(), space={"rate": tune.uniform(0, 0.5)})
    together = run(pbt(hyperparam_mutations={"rate": tune.uniform(0, 0.5)}))
    assert together.best_value > alone.best_value
    assert min(t.last.metrics["score"] for t in together.trials) > min(t.last.metrics["score"] for t in alone.trials)


def test_copies_go_on_from_the_source_s_state() -> None:
    result = run(pbt())
    scores: dict[int, list[Any]] = {}
    for event in parse(result.journal).events:
        if type(event) is ev.Reported:
            scores.setdefault(event.trial, []).append(event)
    copied = [d for d in result.decisions() if d.do == "exploit"]
    assert copied
    for trial in result.trials:
        for before, after in zip(scores[trial.index], scores[trial.index][1:], strict=False):
            if after.attempt == before.attempt:
                grown = after.metrics["score"] - before.metrics["score"]
                assert grown == pytest.approx(after.metrics["rate"])


def test_more_trials_than_workers_grow_up_together() -> None:
    result = run(pbt(), workers=2)
    copied = [d for d in result.decisions() if d.do == "exploit"]
    assert {d.source for d in copied} - {0, 1}
    assert all(t.iteration == 40 for t in result.trials)


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_synchronous_population_decides_when_all_are_there(workers: int) -> None:
    result = run(pbt(synch=True), workers=workers, faults=Faults(straggling=1.0))
    assert all(t.iteration == 40 for t in result.trials)
    assert sum(d.do == "exploit" for d in result.decisions()) == 2 * 10


def test_outcome_of_a_synchronous_population_is_the_same_on_any_number_of_workers() -> None:
    def outcome(workers: int) -> list[Any]:
        return [(t.config, t.last.metrics["score"]) for t in run(pbt(synch=True), workers=workers).trials]

    assert outcome(1) == outcome(3) == outcome(8)


def test_last_to_arrive_copies_without_a_pause() -> None:
    bench = population(2, synch=True)
    assert bench.report(1, 4, 1.0) == Pause("at training_iteration 4: waits for 1 others of the population")
    assert isinstance(bench.report(0, 4, 0.0), Exploit)
    assert bench.choose() == 1


def test_custom_explore_function_has_the_last_word() -> None:
    def half(config: dict[str, Any]) -> dict[str, Any]:
        return {**config, "rate": config["rate"] / 2}

    result = run(pbt(hyperparam_mutations={}, custom_explore_fn=half), space={"rate": tune.uniform(0, 1)})
    exploits = [d for d in result.decisions() if d.do == "exploit"]
    assert exploits
    assert all("custom_explore_fn" in d.why for d in exploits)


def test_explore_function_that_returns_nothing_is_named() -> None:
    with pytest.raises(tune.TuneError, match="custom_explore_fn"):
        run(pbt(custom_explore_fn=lambda config: None))


def test_seed_repeats_the_whole_schedule() -> None:
    assert run(pbt(), seed=4).journal == run(pbt(), seed=4).journal
    assert run(pbt(seed=1), space={"rate": 0.5}).journal != run(pbt(seed=2), space={"rate": 0.5}).journal


def test_only_the_checkpoints_that_somebody_needs_are_kept() -> None:
    result = run(pbt(), checkpoint_config=tune.CheckpointConfig(num_to_keep=1))
    assert len(result.checkpoints.saved) <= 8


@pytest.mark.parametrize(
    "arguments",
    [
        {"perturbation_interval": 0},
        {"quantile_fraction": 0.6},
        {"quantile_fraction": -0.1},
        {"resample_probability": 1.5},
        {"perturbation_factors": ()},
        {"perturbation_factors": (0, 1)},
        {"hyperparam_mutations": {}},
        {"hyperparam_mutations": {"rate": 3}},
    ],
)
def test_impossible_arguments_are_refused_by_name(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        pbt(**arguments)
    assert next(iter(arguments)) in str(raised.value)
    assert raised.value.fix
