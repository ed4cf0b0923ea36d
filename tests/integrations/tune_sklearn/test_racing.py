"""Successive halving as decisions alone: who goes on depends on scores, not on the order in which they come."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_core.schedulers import Continue, Pause, Stop
from tune_sklearn._racing import SuccessiveHalving


def play(scores, order, n_steps, factor, fails=(), keep_unscored=False):
    """Run all candidates through the scheduler; how many steps each was let run, in what was a legal order."""
    race = SuccessiveHalving(len(scores), n_steps, factor, keep_unscored=keep_unscored)
    race.setup("score", "max", 0, None)
    trials = [SimpleNamespace(index=i, iteration=0) for i in range(len(scores))]
    for trial in trials:
        race.on_add(trial)
    ready, paused, ended = list(order), set(), set()
    waiting = SimpleNamespace(is_paused=lambda i: i in paused)

    def discard():
        for index, reason in race.discard():
            assert index in paused and ("not among the best" in reason or "no finite number" in reason)
            paused.discard(index)
            ended.add(index)
            race.on_end(trials[index], "TERMINATED")

    while True:
        chosen = race.choose(waiting)
        if chosen is not None:
            paused.discard(chosen)
        elif ready:
            chosen = ready.pop(0)
        else:
            break
        trial = trials[chosen]
        lease = race.lease(trial)
        while True:
            if chosen in fails and trial.iteration == fails[chosen]:
                decision = None
            else:
                trial.iteration += 1
                if trial.iteration == n_steps:
                    decision = None
                elif trial.iteration < lease.until:
                    continue
                else:
                    result = {"training_iteration": trial.iteration, "score": scores[chosen]}
                    decision = race.on_result(trial, result)
            if isinstance(decision, Continue):
                lease = SimpleNamespace(until=decision.until)
                continue
            break
        if isinstance(decision, Pause):
            paused.add(chosen)
        else:
            assert decision is None or isinstance(decision, Stop)
            ended.add(chosen)
            race.on_end(trial, "TERMINATED")
        discard()
    assert not paused and len(ended) == len(scores)
    return [t.iteration for t in trials]


def test_one_in_factor_goes_on_at_each_step():
    steps = play([float(i) for i in range(9)], range(9), 3, 3)
    assert sorted(steps) == [1] * 6 + [2] * 2 + [3]
    assert steps[8] == 3 and steps[7] == steps[6] == 2


@given(st.data())
def test_who_goes_on_does_not_depend_on_the_order(data):
    count = data.draw(st.integers(1, 12))
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, float("nan")]), min_size=count, max_size=count))
    order = data.draw(st.permutations(range(count)))
    n_steps, factor = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([1.5, 2, 3]))
    keep = data.draw(st.booleans())
    steps = play(scores, range(count), n_steps, factor, keep_unscored=keep)
    assert play(scores, order, n_steps, factor, keep_unscored=keep) == steps


NAN = float("nan")


def test_comparison_without_a_finite_score_drops_nobody():
    assert play([NAN] * 5, range(5), 3, 3) == [3] * 5


def test_candidate_without_a_score_loses_to_those_with_one_or_is_kept_where_that_says_nothing():
    assert play([NAN, 0.1, 0.2, NAN], range(4), 2, 2) == [1, 2, 2, 1]
    assert play([NAN, 0.1, 0.2, NAN], range(4), 2, 2, keep_unscored=True) == [2, 1, 2, 2]


@given(st.data())
def test_failing_candidates_never_leave_the_others_waiting(data):
    count = data.draw(st.integers(1, 8))
    fails = data.draw(st.dictionaries(st.integers(0, count - 1), st.integers(0, 2)))
    steps = play([float(i) for i in range(count)], data.draw(st.permutations(range(count))), 3, 2, fails)
    assert all(steps[i] <= fails[i] for i in fails)


@pytest.mark.parametrize(("candidates", "steps", "factor"), [(20, 3, 4), (7, 4, 3), (2, 3, 3), (1, 2, 3)])
def test_how_many_candidates_take_a_step_is_known_beforehand(candidates, steps, factor):
    race = SuccessiveHalving(candidates, steps, factor)
    known = [race.candidates_at(position) for position in range(steps)]
    iterations = play(list(range(candidates)), range(candidates), steps, factor)
    assert known == [sum(done > position for done in iterations) for position in range(steps)]


def test_fewer_go_out_after_comparisons_that_tell_little():
    race = SuccessiveHalving(16, 3, 4, least=3, gentle=1)
    assert [race.candidates_at(position) for position in range(3)] == [16, 8, 3]
    race = SuccessiveHalving(16, 4, 4, least=(5, 3, 3))
    assert [race.candidates_at(position) for position in range(4)] == [16, 5, 3, 3]
    assert compare([[i / 10] for i in range(9)], gentle=1) == {4, 5, 6, 7, 8}
    assert compare([[i / 10] for i in range(9)]) == {6, 7, 8}


def test_without_a_known_number_each_is_compared_with_those_before_it():
    race = SuccessiveHalving(None, 2, 2)
    race.setup("score", "max", 0, None)
    decisions = []
    for index, score in enumerate([0.5, 0.4, 0.6, 0.1]):
        trial = SimpleNamespace(index=index, iteration=0)
        race.on_add(trial)
        decisions.append(type(race.on_result(trial, {"training_iteration": 1, "score": score})))
    assert decisions == [Continue, Stop, Continue, Stop]


def test_describes_itself_in_one_line():
    assert (
        SuccessiveHalving(9, 3, 3, "folds").describe()
        == "SuccessiveHalving(factor=3, folds, compared after results [1, 2])"
    )
    with pytest.raises(TypeError):
        SuccessiveHalving()


# --- comparing fold by fold -------------------------------------------------------------------------------------------


def compare(losses_by_fold, factor=4, least=3, rungs=(1, 2), gentle=0):
    """Report the folds' scores of all candidates at the first comparison; who goes on."""
    race = SuccessiveHalving(len(losses_by_fold), 3, factor, rungs=rungs, least=least, worse_by=0.7, gentle=gentle)
    race.setup("score", "max", 0, None)
    stopped = set()
    for index in range(len(losses_by_fold)):
        race.on_add(SimpleNamespace(index=index, iteration=0))
    for index, scores in enumerate(losses_by_fold):
        result = {"training_iteration": 1, "score": sum(scores) / len(scores), "scores_by_fold": scores}
        if isinstance(race.on_result(SimpleNamespace(index=index, iteration=1), result), Stop):
            stopped.add(index)
    stopped |= {index for index, _ in race.discard()}
    return set(range(len(losses_by_fold))) - stopped


