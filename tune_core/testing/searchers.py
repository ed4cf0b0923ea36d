"""The contract of searchers, as checks that any searcher can be put to, yours included.

In a test module::

    from tune_core.testing.searchers import SearcherSuite

    class TestMySearch(SearcherSuite):
        def make(self, **arguments):
            return MySearch(**arguments)

pytest then runs each check as a test. ``run_checks`` does the same without pytest, and says for each check whether it
passed, or why the searcher does not support it.
"""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import random
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from tune_core import space as sp
from tune_core.core.values import Config, ConfigView, ResultDict
from tune_core.errors import SearchSpaceError, TuneError
from tune_core.search.base import Searcher
from tune_core.search.limiter import ConcurrencyLimiter
from tune_core.space.sampling import fits
from tune_core.space.serialization import from_json, to_json

Make = Callable[..., Any]

DOMAINS: dict[str, object] = {
    "uniform": sp.uniform(-1, 2),
    "quniform": sp.quniform(0, 1, 0.25),
    "loguniform": sp.loguniform(1e-4, 1e-1),
    "qloguniform": sp.qloguniform(0.1, 10, 0.1),
    "randn": sp.randn(3, 2),
    "qrandn": sp.qrandn(0, 1, 0.5),
    "randint": sp.randint(-2, 5),
    "qrandint": sp.qrandint(0, 12, 4),
    "lograndint": sp.lograndint(1, 100),
    "qlograndint": sp.qlograndint(2, 64, 2),
    "choice of strings": sp.choice(["relu", "tanh", "gelu"]),
    "choice of anything": sp.choice([None, True, 1, 1.5, "1", (1, 2), [3, 4], {"a": 1}]),
    "choice of two numbers": sp.choice([0.1, 100]),
    "choice of one": sp.choice(["only"]),
    "range of one": sp.randint(3, 4),
    "nested": {"deep": {"er": sp.uniform(0, 1)}, "list": [sp.randint(0, 3), 7], "a/b": sp.uniform(0, 1)},
    "branches": sp.choice([{"kind": "svm", "C": sp.loguniform(0.1, 10)}, {"kind": "tree", "depth": sp.randint(1, 9)}]),
    "sample_from": sp.sample_from(lambda spec: 2 * spec["uniform"]),
    "constant": {"batch": 32, "name": "net"},
}
"""One of each domain that a space can hold."""

SMALL: dict[str, object] = {"x": sp.uniform(0, 1), "y": sp.loguniform(0.01, 1), "act": sp.choice(["a", "b", "c"])}


def loss_of(config: ConfigView) -> float:
    """A loss on ``SMALL``, least at x=0.7, y=0.1, act="b"."""
    penalty = {"a": 0.3, "b": 0.0, "c": 0.6}[config["act"]]
    return float((config["x"] - 0.7) ** 2 + (math.log10(config["y"]) + 1) ** 2 / 4 + penalty)


class SearcherDriver:
    """Asks and tells one searcher and keeps what it answered.

    Parameters
    ----------
    searcher
        A fresh searcher.
    space, seed
        What the run tells it.
    """

    def __init__(self, searcher: Any, space: object = None, seed: int = 0, mode: str = "min") -> None:
        self.searcher = searcher
        self.mode = mode
        self.configs: list[Config] = []
        self.open: dict[str, dict[str, object]] = {}
        accepted = searcher.set_search_properties(
            "loss", mode, SMALL if space is None else space, seed=seed, num_samples=100
        )
        assert accepted is not False, "it refused the run's metric, mode and space"

    def ask(self) -> Any:
        """One suggestion; None is asked again a few times."""
        trial_id = f"{len(self.configs):05d}"
        for _ in range(20):
            answer = self.searcher.suggest(trial_id)
            if answer is not None:
                break
        if isinstance(answer, Mapping):
            self.configs.append(dict(answer))
            self.open[trial_id] = dict(answer)
        return answer

    def tell(self, trial_id: str, loss: float | None = None, error: bool = False) -> None:
        """The end of a trial; without a loss it is :func:`loss_of`'s."""
        config = self.open.pop(trial_id)
        if error:
            self.searcher.on_trial_complete(trial_id, None, True)
            return
        value = loss_of(config) if loss is None else loss
        self.searcher.on_trial_complete(trial_id, self.result(trial_id, value if self.mode == "min" else -value), False)

    @staticmethod
    def result(trial_id: str, value: float) -> ResultDict:
        """A result as the engine makes it."""
        return {"loss": value, "training_iteration": 3, "time_total_s": 0.1, "timestamp": 0.0, "trial_id": trial_id}

    def rounds(self, count: int) -> list[dict[str, Any]]:
        """Ask and tell, one after the other."""
        for _ in range(count):
            answer = self.ask()
            assert isinstance(answer, Mapping), f"it answered {answer!r} with nothing pending"
            self.tell(f"{len(self.configs) - 1:05d}")
        return self.configs


