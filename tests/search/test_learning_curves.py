"""What the default searcher learns from trials that schedulers stop early."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

np = pytest.importorskip("numpy")

import tune_core as tune
from tune_core.core.events import Suggested
from tune_core.journal.reader import parse
from tune_core.schedulers import ASHAScheduler
from tune_core.search.auto import AutoSearch
from tune_core.search.encoding.columns import ObservationTable
from tune_core.search.encoding.encode import Encoding
from tune_core.search.learning_curves import LearningCurves
from tune_core.search.loss_model import LossModel
from tune_core.simulation import simulate


def run_trial(curves: LearningCurves, name: str, steps: int, pruned: bool, start: float = 1.0) -> None:
    curves.begin(name, np.array([start]))
    for step in (3, 9, 27):
        if step <= steps:
            curves.note(name, step, start / step)
    curves.end(name, start / steps, steps if pruned else None, np.array([start]))


def test_rungs_are_where_trials_end_and_each_trial_counts_on_every_rung_it_passed() -> None:
    curves = LearningCurves()
    for i in range(6):
        run_trial(curves, f"a{i}", 3, pruned=True, start=1.0 + i)
    for i in range(3):
        run_trial(curves, f"b{i}", 9, pruned=True, start=0.5 + i)
    run_trial(curves, "c", 81, pruned=False, start=0.1)
    rows, level, losses, levels = curves.observations(200)
    assert levels == [3, 9, math.inf]
    assert np.bincount(level).tolist() == [10, 4, 1]
    best = {at: loss for row, at, loss in zip(rows[:, 0], level.tolist(), losses, strict=True) if row == 0.1}
    assert best == {0: pytest.approx(0.1 / 3), 1: pytest.approx(0.1 / 9), 2: pytest.approx(0.1 / 81)}


def test_trials_under_way_count_on_the_rungs_that_they_have_passed() -> None:
    curves = LearningCurves()
    for i in range(5):
        run_trial(curves, f"a{i}", 3, pruned=True)
    run_trial(curves, "whole", 27, pruned=False)
    curves.begin("open", np.array([7.0]))
    curves.note("open", 3, 7.0 / 3)
    rows, level, losses, _ = curves.observations(200)
    found = [(at, loss) for row, at, loss in zip(rows[:, 0], level.tolist(), losses, strict=True) if row == 7.0]
    assert found == [(0, pytest.approx(7.0 / 3))]


def test_without_early_stopping_only_ends_count() -> None:
    curves = LearningCurves()
    for i in range(5):
        run_trial(curves, f"a{i}", 20, pruned=False, start=1.0 + i)
    curves.begin("open", np.array([7.0]))
    curves.note("open", 20, 0.1)
    curves.end("never begun", math.nan, None, np.array([3.0]))
    _, level, losses, _ = curves.observations(200)
    assert level.tolist() == [0] * 6
    assert losses[:5].tolist() == [(1.0 + i) / 20 for i in range(5)]
    assert math.isnan(losses[5])


def test_at_most_so_many_observations_the_highest_rungs_first() -> None:
    curves = LearningCurves()
    for i in range(300):
        run_trial(curves, f"a{i}", 9 if i % 30 == 0 else 3, pruned=True)
    _, level, _, _ = curves.observations(100)
    assert len(level) <= 101
    assert (level == 1).sum() == 10


def train(config: Any, step: int) -> Any:
    """Good early means good late, but for a bump that only low budgets show."""
    if step > 27:
        return None
    final = (config["x"] - 0.3) ** 2 + (config["y"] - 0.7) ** 2
    return 1.0, {"loss": final + 0.5 * config["x"] * step**-0.7}


@pytest.mark.parametrize("searcher", [None, "auto"])
def test_under_asha_the_model_learns_from_trials_that_were_stopped(searcher: Any) -> None:
    best = []
    for seed in range(3):
        result = simulate(
            train,
            {"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)},
            metric="loss",
            mode="min",
            workers=4,
            num_samples=40,
            scheduler=ASHAScheduler(max_t=27, reduction_factor=3),
            search_alg=searcher and AutoSearch(),
            seed=seed,
        )
        best.append(min(trial.best_loss for trial in result.trials) - 0.5 * 0.3 * 27**-0.7)
    assert (sum(best) / 3 < 0.003) == (searcher == "auto")


def test_a_restored_search_under_asha_goes_on_as_it_would_have() -> None:
    def told(searcher: AutoSearch, upto: int) -> None:
        for i in range(upto):
            config = searcher.suggest(f"{i:05d}")
            for step in range(1, 28 if i % 3 == 0 else 4):
                loss = train(config, step)[1]["loss"]
                searcher.on_trial_result(f"{i:05d}", {"loss": loss, "training_iteration": step})
            end = {"loss": loss, "training_iteration": step}
            (searcher.on_trial_complete if i % 3 == 0 else searcher.on_trial_pruned)(f"{i:05d}", end)

    made = []
    for _ in range(2):
        searcher = AutoSearch()
        searcher.set_search_properties("loss", "min", {"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)}, seed=1)
        told(searcher, 15)
        made.append(searcher)
    assert made[0].suggest("00015") == made[1].suggest("00015")


def test_saved_to_a_file_it_goes_on_the_same(tmp_path: Any) -> None:
    space = {"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)}
    searcher = AutoSearch(space, "loss", "min", seed=1)
    for i in range(12):
        config = searcher.suggest(f"{i:05d}")
        steps = 27 if i % 3 == 0 else 3
        for step in range(1, steps + 1):
            result = {"loss": train(config, step)[1]["loss"], "training_iteration": step}
            searcher.on_trial_result(f"{i:05d}", result)
        (searcher.on_trial_complete if i % 3 == 0 else searcher.on_trial_pruned)(f"{i:05d}", result)
    searcher.save(str(tmp_path / "state"))
    fresh = AutoSearch(space, "loss", "min", seed=1)
    fresh.restore(str(tmp_path / "state"))
    assert fresh.suggest("00012") == searcher.suggest("00012")


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(np.array(a), np.array(b), equal_nan=True) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_observations_do_not_depend_on_when_they_were_asked_for_before(seed: int) -> None:
    draw, calls = random.Random(seed), []
    asked, running, begun = LearningCurves(), [], 0

    def call(name: str, *args: Any) -> None:
        calls.append((name, args))
        getattr(asked, name)(*args)

    for _ in range(150):
        what = draw.random()
        loss = draw.choice([draw.random(), 0.5, math.nan])
        step = draw.choice([None, 1, 3, 9]) if seed % 3 else None
        if what < 0.4 or not running:
            trial, row, begun = str(begun), np.array([float(begun)]), begun + 1
            if draw.random() < 0.7:
                call("begin", trial, row)
                running.append(trial)
            else:
                call("end", trial, loss, step, row)
        elif what < 0.7:
            call("note", draw.choice(running), draw.choice([1, 2, 3, 5, 9]), draw.random())
        else:
            call("end", running.pop(draw.randrange(len(running))), loss, step)
        if draw.random() < 0.2:
            fresh, most = LearningCurves(), draw.choice([10, 50, 200])
            for name, args in calls:
                getattr(fresh, name)(*args)
            assert same(asked.observations(most), fresh.observations(most))


def test_the_best_and_the_latest_are_kept() -> None:
    curves = LearningCurves()
    for i in range(100):
        curves.end(str(i), abs(i - 20.0), None, np.array([float(i)]))

    rows, levels, losses, steps = curves.observations(10)

    assert rows[:, 0].tolist() == [18.0, 19.0, 20.0, 21.0, *map(float, range(94, 100))]
    assert losses[:4].tolist() == [2.0, 1.0, 0.0, 1.0]
    assert (set(levels.tolist()), steps) == ({0}, [math.inf])


def test_trials_that_wait_on_a_rung_make_it_one_and_can_be_learnt_from() -> None:
    curves = LearningCurves()
    for i in range(6):
        curves.begin(f"a{i}", np.array([float(i)]))
        curves.note(f"a{i}", 1, float(i))
    curves.note("a0", 3, -1.0)
    assert (curves.usable(), curves.has_rungs) == (6, True)
    _, level, losses, levels = curves.observations(200)
    assert (levels, level.tolist(), losses.tolist()) == ([1], [0] * 6, [float(i) for i in range(6)])
    curves.note("a1", 3, -2.0)
    _, level, losses, levels = curves.observations(200)
    assert (levels, level.tolist()) == ([1, 3], [0, 1, 0, 1, 0, 0, 0, 0])
    assert losses.tolist() == [0.0, -1.0, 1.0, -2.0, 2.0, 3.0, 4.0, 5.0]


def test_trials_under_way_that_stand_at_different_steps_make_no_rungs() -> None:
    curves = LearningCurves()
    for i in range(6):
        curves.begin(f"a{i}", np.array([float(i)]))
        for step in range(1, 3 + i):
            curves.note(f"a{i}", step, 1.0)
    assert not curves.has_rungs
    assert curves.usable() == 0
    assert not curves.is_observed("a0")


@pytest.mark.parametrize("rule", ["stopping", "promotion"])
def test_under_both_rules_of_asha_the_model_suggests_and_where_trials_wait_one_in_four_is_random(rule: str) -> None:
    result = simulate(
        train,
        {"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)},
        metric="loss",
        mode="min",
        workers=2,
        num_samples=40,
        scheduler=ASHAScheduler(max_t=27, reduction_factor=3, rule=rule),
        search_alg=AutoSearch(),
        seed=1,
    )
    reasons = [event.why for event in parse(result.journal).events if type(event) is Suggested]
    drawn = sum(why.startswith("random: one in four") for why in reasons)
    assert 7 <= drawn <= 9 if rule == "promotion" else drawn <= 2
    assert sum("expected improvement" in why for why in reasons) >= 20


def model_of(curves: LearningCurves) -> LossModel:
    table = ObservationTable(Encoding({"x": tune.uniform(0, 1)}, "AutoSearch"))
    model = LossModel(table)
    model.fit(*curves.observations(200), told=1, is_comparable=curves.fall)
    return model


def test_what_overfits_is_best_before_its_end() -> None:
    curves = LearningCurves()
    for i, x in enumerate(np.linspace(0.0, 1.0, 12).tolist()):
        curves.begin(str(i), np.array([x]))
        for step, loss in ((1, 2.0), (3, 1.0 - x), (9, 0.5 + 0.4 * x)):
            curves.note(str(i), step, loss)
        curves.end(str(i), 0.5 + 0.4 * x, 9 if i % 2 else None)
        curves.begin(f"low {i}", np.array([x]))
        curves.note(f"low {i}", 1, 2.0)
        curves.note(f"low {i}", 3, 1.0 - x)
        curves.end(f"low {i}", 1.0 - x, 3)
    model = model_of(curves)
    ends = [at for at, step in enumerate(curves.levels()) if step >= 9]
    leaders, _ = model.lead(np.array([[0.0], [0.5], [1.0]]), 1)
    assert leaders.tolist() == [[1.0]]
    assert model.counted == [0, *ends[-1:]]


def test_where_losses_rise_from_the_first_rung_on_the_end_alone_counts() -> None:
    curves = LearningCurves()
    for i, x in enumerate(np.linspace(0.0, 1.0, 12).tolist()):
        curves.begin(str(i), np.array([x]))
        for step in (1, 3):
            curves.note(str(i), step, step * (1.0 + x) if step > 1 else 1.0 - x)
        curves.end(str(i), 3.0 * (1.0 + x), 3 if i % 2 else None)
        curves.begin(f"low {i}", np.array([x]))
        curves.note(f"low {i}", 1, 1.0 - x)
        curves.end(f"low {i}", 1.0 - x, 1)
    assert not curves.fall
    model = model_of(curves)
    leaders, _ = model.lead(np.array([[0.0], [0.5], [1.0]]), 1)
    assert leaders.tolist() == [[0.0]]
    assert model.counted == [len(curves.levels()) - 1]