def test_three_go_on_at_least_where_one_fold_was_scored():
    assert compare([[0.1], [0.2], [0.3], [0.4], [0.5]]) == {2, 3, 4}
    assert compare([[0.1], [0.2]]) == {0, 1}


def test_who_is_worse_on_each_fold_goes_out_and_who_is_worse_on_one_by_chance_stays():
    best = [0.90, 0.80]
    steadily_worse, better_on_one = [0.88, 0.78], [0.93, 0.76]
    assert compare([best, steadily_worse, better_on_one]) == {0, 2}
    assert compare([[s - 1 for s in best], [s - 1 for s in steadily_worse]]) == {0}  # negative scores as well


def test_how_folds_scatter_is_taken_from_all_that_would_go_on():
    best, by_chance_alike_on_both = [0.90, 0.80], [0.89, 0.79]
    assert compare([best, by_chance_alike_on_both]) == {0}, "nobody says that folds scatter"
    assert compare([best, by_chance_alike_on_both, [0.95, 0.73]]) == {0, 1, 2}


def test_equal_candidates_all_go_on_and_failed_folds_are_no_reason_to_drop_the_others():
    assert compare([[0.5, 0.7]] * 3) == {0, 1, 2}
    assert compare([[0.5, 0.7], [math.nan, 0.7], [0.5, 0.7]]) == {0, 2}


@given(st.data())
def test_the_best_mean_always_goes_on(data):
    folds = data.draw(st.integers(1, 4))
    score = st.floats(-10, 10).map(lambda value: round(value, 3))
    scores = data.draw(st.lists(st.lists(score, min_size=folds, max_size=folds), min_size=1, max_size=9))
    means = [sum(one) / folds for one in scores]
    assert means.index(max(means)) in compare(scores)