_MOMENTS = 20
"""At how many moments the checks of restoring cut a search off."""


class Check:
    """One point of the contract.

    Parameters
    ----------
    name, title
        Its identifier, and what the feature table calls it.
    function
        Raises AssertionError if the searcher falls short; is given a maker of searchers and how many asks to spend.
    """

    def __init__(self, name: str, title: str, function: Callable[[Make, int], None]) -> None:
        self.name, self.title, self.function = name, title, function


CHECKS: dict[str, Check] = {}
"""All checks by name, in the order of the table."""


def _check(title: str) -> Callable[[Callable[[Make, int], None]], Callable[[Make, int], None]]:
    def register(function: Callable[[Make, int], None]) -> Callable[[Make, int], None]:
        name = function.__name__.removeprefix("check_")
        CHECKS[name] = Check(name, title, function)
        return function

    return register


@_check("every domain")
def check_domains(make: Make, asks: int) -> None:
    """Each value is one that its domain holds, of Python's own types, and survives the journal."""
    drive = SearcherDriver(make(), DOMAINS)
    for i in range(min(asks, 12)):
        config = drive.ask()
        assert isinstance(config, Mapping), f"it answered {config!r}"
        for name, node in DOMAINS.items():
            assert fits(config[name], node), f"{name}: {config[name]!r} is not in {node!r}"
        assert config["sample_from"] == 2 * config["uniform"]
        assert "numpy" not in _modules(config), f"holds NumPy's types: {config!r}"
        written = json.loads(json.dumps(to_json(dict(config), DOMAINS)))
        assert from_json(written, DOMAINS) == config
        drive.tell(f"{i:05d}", loss=float(config["uniform"]))


@_check("conditions")
def check_conditions(make: Make, asks: int) -> None:
    """What hangs on a choice exists only where the choice is made, at any depth."""
    inner = sp.choice([{"opt": "sgd", "momentum": sp.uniform(0, 1)}, {"opt": "adam"}])
    space = {"net": sp.choice([{"layers": sp.randint(1, 4), "inner": inner}, {"trees": sp.randint(1, 9)}, "none"])}
    drive = SearcherDriver(make(), space)
    seen = set()
    for i in range(max(asks, 12)):
        config = drive.ask()
        assert fits(config, space), config
        seen.add(str(config["net"])[:8])
        drive.tell(f"{i:05d}", loss=float(i % 3))
    assert len(seen) > 1, "it stayed in one branch"


@_check("same seed, same search")
def check_seed(make: Make, asks: int) -> None:
    """Suggestions depend on the seed, the asks and the tells alone; another seed gives others."""
    first, again, other = (SearcherDriver(make(), seed=seed).rounds(asks) for seed in (3, 3, 4))
    assert first == again, "the same seed gave other suggestions"
    assert first != other, "another seed gave the same suggestions"


@_check("parallel asks")
def check_parallel(make: Make, asks: int) -> None:
    """Several suggestions may be unfinished, differ, and end in any order."""
    drive = SearcherDriver(make())
    drive.rounds(min(asks, 6))
    batch = []
    for _ in range(4):
        answer = drive.ask()
        if isinstance(answer, Mapping):
            batch.append(str(answer))
    assert len(batch) > 1, "it let only one suggestion be unfinished"
    assert len(set(batch)) == len(batch), "it suggested the same point twice at once"
    for trial_id in reversed(list(drive.open)):
        drive.tell(trial_id)
    drive.rounds(1)


@_check("many asks before any result")
def check_cold_parallel(make: Make, asks: int) -> None:
    """A cluster may ask often before the first trial ends; "not now" is an answer, an error is none."""
    drive = SearcherDriver(make())
    for _ in range(8):
        assert drive.ask() != Searcher.FINISHED
    assert drive.configs
    for trial_id in list(drive.open):
        drive.tell(trial_id)
    drive.rounds(1)


