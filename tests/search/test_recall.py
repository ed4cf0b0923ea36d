"""A restore gives a searcher back what it suggested instead of asking again; it goes on exactly as it would have."""

from __future__ import annotations

import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.core import events as ev
from tune_core.core.constraints import constraints_from
from tune_core.engine import suggestions
from tune_core.engine.suggestions import Suggestions, reason_of, tell_end
from tune_core.journal import kept_search
from tune_core.journal import reader as journal
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.kept_search import SEARCH_FILE, Moment
from tune_core.schedulers import ASHAScheduler
from tune_core.search import ConcurrencyLimiter, Searcher, create_searcher
from tune_core.testing.searchers import SMALL, loss_of

pytest.importorskip("numpy")
CHOICES = {"a": tune.choice(list("pqr")), "b": tune.choice([1, 2, 5]), "c": tune.choice([True, False])}
CONDITIONAL = {
    "x": tune.loguniform(1e-3, 1),
    "n": tune.randint(1, 200),
    "kind": tune.choice([{"name": "a", "rate": tune.uniform(0, 1)}, {"name": "b", "depth": tune.quniform(2, 8, 2)}]),
}
SPACES: dict[str, dict[str, Any]] = {"small": SMALL, "choices": CHOICES, "conditional": CONDITIONAL}


def optuna_with(**options: Any) -> Any:
    optuna = pytest.importorskip("optuna")
    kind = options.pop("kind", "TPESampler")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some options are marked as experimental
        return create_searcher("optuna", sampler=getattr(optuna.samplers, kind)(seed=4, **options))


SEARCHERS: dict[str, Any] = {
    "auto": lambda: create_searcher("auto"),
    "auto, points first": lambda: create_searcher("auto", points_to_evaluate=[{"x": 0.25}, {}]),
    "auto, limited": lambda: ConcurrencyLimiter(create_searcher("auto"), 2),
    "optuna": lambda: optuna_with(),
    "optuna, points first": lambda: create_searcher("optuna", points_to_evaluate=[{}, {}]),
    "optuna, constant liar": lambda: optuna_with(constant_liar=True, n_startup_trials=3),
    "optuna, multivariate": lambda: optuna_with(multivariate=True, n_startup_trials=3),
    "optuna, random": lambda: optuna_with(kind="RandomSampler"),
}
METRICS: dict[str, tuple[Any, Any]] = {"one": ("loss", "min"), "two": (["loss", "size"], ["min", "max"])}


def value_of(config: dict[str, Any]) -> float:
    return sum(float(len(repr(value))) + (value if isinstance(value, float) else 0.0) for value in config.values())


def fresh(make: Any, space: Any, metrics: str, constraints: Any = ()) -> Any:
    searcher = make()
    metric, mode = METRICS[metrics]
    searcher.set_search_properties(metric, mode, space, seed=7, num_samples=24, constraints=constraints)
    return searcher


class Life:
    """A run of a searcher with up to three trials at once, some of which fail or are stopped early."""

    def __init__(self, searcher: Any, count: int) -> None:
        self.events: list[tuple[Any, ...]] = []  # what the journal holds
        self.moments: list[Moment] = []  # behind each event
        fresh_one = Suggestions(searcher, None, lambda: None)
        begins, asked, told = fresh_one._begun(), 0, 0
        assert begins
        rng = random.Random(3)
        pending: list[tuple[str, dict[str, Any]]] = []
        while asked < count or pending:
            config = searcher.suggest(f"{asked:05d}") if asked < count and len(pending) < 3 else None
            if isinstance(config, dict):
                pending.append((f"{asked:05d}", config))
                self.events.append(("ask", asked, config, told, reason_of(searcher)))
                asked += 1
            else:
                trial_id, config = pending.pop(rng.randrange(len(pending)))
                kind = rng.choice(["end", "end", "error", "rung", "pruned"])
                result = {"loss": value_of(config), "size": asked % 5, "training_iteration": 1}
                if kind == "rung":
                    self.tell(searcher, "rung", trial_id, result)
                    told += 1
                    self.moment(searcher, begins, asked, told)
                    kind, result = "pruned", {**result, "training_iteration": 2}
                self.tell(searcher, kind, trial_id, result)
                told += 1
            self.moment(searcher, begins, asked, told)

    def tell(self, searcher: Any, kind: str, trial_id: str, result: dict[str, Any]) -> None:
        self.events.append((kind, trial_id, result))
        tell(searcher, kind, trial_id, result)

    def moment(self, searcher: Any, begins: str, asked: int, told: int) -> None:
        self.moments.append(Moment(asked=asked, told=told, begins=begins, state=searcher.resume_state()))


