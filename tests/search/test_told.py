"""What each library is told of a run: a recording double stands before its ask and tell, the library runs behind it.

A ledger keeps what the engine told the searcher; each library must have heard the same, in its own words. Those words
are a page of the documentation, `docs/guides/told.md`, which is held to what is heard here.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import logging
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from imports import ROOT

import tune_core as tune
from tune_core.core.constraints import constraints_from
from tune_core.schedulers import ASHAScheduler, HyperBandScheduler, PopulationBasedTraining, Scheduler
from tune_core.search import create_searcher
from tune_core.simulation import Faults, simulate

KINDS = ("rung", "complete", "pruned", "failed")
SPACE = {"x": tune.uniform(0.1, 1.0), "n": tune.randint(1, 9), "act": tune.choice(["relu", "tanh"])}


def curve(config: dict[str, Any], step: int, state: Any) -> Any:
    """Nine results that fall; a trial with n = 8 fails at the second."""
    if config["n"] == 8 and step == 2:
        raise RuntimeError("eight")
    loss = config["x"] + 1 / step
    metrics = {"loss": loss, "size": 10 * config["n"], "dollars": 0.5 * step * config["n"]}
    return (float(config["n"]), metrics, step) if step <= 9 else None


class Heard(list[tuple[Any, ...]]):
    """What a library was told, and the names of the methods that told it."""

    def __init__(self) -> None:
        super().__init__()
        self.methods: set[str] = set()


class Ledger:
    """Keeps what the engine tells a searcher: (what, trial, loss, step)."""

    def __init__(self, searcher: Any) -> None:
        self.searcher = searcher
        self.lives = [self]  # after a restore a fresh copy is told all again
        self.told: list[tuple[str, str, float, int]] = []
        self.results: dict[str, Mapping[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        if name == "searcher":
            raise AttributeError(name)
        return getattr(self.searcher, name)

    def __deepcopy__(self, memo: Any) -> Ledger:
        life = Ledger(copy.deepcopy(self.searcher, memo))
        life.lives = self.lives
        self.lives.append(life)
        return life

    def note(self, what: str, trial_id: str, result: Mapping[str, Any] | None) -> None:
        found = result or {}
        self.results[trial_id] = found
        self.told.append((what, trial_id, found.get("loss", math.nan), found.get("training_iteration", 0)))

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.note("rung", trial_id, result)
        self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        self.note("failed" if error else "complete", trial_id, result)
        self.searcher.on_trial_complete(trial_id, result, error)

    def on_trial_pruned(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.note("pruned", trial_id, result)
        self.searcher.on_trial_pruned(trial_id, result)

    def ends(self, *kinds: str) -> list[tuple[str, str, float, int]]:
        return [entry for entry in self.told if entry[0] in kinds]

    def rungs(self) -> dict[str, list[tuple[int, float]]]:
        """(step, loss) of each trial's rungs, each step once."""
        found: dict[str, list[tuple[int, float]]] = {}
        for _, trial_id, loss, step in self.ends("rung"):
            known = found.setdefault(trial_id, [])
            if not known or step > known[-1][0]:
                known.append((step, loss))
        return found


@contextmanager
def heard_by(owner: Any, **methods: Callable[..., tuple[Any, ...] | None]) -> Iterator[Heard]:
    """Record calls of the library's methods, by functions that say what was heard; the library is called, too.

    After a restore another object of the library is told all again: only what the last one heard is kept.
    """
    heard = Heard()
    listeners: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, says in methods.items():
            real = getattr(owner, name)

            def double(*args: Any, name: str = name, real: Any = real, says: Any = says, **kwargs: Any) -> Any:
                if not any(args[0] is listener for listener in listeners):
                    listeners.append(args[0])
                    heard.clear()
                    heard.methods.clear()
                entry = says(*args, **kwargs)
                if entry is not None:
                    heard.append(entry)
                    heard.methods.add(name)
                return real(*args, **kwargs)

            patch.setattr(owner, name, double)
        yield heard