@_check("failures, NaN, infinity")
def check_failures(make: Make, asks: int) -> None:
    """Failed trials and useless values, first and later, neither stop nor poison the search."""
    drive = SearcherDriver(make())
    for i in range(max(8, asks // 2)):
        config = drive.ask()
        assert fits(config, SMALL), config
        trial_id = f"{i:05d}"
        kind = i % 5
        if kind == 0:
            drive.tell(trial_id, error=True)
        elif kind in (1, 2):
            drive.tell(trial_id, loss=(math.nan, math.inf)[kind - 1])
        else:
            drive.tell(trial_id)
    drive.searcher.on_trial_complete("99999", {"loss": 1.0}, False)  # never suggested
    assert fits(drive.rounds(1)[-1], SMALL)


@_check("metric missing")
def check_missing_metric(make: Make, asks: int) -> None:
    """A result without the metric counts as a failure."""
    drive = SearcherDriver(make())
    drive.ask()
    drive.searcher.on_trial_complete("00000", {"other": 1.0}, False)
    drive.open.clear()
    drive.rounds(2)


@_check("mode max")
def check_modes(make: Make, asks: int) -> None:
    """Maximising the negative is the same search as minimising."""
    least = SearcherDriver(make(), seed=1).rounds(asks)
    most = SearcherDriver(make(), seed=1, mode="max").rounds(asks)
    assert least == most, "mode='max' on the negative metric gave other suggestions"


@_check("learns")
def check_learns(make: Make, asks: int) -> None:
    """After some results, suggestions are better than random ones: the mean loss of the last ones is lower."""
    total, count = 0.0, 0
    for seed in range(2):
        configs = SearcherDriver(make(), seed=seed).rounds(max(asks, 10) * 2)
        last = [loss_of(c) for c in configs[-len(configs) // 3 :]]
        total, count = total + sum(last), count + len(last)
    rng = random.Random(0)
    drawn = [loss_of(sp.generate(SMALL, rng.randrange(1 << 30), 0)) for _ in range(2000)]
    assert total / count < sum(drawn) / len(drawn), (
        f"mean loss {total / count:.3f}, of random points {sum(drawn) / 2000:.3f}"
    )


@_check("points to evaluate")
def check_points(make: Make, asks: int) -> None:
    """They come first, in order; what one leaves out is drawn; a wrong one is refused."""
    points = [{"x": 0.25, "y": 0.5, "act": "c"}, {"x": 0.75}]
    drive = SearcherDriver(make(points_to_evaluate=points))
    first, second = drive.rounds(2)
    assert first == points[0], first
    assert second["x"] == 0.75, second
    assert fits(second, SMALL), second
    drive.rounds(2)
    try:
        SearcherDriver(make(points_to_evaluate=[{"x": 7.0}]))
    except SearchSpaceError:
        return
    raise AssertionError("a point outside of the space was taken")


@_check("told before")
def check_told_before(make: Make, asks: int) -> None:
    """Points evaluated elsewhere are learnt from and not tried: as ``evaluated_rewards``, and one by one."""
    rng = random.Random(1)
    known = [sp.generate(SMALL, rng.randrange(1 << 30), 0) for _ in range(max(asks, 10))]
    drive = SearcherDriver(make(points_to_evaluate=known, evaluated_rewards=[loss_of(c) for c in known]))
    assert fits(drive.rounds(2)[0], SMALL)
    assert drive.configs[0] not in known, "it tried a point whose value it was told"
    searcher = make()
    drive = SearcherDriver(searcher)
    for config in known:
        searcher.add_evaluated_point(config, loss_of(config))
    searcher.add_evaluated_point(known[0], math.nan, error=True)
    assert fits(drive.rounds(1)[0], SMALL)


@_check("pruned")
def check_pruned(make: Make, asks: int) -> None:
    """Trials that a scheduler ended early are taken in."""
    drive = SearcherDriver(make())
    for i in range(6):
        config = drive.ask()
        if i % 2:
            drive.tell(f"{i:05d}")
        else:
            drive.open.clear()
            drive.searcher.on_trial_pruned(f"{i:05d}", drive.result(f"{i:05d}", loss_of(config)))
    drive.rounds(1)


@_check("restore, repeating")
def check_replay(make: Make, asks: int) -> None:
    """A fresh searcher given the same asks and tells goes on with the same suggestion, wherever it was cut off."""
    steps = _interleaved(asks)
    whole = SearcherDriver(make(), seed=5)
    answers = _follow(whole, steps)
    for cut in _moments(steps):
        fresh = SearcherDriver(make(), seed=5)
        assert _follow(fresh, steps[:cut]) == answers[:cut], f"cut off after {cut} steps it repeated other suggestions"
        assert _follow(fresh, steps[cut : cut + 2]) == answers[cut : cut + 2]
        stands = SearcherDriver(make(), seed=5)
        _follow(stands, steps[:cut])
        if (
            state := getattr(stands.searcher, "resume_state", lambda: None)()
        ) is not None:  # then it is not asked again
            fresh = SearcherDriver(make(), seed=5)
            _adopt(fresh, steps[:cut], answers, fresh.searcher.recall)
            fresh.searcher.set_resume_state(json.loads(json.dumps(state)))
            assert _follow(fresh, steps[cut:]) == answers[cut:], f"recalled, it went on otherwise after {cut} steps"


@_check("restore, adopting")
def check_adopt(make: Make, asks: int) -> None:
    """A fresh searcher that is told what ran, instead of repeating it, suggests none of it again, and goes on."""
    steps = _interleaved(max(asks, _MOMENTS // 2 + 2))
    answers = _follow(SearcherDriver(make(), seed=5), steps)
    for cut in _moments(steps):
        fresh = SearcherDriver(make(), seed=6)
        _adopt(fresh, steps[:cut], answers)
        answer = fresh.ask()
        assert answer is None or fits(answer, SMALL), answer
        assert answer is None or answer not in fresh.configs[:-1], f"cut off after {cut} steps it suggested one again"
        for trial_id in list(fresh.open):  # those that were pending end in the new life
            fresh.tell(trial_id)
    fresh.rounds(1)


@_check("save and restore by file")
def check_save(make: Make, asks: int) -> None:
    """``save`` and ``restore`` of Ray Tune's interface."""
    drive = SearcherDriver(make(), seed=2)
    drive.rounds(min(asks, 8))
    handle, path = tempfile.mkstemp()
    os.close(handle)
    try:
        drive.searcher.save(path)
        fresh = make()
        fresh.restore(path)
        again = SearcherDriver(fresh, seed=2)
        again.configs = list(drive.configs)
        assert again.ask() == drive.ask(), "the restored searcher went on differently"
    finally:
        os.unlink(path)


@_check("limited concurrency")
def check_limiter(make: Make, asks: int) -> None:
    """A limit holds, alone and in batches."""
    for batch in (False, True):
        drive = SearcherDriver(ConcurrencyLimiter(make(), max_concurrent=2, batch=batch))
        drive.ask(), drive.ask()
        assert drive.ask() is None
        for trial_id in list(drive.open):
            drive.tell(trial_id)
        assert isinstance(drive.ask(), Mapping)


@_check("copied and pickled unused")
def check_pickle(make: Make, asks: int) -> None:
    """The configuration of a run is kept for a restore, the searcher with it."""
    for arguments in ({}, {"space": SMALL, "metric": "loss", "mode": "min"}):
        for fresh in (copy.deepcopy(make(**arguments)), pickle.loads(pickle.dumps(make(**arguments)))):
            assert isinstance(SearcherDriver(fresh, space={} if arguments else None).ask(), Mapping)
    assert isinstance(make(space=SMALL, metric="loss", mode="min").suggest("00000"), Mapping)  # without a run


@_check("grids refused or crossed")
def check_grid(make: Make, asks: int) -> None:
    """A grid in the space is an error that says so, or all of it is tried."""
    try:
        drive = SearcherDriver(make(), {"x": sp.uniform(0, 1), "g": sp.grid_search([1, 2])})
    except TuneError as error:
        assert "grid" in str(error), error
        return
    assert {drive.ask()["g"], drive.ask()["g"]} == {1, 2}


def _modules(value: object) -> set[str]:
    """Top-level modules of the types within a value."""
    if isinstance(value, Mapping):
        return set().union(*(_modules(v) for v in value.values()))
    if isinstance(value, (list, tuple)):
        return set().union({"builtins"}, *(_modules(v) for v in value))
    return {type(value).__module__.partition(".")[0]}


def _interleaved(asks: int) -> list[tuple[str, int]]:
    """Asks and tells as three workers would make them: each ends in an order of its own."""
    rng = random.Random(7)
    steps: list[tuple[str, int]] = []
    pending: list[int] = []
    number = 0
    while number < asks:
        if len(pending) < 3 and (not pending or rng.random() < 0.6):
            steps.append(("ask", number))
            pending.append(number)
            number += 1
        else:
            steps.append((rng.choice(["tell"] * 5 + ["fail"]), pending.pop(rng.randrange(len(pending)))))
    return steps


def _follow(drive: SearcherDriver, steps: list[tuple[str, int]]) -> list[object]:
    answers: list[object] = []
    for what, number in steps:
        trial_id = f"{number:05d}"
        if what == "ask":
            answer = drive.ask()
            answers.append(answer)
            if not isinstance(answer, Mapping):  # "not now": the trial does not come about
                drive.configs.append({})
        else:
            answers.append(None)
            if trial_id in drive.open:
                drive.tell(trial_id, error=what == "fail")
    return answers


def _moments(steps: list[tuple[str, int]]) -> list[int]:
    """After how many steps it is cut off: twenty times, or at each step of a shorter search."""
    inside = range(1, len(steps))
    return sorted(random.Random(0).sample(inside, min(_MOMENTS, len(inside))))


def _adopt(
    drive: SearcherDriver,
    steps: list[tuple[str, int]],
    answers: list[Any],
    give: Callable[[str, Mapping[str, Any]], None] | None = None,
) -> None:
    """Tell what ran, as the engine does after a crash."""
    give = give or drive.searcher.adopt
    for (what, number), answer in zip(steps, answers, strict=False):
        trial_id = f"{number:05d}"
        if what == "ask":
            drive.configs.append(dict(answer or {}))
            if isinstance(answer, Mapping):
                give(trial_id, answer)
                drive.open[trial_id] = dict(answer)
        elif trial_id in drive.open:
            drive.tell(trial_id, error=what == "fail")


class SearcherSuite:
    """Base of a pytest class that puts one searcher to all checks.

    Attributes
    ----------
    asks
        How many asks a check may spend; lower it for slow searchers.
    unsupported
        Names of checks that the searcher cannot pass, and why.
    """

    asks = 25
    unsupported: Mapping[str, str] = {}

    def make(self, **arguments: object) -> Any:
        """A fresh searcher."""
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each check."""
        if "check" in metafunc.fixturenames:
            metafunc.parametrize("check", list(CHECKS))

    def test_conforms(self, check: str) -> None:
        """One check; one that is not supported must say so, and is skipped.

        With ``$TUNE_CORE_SEARCHER_REPORT`` set, a line with the outcome is added to that file: the feature table of the
        documentation is made from it.
        """
        if check in self.unsupported:
            import pytest

            self._record(check, "no", self.unsupported[check])
            pytest.skip(self.unsupported[check])
        try:
            CHECKS[check].function(self.make, self.asks)
        except Exception as error:
            self._record(check, "failed", str(error))
            raise
        self._record(check, "yes", "")

    def _record(self, check: str, outcome: str, reason: str) -> None:
        path = os.environ.get("TUNE_CORE_SEARCHER_REPORT")
        if path:
            searcher = self.make()
            line = {
                "searcher": type(searcher).__name__,
                "check": check,
                "outcome": outcome,
                "reason": reason,
                "repeats": bool(searcher.replays),
                "conditions": bool(getattr(searcher, "native_conditions", False)),
                "objectives": bool(getattr(searcher, "multi_objective", False)),
            }
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def run_checks(make: Make, asks: int = 25, unsupported: Mapping[str, str] | None = None) -> dict[str, tuple[str, str]]:
    """Outcome of each check: ``("yes", "")``, ``("no", reason)`` if it is not supported, ``("failed", what)``."""
    outcomes: dict[str, tuple[str, str]] = {}
    for name, check in CHECKS.items():
        if unsupported and name in unsupported:
            outcomes[name] = ("no", unsupported[name])
            continue
        try:
            check.function(make, asks)
            outcomes[name] = ("yes", "")
        except Exception as error:
            outcomes[name] = ("failed", f"{type(error).__name__}: {error}")
    return outcomes