def tell(searcher: Any, kind: str, trial_id: str, result: dict[str, Any]) -> None:
    if kind == "rung":
        searcher.on_trial_result(trial_id, result)
    else:
        tell_end(searcher, trial_id, None if kind == "error" else result, kind == "error", kind == "pruned")


class Asked:
    """Counts what a searcher is asked."""

    def __init__(self, searcher: Any) -> None:
        self.count = 0
        self.suggest, searcher.suggest = searcher.suggest, self

    def __call__(self, trial_id: str) -> Any:
        self.count += 1
        return self.suggest(trial_id)


def restored(searcher: Any, events: list[tuple[Any, ...]], moment: Moment) -> Suggestions:
    found = Suggestions(searcher, None, lambda: None)
    found.go_on_from(moment)
    for event in events:
        if event[0] == "ask":
            found.repeat_ask(*event[1:])
        else:
            found.repeat_tell(lambda s, event=event: tell(s, *event))  # type: ignore[misc]
    found.end_repeating()
    found.close()
    assert found._failure is None
    return found


@pytest.mark.parametrize("metrics", METRICS)
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", SEARCHERS)
def test_cut_off_anywhere_it_goes_on_as_the_unbroken_search(name: str, space: str, metrics: str) -> None:
    if "x" not in SPACES[space] and "points" in name and "auto" in name:
        pytest.skip("the points are of another space")
    constraints = constraints_from({"size": ("<=", 3)}) if metrics == "two" else ()
    life = Life(fresh(SEARCHERS[name], SPACES[space], metrics, constraints), 14)
    suggested = [event[2] for event in life.events if event[0] == "ask"]
    draw = random.Random(1)
    for cut in draw.sample(range(2, len(life.events)), 4):
        kept = draw.randrange(max(0, cut - 6), cut)  # the driver was killed some events later
        searcher = fresh(SEARCHERS[name], SPACES[space], metrics, constraints)
        asks = Asked(getattr(searcher, "searcher", searcher))
        found = restored(searcher, life.events[:cut], life.moments[kept])
        done = sum(event[0] == "ask" for event in life.events[:cut])
        assert found.repeat_mismatches == 0
        first = sum(event[0] == "ask" for event in life.events[: kept + 1])
        points = 2 if "points" in name else 0  # which no library is asked for
        assert asks.count - min(points, first) == done - first
        for event in life.events[cut:]:  # and so to the end
            if event[0] == "ask":
                assert searcher.suggest(f"{event[1]:05d}") == suggested[event[1]], (cut, kept, event)
            else:
                tell(searcher, *event)


@pytest.mark.parametrize("name", ["auto", "optuna"])
def test_a_moment_of_another_search_is_left_aside(name: str) -> None:
    life = Life(fresh(SEARCHERS[name], SMALL, "one"), 8)
    events, moment = life.events, life.moments[-1]
    asks = sum(event[0] == "ask" for event in events)
    odd = {**moment.state, "generators": [{"a": 1}], "generator": {"a": 1}}
    for wrong in (
        Moment(asked=8, told=8, begins="other", state=moment.state),
        Moment(asked=8, told=8, begins=moment.begins, state=odd),
    ):
        searcher = fresh(SEARCHERS[name], SMALL, "one")
        counted = Asked(searcher)
        assert restored(searcher, events, wrong).repeat_mismatches == 0
        assert counted.count == asks
    searcher = fresh(SEARCHERS[name], CONDITIONAL, "one")
    found = Suggestions(searcher, None, lambda: None)
    found.go_on_from(moment)
    assert found._recalls is None


class Own(Searcher):
    """A searcher of a user's, which cannot say where it stands."""

    asked = 0

    def suggest(self, trial_id: str) -> dict[str, Any]:
        self.asked += 1
        return {"x": self.asked}


def test_what_cannot_say_where_it_stands_is_asked_again() -> None:
    searcher = Own()
    found = restored(
        searcher, [("ask", i, {"x": i + 1}, 0, "") for i in range(3)], Moment(asked=3, told=0, begins="", state={})
    )
    assert searcher.asked == 3 and found.repeat_mismatches == 0


