"""Errors speak of the argument that the user wrote, whichever function took it, and come before the first trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError, StorageError, TuneError, in_terms_of


def never(*args: Any, **kwargs: Any) -> Any:
    pytest.fail("a trial began")


def tuner(**arguments: Any) -> Any:
    names = {name: arguments.pop(name) for name in ("storage_path", "name", "executor") if name in arguments}
    config = tune.RunConfig(verbose=0, **names)
    return tune.Tuner(never, tune_config=tune.TuneConfig(**arguments), run_config=config).fit()


def run(**arguments: Any) -> Any:
    return tune.run(never, verbose=0, **arguments)


def searched(**arguments: Any) -> Any:
    sklearn = pytest.importorskip("tune_sklearn")
    naive_bayes = pytest.importorskip("sklearn.naive_bayes")

    class Never(naive_bayes.GaussianNB):  # type: ignore[misc, name-defined]
        fit = never

    search = sklearn.TuneSearchCV(Never(), {"var_smoothing": [1e-9, 1e-8]}, n_trials=2, cv=2, **arguments)
    return search.fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])


def minimised(**arguments: Any) -> Any:
    hyperopt = pytest.importorskip("hyperopt")
    from tune_core.compat.hyperopt import fmin

    return fmin(never, hyperopt.hp.uniform("x", 0, 1), hyperopt.tpe.suggest, 3, **arguments)


def studied(storage_path: Any = None, **arguments: Any) -> Any:
    optuna = pytest.importorskip("tune_core.compat.optuna")
    return optuna.create_study(storage_path=storage_path).optimize(never, n_trials=2, **arguments)


@pytest.mark.parametrize(
    ("call", "arguments", "named"),
    [
        (tuner, {"time_budget_s": -1}, r"TuneConfig\(time_budget_s\) is -1"),
        (run, {"time_budget_s": -1}, r"tune\.run\(time_budget_s\) is -1"),
        (run, {"num_samples": 0}, r"tune\.run\(num_samples\) is 0"),
        (searched, {"time_budget_s": -1}, r"TuneSearchCV\(time_budget_s\) is -1"),
        (searched, {"time_budget_s": "long"}, r"TuneSearchCV\(time_budget_s\) is 'long'"),
        (searched, {"local_dir": 3}, r"TuneSearchCV\(local_dir\) is 3"),
        (minimised, {"timeout": 0}, r"fmin\(timeout\) is 0"),
        (studied, {"n_jobs": -3}, r"study\.optimize\(n_jobs\) is -3"),
    ],
)
def test_wrong_argument_is_named_as_it_was_written(call: Callable[..., Any], arguments: Any, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named) as caught:
        call(**arguments)
    assert all((caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix))
    assert call is tuner or "TuneConfig" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "argument", "more", "named"),
    [
        (tuner, "storage_path", {}, r"RunConfig\(storage_path="),
        (tuner, "storage_path", {"name": "mine"}, r"RunConfig\(storage_path="),
        (run, "storage_path", {}, r"tune\.run\(storage_path="),
        (run, "local_dir", {"name": "mine"}, r"tune\.run\(local_dir="),
        (searched, "local_dir", {}, r"TuneSearchCV\(local_dir="),
        (searched, "local_dir", {"name": "mine"}, r"TuneSearchCV\(local_dir="),
        (searched, "local_dir", {"early_stopping": True}, r"TuneSearchCV\(local_dir="),
        (studied, "storage_path", {}, r"create_study\(storage_path="),
    ],
)
def test_place_below_a_file_is_an_error_that_names_it_and_the_argument(
    tmp_path: Path, call: Callable[..., Any], argument: str, more: Any, named: str
) -> None:
    (tmp_path / "file").write_text("")
    place = str(tmp_path / "file" / "below")
    with pytest.raises(StorageError, match=named) as caught:
        call(**{argument: place}, **more)
    assert place in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("variable", ["TUNE_CORE_STORAGE", "TUNE_RESULT_DIR"])
@pytest.mark.parametrize(("call", "more"), [(tuner, {}), (run, {}), (searched, {"name": "mine"})])
def test_environment_variable_that_names_such_a_place_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, call: Callable[..., Any], more: Any
) -> None:
    monkeypatch.delenv("TUNE_CORE_STORAGE", raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(variable, str(tmp_path / "file" / "below"))
    with pytest.raises(StorageError, match=f"the environment variable {variable} names it"):
        call(**more)


def test_search_kept_in_a_store_is_not_resumed_in_silence_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sklearn, dummy = pytest.importorskip("tune_sklearn"), pytest.importorskip("sklearn.dummy")
    monkeypatch.chdir(tmp_path)
    search = sklearn.TuneGridSearchCV(
        dummy.DummyClassifier(), {"strategy": ["prior"]}, cv=2, name="mine", local_dir="memory://searches"
    )
    data = ([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
    search.fit(*data)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InvalidArgumentError, match=r"kept at memory://searches[\s\S]*local_dir"):
        search.fit(*data, resume=True)


def test_other_names_and_errors_are_left_alone() -> None:
    told = r"^RunConfig\(name\) is 3; use TuneConfig\(seeds=1\), f\(s=2\)$"
    with pytest.raises(TuneError, match=told), in_terms_of("f", {"seed": "s"}):
        raise TuneError("RunConfig(name)", "is 3", "use TuneConfig(seeds=1), TuneConfig(seed=2)")
    with pytest.raises(KeyError, match="TuneConfig"), in_terms_of("f", {"seed": "s"}):
        raise KeyError("TuneConfig(seed)")