def hold_the_page_to(
    words: Mapping[str, str], library: str, setting: str, ledger: Ledger, methods: set[str] | None = None
) -> None:
    """The page says that the library hears in these words of each kind of news that there was.

    ``methods``, where they are given, have been called: words begin with one of them. With ``$TUNE_CORE_TOLD_REPORT``
    set, a line is added to that file, from which ``python docs/told.py`` makes the table anew.
    """
    news = {what for what, *_ in ledger.told}  # which trials fail depends on the library's version
    told = {kind: words.get(kind, "nothing") for kind in KINDS if kind in news}
    for text in told.values() if methods is not None else ():
        assert text == "nothing" or re.findall(r"\w+", text)[0] in methods
    if report := os.environ.get("TUNE_CORE_TOLD_REPORT"):
        with open(report, "a", encoding="utf-8") as file:
            file.write(json.dumps({"library": library, "setting": setting, "told": told}) + "\n")
        return
    page = json.loads((ROOT / "docs" / "told.json").read_text(encoding="utf-8"))[library]
    failure = told.pop("failed", None)
    assert failure is None or page.get("failure", failure) == failure
    assert page.get(setting, told) == told  # "not recorded" claims nothing


def schedulers() -> dict[str, Scheduler | None]:
    return {
        "fifo": None,
        "asha": ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3),
        "hyperband": HyperBandScheduler(max_t=9),
        "pbt": PopulationBasedTraining(
            "training_iteration", perturbation_interval=3, hyperparam_mutations={"x": tune.uniform(0.1, 1.0)}
        ),
    }


SETTINGS: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("fifo", "asha", "hyperband", "pbt")},
    "retries": {"max_failures": 1, "faults": Faults(crash_rate=0.03)},
    "restore": {"max_failures": 4, "faults": Faults(driver_deaths=2)},
}


ALL_SETTINGS = list(SETTINGS)


