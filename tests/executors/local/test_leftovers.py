"""What one trial changes in what is bound to the trainable is not there for the next trial of the same worker."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.executors.worker.leftovers import can_be_left
from tune_core.trainable import prepare


class Model:
    def __init__(self) -> None:
        self.steps = 0

    def train(self) -> int:
        self.steps += 1
        return self.steps


def counts(tmp_path: Path, trainable: Any, **how: Any) -> list[Any]:
    """What four trials report, one after the other in one worker."""
    results = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(num_samples=4, max_concurrent_trials=1, **how),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, stop={"training_iteration": 1}),
    ).fit()
    assert not results.errors
    assert len({result.metrics["pid"] for result in results}) == (4 if how.get("reuse_actors") is False else 1)
    return [result.metrics["n"] for result in results]


def bound(model: Model) -> Any:
    return tune.with_parameters(lambda config, model: {"n": model.train()}, model=model)


def captured(model: Model) -> Any:
    return lambda config: {"n": model.train()}


def partial(model: Model) -> Any:
    return functools.partial(lambda model, config: {"n": model.train()}, model)


def default(model: Model) -> Any:
    return lambda config, model=model: {"n": model.train()}


def called(model: Model) -> Any:
    def inner() -> int:
        return model.train()

    return lambda config: {"n": inner()}


def attribute(model: Model) -> Any:
    class Trained(tune.Trainable):
        kept = model

        def step(self) -> dict[str, Any]:
            return {"n": self.kept.train()}

    return Trained


def of_class(model: Model) -> Any:
    class Trained(tune.Trainable):
        def setup(self, config: Any, model: Model) -> None:  # type: ignore[override]
            self.model = model

        def step(self) -> dict[str, Any]:
            return {"n": self.model.train()}

    return tune.with_parameters(Trained, model=model)


WAYS = [bound, captured, partial, default, called, attribute, of_class]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("reuse", [None, False])
def test_each_trial_has_the_objects_as_they_were_bound(tmp_path: Path, way: Callable[..., Any], reuse: Any) -> None:
    model = Model()
    model.train()
    assert counts(tmp_path, way(model), reuse_actors=reuse) == [2, 2, 2, 2]
    assert model.steps == 1  # the caller's own is not touched


def test_objects_stay_where_reusing_them_is_asked_for(tmp_path: Path) -> None:
    assert counts(tmp_path, bound(Model()), reuse_actors=True) == [1, 2, 3, 4]


SCRIPT = """
import json, tune_core as tune
seen = []
table = {"n": 0}
class Count:
    n = 0
def objective(config):
    seen.append(1); table["n"] += 1; Count.n += 1
    return {"n": [len(seen), table["n"], Count.n]}
if __name__ == "__main__":
    results = tune.Tuner(objective, tune_config=tune.TuneConfig(num_samples=3, max_concurrent_trials=1),
                         run_config=tune.RunConfig(verbose=0)).fit()
    print(json.dumps([result.metrics["n"] for result in results]))
"""


def test_globals_of_a_script_are_as_they_were_at_the_start(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [[1, 1, 1]] * 3


def test_what_a_script_defines_is_one_thing_in_a_later_trial_too(tmp_path: Path) -> None:
    """Objects of a class that is made anew must be picklable by its name, and be instances of it."""
    script = tmp_path / "script.py"
    script.write_text(
        "import pickle, tune_core as tune\n"
        "made = []\n"
        "class Point: pass\n"
        "def objective(config):\n"
        "    made.append(Point())\n"
        "    copy = pickle.loads(pickle.dumps(made))\n"
        "    return {'n': len(made) + 10 * isinstance(copy[0], Point)}\n"
        "if __name__ == '__main__':\n"
        "    config = tune.TuneConfig(num_samples=3, max_concurrent_trials=1)\n"
        "    results = tune.Tuner(objective, tune_config=config, run_config=tune.RunConfig(verbose=0)).fit()\n"
        "    print(results.errors, [result.metrics['n'] for result in results])\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] [11, 11, 11]"


def test_large_arrays_are_mapped_once_and_cannot_be_changed(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    large, small = np.zeros(100_000), np.zeros(3)

    def objective(config: dict[str, Any], large: Any, small: Any) -> dict[str, Any]:
        small += 1
        return {"n": [float(small.sum()), bool(large.flags.writeable)]}

    assert counts(tmp_path, tune.with_parameters(objective, large=large, small=small)) == [[3.0, False]] * 4


# --- what is loaded once ----------------------------------------------------------------------------------------------


def test_functions_in_which_nothing_can_change_are_loaded_once() -> None:
    width = 3

    def helper(x: float) -> float:
        return x * width

    def objective(config: dict[str, Any]) -> dict[str, Any]:
        def inner(x: float) -> str:
            return json.dumps(helper(x))

        return {"n": inner(config["x"])}

    def recursive(config: Any) -> Any:
        return recursive(config) if config else {}

    class Plain(tune.Trainable):
        """With a property, constants and a static method."""

        rate, names = 0.1, ("a", "b")

        @property
        def twice(self) -> float:
            return 2 * self.rate

        @staticmethod
        def halved(x: float) -> float:
            return x / width

        def step(self) -> dict[str, Any]:
            return {"n": super().training_iteration}

    for one in (
        objective,
        recursive,
        Plain,
        functools.partial(objective),
        tune.with_parameters(lambda config, k: {}, k=1),
    ):
        assert not can_be_left(prepare(one)), one


@pytest.mark.parametrize(
    "value",
    [[1], {"a": 1}, {1}, bytearray(1), Model(), ([],), functools.partial(print, [])],
    ids=lambda value: type(value).__name__,
)
def test_whatever_can_change_is_loaded_for_each_trial(value: Any) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        return {"n": value}

    assert can_be_left(prepare(objective))
    assert can_be_left(prepare(tune.with_parameters(lambda config, value: {}, value=value)))