def test_after_a_suggestion_that_it_does_not_repeat_it_is_told_what_ran() -> None:
    class Adopting(Own):
        adopted: dict[str, Any] = {}

        def adopt(self, trial_id: str, config: Any) -> None:
            self.adopted = {**self.adopted, trial_id: config}

    searcher = Adopting()
    events = [("ask", 0, {"x": 1}, 0, ""), ("ask", 1, {"x": 9}, 0, ""), ("ask", 2, {"x": 3}, 0, "")]
    restored(searcher, events, Moment(asked=3, told=0, begins="other", state={}))
    assert searcher.asked == 2
    assert searcher.adopted == {"00001": {"x": 9}, "00002": {"x": 3}}


# --- whole runs -------------------------------------------------------------------------------------------------------


@pytest.fixture
def each_moment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions, "KEEP_S", 0.0)


def objective(config: dict[str, Any]) -> None:
    for step in range(1, 5):
        tune.report({"loss": loss_of(config) / step})
        if step == 2 and config["x"] > 0.9:
            raise ValueError("too large")


def tuner(base: Path, name: str, search: str, **more: Any) -> tune.Tuner:
    return tune.Tuner(
        more.pop("objective", objective),
        param_space=SMALL,
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            num_samples=16,
            seed=2,
            search_alg=search,
            scheduler=ASHAScheduler(max_t=4, reduction_factor=2),
        ),
        run_config=tune.RunConfig(name=name, storage_path=str(base), verbose=0, executor="inline"),
    )


def resumed(folder: Path, **more: Any) -> Any:
    again = tune.Tuner.restore(str(folder), objective, **more)
    again._run.executor = "inline"
    return again.fit()


@pytest.mark.usefixtures("each_moment_is_kept")
@pytest.mark.parametrize("search", ["auto", "optuna"])
def test_a_killed_run_goes_on_as_the_unbroken_one_from_any_moment_that_was_kept(tmp_path: Path, search: str) -> None:
    pytest.importorskip({"auto": "numpy"}.get(search, search))
    moments: list[bytes] = []

    def noting(config: dict[str, Any]) -> None:
        kept = tmp_path / "run" / SEARCH_FILE
        moments.append(kept.read_bytes() if kept.exists() else b"")
        objective(config)

    unbroken = [result.config for result in tuner(tmp_path, "run", search, objective=noting).fit()]
    data = (tmp_path / "run" / JOURNAL_FILE).read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for cut in random.Random(5).sample(ends[1:-2], 10):
        for moment in random.Random(cut).sample(moments[1:], 2):
            shutil.rmtree(tmp_path / "broken", ignore_errors=True)
            shutil.copytree(tmp_path / "run", tmp_path / "broken")
            (tmp_path / "broken" / JOURNAL_FILE).write_bytes(data[:cut])
            (tmp_path / "broken" / SEARCH_FILE).write_bytes(moment)
            assert [result.config for result in resumed(tmp_path / "broken")] == unbroken, cut


@pytest.mark.usefixtures("each_moment_is_kept")
@pytest.mark.parametrize("search", ["auto", "optuna"])
@pytest.mark.parametrize("harm", ["none", "missing", "torn", "of another run"])
def test_a_finished_run_that_is_extended_goes_on_as_a_longer_one(tmp_path: Path, search: str, harm: str) -> None:
    pytest.importorskip({"auto": "numpy"}.get(search, search))
    longer = [result.config for result in tuner(tmp_path, "run", search).fit()]
    short = tuner(tmp_path, "short", search)
    short._tune.num_samples = 11
    short.fit()
    kept = tmp_path / "short" / SEARCH_FILE
    assert (kept_search.load(str(tmp_path / "short")) or pytest.fail("not kept")).asked == 11
    if harm == "missing":
        kept.unlink()
    elif harm == "torn":
        kept.write_bytes(kept.read_bytes()[:-9])
    elif harm == "of another run":
        shutil.copy(tmp_path / "run" / SEARCH_FILE, kept)
    if harm != "none":
        assert kept_search.load(str(tmp_path / "short")) is None
    assert [result.config for result in resumed(tmp_path / "short", num_samples=16)] == longer


def test_a_quick_search_keeps_no_file(tmp_path: Path) -> None:
    tuner(tmp_path, "run", "random").fit()
    assert not (tmp_path / "run" / SEARCH_FILE).exists()
    assert sum(type(event) is ev.Suggested for event in journal.read(str(tmp_path / "run")).events) == 16