def run(search: Any, setting: str, trials: int = 10) -> Any:
    scheduler = schedulers()[setting if setting in schedulers() else "asha"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return simulate(
            curve,
            SPACE,
            metric="loss",
            mode="min",
            workers=3,
            num_samples=trials,
            scheduler=scheduler,
            search_alg=search,
            seed=3,
            checkpoint_every=1,
            **SETTINGS[setting],
        )


def needs(*modules: str) -> None:
    for name in modules:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


# --- what the engine tells --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS)
def test_engine_tells_each_trial_once_and_as_it_ended(setting: str) -> None:
    first = Ledger(create_searcher("random"))
    result = run(first, setting, trials=20)
    if setting == "restore":
        return  # random search is told nothing again: the libraries' own tests look at that
    ledger = first.lives[-1]
    ends = {trial_id: (what, loss, step) for what, trial_id, loss, step in ledger.ends("complete", "pruned", "failed")}
    assert len(ends) == len(ledger.ends("complete", "pruned", "failed")) == 20
    complete = {d.trial for d in result.decisions() if d.do == "stop" and d.complete}
    copies = {d.trial: d for d in reversed(result.decisions()) if d.do == "exploit"}
    for trial in result.trials:
        what, loss, step = ends[trial.trial_id]
        if trial.index in copies:
            assert what == "pruned" and step % 3 == 0  # its own configuration ended with the first copy
        elif str(trial.status) == "ERROR":
            assert what == "failed"
        else:
            assert step == trial.iteration
            assert loss == trial.config["x"] + 1 / step
            assert what == ("complete" if step == 9 else "pruned")
            assert (trial.index in complete) <= (what == "complete")


# --- what each library hears ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS)
def test_optuna_has_states_values_steps_and_parameters_as_they_were(setting: str) -> None:
    needs("optuna")
    first = Ledger(create_searcher("optuna", seed=0))
    run(first, setting)
    ledger = first.lives[-1]
    trials = ledger.searcher._study.trials
    words = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
    rungs = ledger.rungs()
    assert len(trials) == 10
    for what, trial_id, loss, step in ledger.ends("complete", "pruned", "failed"):
        trial = trials[int(trial_id)]
        assert trial.state.name == words[what]
        assert what == "failed" or trial.value == loss
        assert set(trial.params) == set(SPACE) and trial.params["act"] in ("relu", "tanh")
        steps = dict(rungs.get(trial_id, []))
        if what == "pruned":
            steps[step] = loss
        assert trial.intermediate_values == steps
    words = {what: f"`{trials[int(trial_id)].state.name}`" for what, trial_id, *_ in ledger.told}
    if any(trial.intermediate_values for trial in trials):
        words["rung"] = "`intermediate_values`"
    hold_the_page_to(words, "Optuna", setting, ledger)


@pytest.mark.parametrize("setting", ALL_SETTINGS)
def test_bohb_learns_each_budget_from_all_that_reached_it(setting: str) -> None:
    needs("hpbandster", "ConfigSpace")
    from hpbandster.optimizers.config_generators.bohb import BOHB

    def says(self: Any, job: Any, update_model: bool = True) -> tuple[Any, ...]:
        return job.kwargs["budget"], None if job.result is None else job.result["loss"]

    first = Ledger(create_searcher("bohb", seed=0))
    with heard_by(BOHB, new_result=says) as heard:
        run(first, setting)
    ledger = first.lives[-1]
    expected: Heard = []
    rungs = ledger.rungs()
    for entries in rungs.values():
        expected += [(float(step), loss) for step, loss in entries]
    for _, trial_id, loss, step in ledger.ends("complete", "pruned"):
        if step not in dict(rungs.get(trial_id, [])):
            expected.append((float(step), loss))
    failed = ledger.ends("failed")
    assert sorted(h for h in heard if h[1] is not None) == sorted(expected)
    assert len([h for h in heard if h[1] is None]) == len(failed)
    job = "`new_result(job)` with its budget and loss"
    words = {"rung": job, "complete": job, "pruned": job, "failed": "`new_result(job)` without a result"}
    hold_the_page_to(words, "HpBandSter", setting, ledger, heard.methods)


@pytest.mark.parametrize("setting", ALL_SETTINGS)
def test_flaml_hears_costs_and_rungs(setting: str) -> None:
    needs("flaml")
    import flaml

    def says_end(self: Any, trial_id: str, result: Any = None, error: bool = False) -> tuple[Any, ...]:
        found = result or {}
        return (
            "failed" if error else "end",
            trial_id,
            found.get("loss"),
            found.get("dollars"),
            found.get("time_total_s"),
        )

    def says_rung(self: Any, trial_id: str, result: Any) -> tuple[Any, ...]:
        return "rung", trial_id, result["loss"], result["dollars"], result["time_total_s"]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = Ledger(create_searcher("blendsearch", seed=0))
        first.searcher._options["cost_attr"] = "dollars"
        with heard_by(flaml.BlendSearch, on_trial_complete=says_end, on_trial_result=says_rung) as heard:
            run(first, setting)
    ledger = first.lives[-1]
    ends = ledger.ends("complete", "pruned", "failed")
    assert [(h[1], h[2]) for h in heard if h[0] == "end"] == [(t, loss) for w, t, loss, _ in ends if w != "failed"]
    assert [h[1] for h in heard if h[0] == "failed"] == [t for w, t, _, _ in ends if w == "failed"]
    for what, trial_id, _, dollars, seconds in heard:
        if what == "end":
            result = ledger.results[trial_id]
            assert (dollars, seconds) == (result["dollars"], result["time_total_s"])
    steps = [(t, loss) for t, entries in ledger.rungs().items() for _, loss in entries]
    assert sorted((h[1], h[2]) for h in heard if h[0] == "rung") == sorted(steps)
    end = "`on_trial_complete` with loss and cost"
    words = {"rung": "`on_trial_result` with loss and cost", "complete": end, "pruned": end}
    words["failed"] = "`on_trial_complete(error=True)`"
    hold_the_page_to(words, "FLAML", setting, ledger, heard.methods)


@pytest.mark.parametrize("setting", ALL_SETTINGS)
def test_ax_hears_constrained_metrics_of_pruned_trials_too(setting: str) -> None:
    needs("ax")
    logging.getLogger("ax").setLevel(logging.ERROR)
    from ax.api.client import Client

    def says(self: Any, trial_index: int, raw_data: Any = None, **more: Any) -> tuple[Any, ...]:
        return tuple(sorted(raw_data.values()))

    first = Ledger(create_searcher("ax", seed=0, outcome_constraints=["size <= 1000"]))
    with heard_by(Client, complete_trial=says, mark_trial_failed=lambda self, *a, **k: ("failed",)) as heard:
        run(first, setting, trials=5)
    ledger = first.lives[-1]
    ends = ledger.ends("complete", "pruned", "failed")
    expected = [
        ("failed",) if w == "failed" else tuple(sorted((loss, float(ledger.results[t]["size"]))))
        for w, t, loss, _ in ends
    ]
    assert sorted(map(str, heard)) == sorted(map(str, expected))
    assert any(w == "pruned" for w, *_ in ends) == (setting != "fifo")
    end = "`complete_trial` with all metrics"
    words = {"complete": end, "pruned": end, "failed": "`mark_trial_failed`"}
    hold_the_page_to(words, "Ax", setting, ledger, heard.methods)


def test_ax_is_handed_the_run_s_metrics_and_constraints() -> None:
    needs("ax")
    from ax.api.client import Client

    search = create_searcher("ax", seed=0)
    bounds = constraints_from({"size": ("<=", 40), "dollars": (">=", 1)})
    asked = {
        "configure_optimization": lambda self, objective, outcome_constraints: (objective, outcome_constraints),
        "complete_trial": lambda self, index, data: (data,),
        "mark_trial_failed": lambda self, index: (None,),
    }
    with heard_by(Client, **asked) as heard:
        search.set_search_properties(
            ["loss", "speed"], ["min", "max"], SPACE, seed=0, num_samples=9, constraints=bounds
        )
        assert search.multi_objective and search.handles_constraints
        for number, more in enumerate([{"dollars": 3}, {}]):
            search.suggest(str(number))
            result = {"loss": 2.0, "speed": 5.0, "size": 50, "training_iteration": 1, **more}
            search.on_trial_complete(str(number), result)
    assert heard.pop(0) == (
        "-tune_core_loss0, -tune_core_loss1",
        ["tune_core_excess0 <= 0", "tune_core_excess1 <= 0"],
    )
    told = {"tune_core_loss0": 2.0, "tune_core_loss1": -5.0, "tune_core_excess0": 10.0, "tune_core_excess1": -2.0}
    assert heard == [(told,), (None,)]  # what a constraint is on did not come: not usable


@pytest.mark.parametrize("setting", ALL_SETTINGS)
def test_hyperopt_hears_the_last_value(setting: str) -> None:
    needs("hyperopt")
    first = Ledger(create_searcher("hyperopt", random_state_seed=0))
    run(first, setting)
    ledger = first.lives[-1]
    trials = ledger.searcher._trials
    usable = [doc["result"]["loss"] for doc in trials.trials if doc["result"].get("status") == "ok"]
    assert sorted(usable) == sorted(loss for _, _, loss, _ in ledger.ends("complete", "pruned"))
    states = [doc["state"] for doc in trials._dynamic_trials]
    assert states.count(ledger.searcher._hyperopt.JOB_STATE_ERROR) == len(ledger.ends("failed"))
    end = "`JOB_STATE_DONE` with the loss"
    words = {"complete": end, "pruned": end, "failed": "`JOB_STATE_ERROR`"}
    hold_the_page_to(words, "HyperOpt", setting, ledger)


@pytest.mark.parametrize("setting", ALL_SETTINGS)
def test_bayes_opt_hears_the_last_value_to_maximise(setting: str) -> None:
    needs("bayes_opt")
    import bayes_opt

    first = Ledger(create_searcher("bayesopt", random_state=0))
    with heard_by(bayes_opt.BayesianOptimization, register=lambda self, params, target, *a: (-target,)) as heard:
        run(first, setting)
    ledger = first.lives[-1]
    assert sorted(loss for (loss,) in heard) == sorted(loss for _, _, loss, _ in ledger.ends("complete", "pruned"))
    end = "`register(params, -loss)`"
    hold_the_page_to({"complete": end, "pruned": end}, "bayes_opt", setting, ledger, heard.methods)


@pytest.mark.parametrize("setting", ALL_SETTINGS)
def test_zoopt_hears_the_last_value_and_of_a_failure_the_worst(setting: str) -> None:
    needs("zoopt")
    from zoopt.algos.opt_algorithms.racos.sracos import SRacosTune

    first = Ledger(create_searcher("zoopt", random_state_seed=0))
    with heard_by(SRacosTune, complete=lambda self, solution, value: (value,)) as heard:
        run(first, setting)
    ledger = first.lives[-1]
    told = [loss for _, _, loss, _ in ledger.ends("complete", "pruned")]
    assert len(heard) == len(told) + len(ledger.ends("failed"))
    assert set(told) <= {loss for (loss,) in heard}
    end = "`complete(solution, loss)`"
    words = {"complete": end, "pruned": end, "failed": "`complete` with a value worse than all"}
    hold_the_page_to(words, "ZOOpt", setting, ledger, heard.methods)


@pytest.mark.parametrize("setting", ALL_SETTINGS)
def test_smac_hears_seconds(setting: str) -> None:
    needs("smac")
    from smac.facade.abstract_facade import AbstractFacade

    first = Ledger(create_searcher("smac", seed=0))

    def says(self: Any, info: Any, value: Any, save: bool = True) -> tuple[Any, ...]:
        return value.cost, value.time, value.status.name

    with heard_by(AbstractFacade, tell=says) as heard:
        run(first, setting, trials=5)
    ledger = first.lives[-1]
    told = [(loss, ledger.results[t]["time_total_s"]) for _, t, loss, _ in ledger.ends("complete", "pruned")]
    assert sorted((cost, seconds) for cost, seconds, status in heard if status == "SUCCESS") == sorted(told)
    assert [status for *_, status in heard].count("CRASHED") == len(ledger.ends("failed"))
    end = "`tell` with cost and time, `SUCCESS`"
    words = {"complete": end, "pruned": end, "failed": "`tell` with `CRASHED`"}
    hold_the_page_to(words, "SMAC", setting, ledger, heard.methods)


def listening(name: str) -> tuple[Any, dict[str, Any]]:
    """The class of a library that is told of results, and what it hears of each: a loss, or None of a failure."""
    if name == "nevergrad":
        import nevergrad

        return nevergrad.optimization.base.Optimizer, {"tell": lambda self, candidate, loss, *more: (loss,)}
    if name == "hebo":
        from hebo.optimizers.hebo import HEBO

        return HEBO, {"observe": lambda self, rows, losses: (float(losses[0, 0]),)}
    from tune_core.search.dragonfly import _old_numpy

    with _old_numpy():
        from dragonfly.opt.gp_bandit import CPGPBandit

    return CPGPBandit, {"tell": lambda self, points: (-points[0][1],)}


@pytest.mark.parametrize("setting", ALL_SETTINGS)
@pytest.mark.parametrize("name", ["nevergrad", "hebo", "dragonfly"])
def test_libraries_of_their_own_environments_hear_the_last_value(name: str, setting: str) -> None:
    needs(name)
    owner, methods = listening(name)
    first = Ledger(create_searcher(name))
    with heard_by(owner, **methods) as entries:
        run(first, setting, trials=8)
    ledger = first.lives[-1]
    heard = [loss for (loss,) in entries]
    told = [loss for _, _, loss, _ in ledger.ends("complete", "pruned")]
    failed = ledger.ends("failed")
    if name == "nevergrad":  # it knows no failures: they are worse than the worst so far
        assert len(heard) == len(told) + len(failed)
        heard = [loss for loss in heard if loss in told]
    assert sorted(heard) == pytest.approx(sorted(told))
    end, failure = {
        "nevergrad": ("`tell(candidate, loss)`", "`tell` with a value worse than all"),
        "hebo": ("`observe(rows, losses)`", ""),
        "dragonfly": ("`tell([(point, -loss)])`", ""),
    }[name]
    words = {"complete": end, "pruned": end, **({"failed": failure} if failure else {})}
    library = {"nevergrad": "Nevergrad", "hebo": "HEBO", "dragonfly": "Dragonfly"}[name]
    hold_the_page_to(words, library, setting, ledger, entries.methods)


@pytest.mark.parametrize("setting", ALL_SETTINGS)
def test_sigopt_hears_values_and_failures(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("sigopt")
    from search.sigopt_server import Server

    monkeypatch.setenv("SIGOPT_KEY", "any")
    server = Server()
    try:
        first = Ledger(create_searcher("sigopt", api_url=server.url, max_concurrent=3))
        run(first, setting, trials=8)
        heard = server.observations[max(server.observations, key=int)]
    finally:
        server.close()
    ledger = first.lives[-1]
    told = [loss for _, _, loss, _ in ledger.ends("complete", "pruned")]
    assert sorted(o["values"][0]["value"] for o in heard if not o.get("failed")) == sorted(told)
    assert len([o for o in heard if o.get("failed")]) == len(ledger.ends("failed"))
    end = "`observations` with `values`"
    words = {"complete": end, "pruned": end, "failed": "`observations` with `failed`"}
    hold_the_page_to(words, "SigOpt", setting, ledger)
