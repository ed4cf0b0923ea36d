"""Each automatic metric and each environment variable of Ray Tune's: the tests that show it.

The tables are checked: nothing is missing from them, each test exists, and each speaks of what it is listed for.
"""

from __future__ import annotations

import ast
import signal
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT

import tune_core as tune
from tune_core.core.automatic import AUTO_RESULT_KEYS
from tune_core.core.environment import RAY_VARIABLES
from tune_core.utils import warn_if_slow

BEHAVIOUR = "tests/compat/test_behaviour.py"
HERE = "tests/compat/test_where_tested.py"
RUNS = "tests/compat/ray/test_runs.py"
SCRIPT = "tests/compat/ray_scripts/automatic_metrics.py"
EVERYWHERE = f"{BEHAVIOUR}::test_every_automatic_field_is_everywhere"  # results, frames, callbacks, stoppers
BESIDE_RAY = f"{RUNS}::test_automatic_fields_of_a_result"  # by Ray Tune, too

METRICS: dict[str, list[str]] = {
    "training_iteration": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "time_this_iter_s": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "time_total_s": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "time_since_restore": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "iterations_since_restore": [
        EVERYWHERE,
        BESIDE_RAY,
        f"{BEHAVIOUR}::test_counts_since_the_restore_start_anew_and_sums_go_on",
    ],
    "timesteps_total": [EVERYWHERE, BESIDE_RAY, SCRIPT, f"{BEHAVIOUR}::test_stop_condition_on_a_sum_is_met"],
    "timesteps_since_restore": [f"{BEHAVIOUR}::test_counts_since_the_restore_start_anew_and_sums_go_on"],
    "episodes_total": [EVERYWHERE, SCRIPT, f"{BEHAVIOUR}::test_stop_condition_on_a_sum_is_met"],
    "hostname": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "node_ip": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "pid": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "date": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "timestamp": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "trial_id": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "experiment_tag": [EVERYWHERE, BESIDE_RAY, SCRIPT, f"{BEHAVIOUR}::test_length_of_a_tag_from_the_environment"],
    "config": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "done": [EVERYWHERE, BESIDE_RAY, SCRIPT],
    "checkpoint_dir_name": [f"{HERE}::test_result_names_the_checkpoint_that_came_with_it"],
}

WITHOUT_EFFECT = f"{HERE}::test_variables_that_are_not_needed_change_nothing"

VARIABLES: dict[str, list[str]] = {
    "RAY_AIR_LOCAL_CACHE_DIR": [f"{BEHAVIOUR}::test_folder_of_experiments_from_the_environment"],
    "RAY_CHDIR_TO_TRIAL_DIR": ["tests/executors/local/test_isolation.py"],
    "RAY_TUNE_CALLBACKS": [f"{BEHAVIOUR}::test_callbacks_from_the_environment"],
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": [BEHAVIOUR],
    "TUNE_DISABLE_DATED_SUBDIR": [f"{BEHAVIOUR}::test_undated_folder_from_the_environment"],
    "TUNE_DISABLE_SIGINT_HANDLER": [f"{HERE}::test_interrupts_may_be_left_to_the_script"],
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": [f"{BEHAVIOUR}::test_strict_metric_checking_can_be_switched_off"],
    "TUNE_FORCE_TRIAL_CLEANUP_S": [f"{HERE}::test_trial_that_does_not_end_is_killed_after_so_long"],
    "TUNE_MAX_LEN_IDENTIFIER": [f"{BEHAVIOUR}::test_length_of_a_tag_from_the_environment"],
    "TUNE_ORIG_WORKING_DIR": ["tests/executors/local/test_isolation.py"],
    "TUNE_PRINT_ALL_TRIAL_ERRORS": [f"{BEHAVIOUR}::test_whole_errors_are_printed_if_the_environment_says_so"],
    "TUNE_RESULT_DIR": [f"{BEHAVIOUR}::test_folder_of_experiments_from_the_environment"],
    "TUNE_WARN_THRESHOLD_S": [f"{HERE}::test_threshold_of_slowness"],
    **{name: [WITHOUT_EFFECT] for name, what in RAY_VARIABLES.items() if what.startswith("not needed")},
}


def source_of(place: str) -> str:
    """The source of a test, ``path::function``, with the module's constants; or of a whole file."""
    path, _, function = place.partition("::")
    text = (ROOT / path).read_text()
    if not function:
        return text
    tree = ast.parse(text)
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function]
    assert found, f"{place} does not exist"
    constants = [n for n in tree.body if isinstance(n, (ast.Assign, ast.AnnAssign))]
    return "\n".join(ast.get_source_segment(text, node) or "" for node in [*found, *constants])


def places(table: dict[str, list[str]]) -> Iterable[Any]:
    for name, tests in table.items():
        assert tests, f"{name} is tested nowhere"
        for place in tests:
            yield pytest.param(name, place, id=f"{name}-{place.rpartition('/')[2]}")


def test_tables_have_all_there_is() -> None:
    assert set(METRICS) >= set(AUTO_RESULT_KEYS)
    assert set(VARIABLES) == set(RAY_VARIABLES)


@pytest.mark.parametrize(("name", "place"), [*places(METRICS), *places(VARIABLES)])
def test_test_exists_and_speaks_of_it(name: str, place: str) -> None:
    source = source_of(place)
    assert name in source or (place == WITHOUT_EFFECT and RAY_VARIABLES[name].startswith("not needed"))


# --- those that no other file tests -----------------------------------------------------------------------------------


def fit(tmp_path: Path, objective: Any, executor: Any = "inline", **options: Any) -> Any:
    run_config = tune.RunConfig(storage_path=str(tmp_path), name="run", verbose=0, executor=executor, **options)
    return tune.Tuner(objective, param_space={"x": tune.grid_search([1, 2])}, run_config=run_config).fit()


def test_result_names_the_checkpoint_that_came_with_it(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        made = tmp_path / f"made_{config['x']}"
        made.mkdir()
        tune.report({"loss": 1})
        tune.report({"loss": 2}, checkpoint=tune.Checkpoint.from_directory(str(made)))

    result = fit(tmp_path, objective)[0]
    assert result.metrics["checkpoint_dir_name"] == Path(result.checkpoint.path).name
    frame = result.metrics_dataframe["checkpoint_dir_name"]
    assert frame.isna()[0] and frame[1] == result.metrics["checkpoint_dir_name"]


@pytest.mark.parametrize("disabled", ["0", "1"])
def test_interrupts_may_be_left_to_the_script(disabled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_DISABLE_SIGINT_HANDLER", disabled)
    handlers = []

    class Look(tune.Callback):
        def on_trial_result(self, **info: Any) -> None:
            handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    fit(tmp_path, lambda config: {"loss": 1}, callbacks=[Look()])
    assert {handler is before for handler in handlers} == {disabled == "1"}
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.real
@pytest.mark.timeout(100)
def test_trial_that_does_not_end_is_killed_after_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_FORCE_TRIAL_CLEANUP_S", "0.5")

    def objective(config: dict[str, Any]) -> None:
        tune.report({"loss": config["x"]})
        time.sleep(1000)  # it never looks whether it is to end

    class Once(tune.Stopper):
        def __call__(self, trial_id: str, result: Any) -> bool:
            return False

        def stop_all(self) -> bool:
            return True

    grid = fit(tmp_path, objective, tune.LocalExecutor(num_cpus=1), stop=Once())
    assert [result.metrics["loss"] for result in grid] == [1]
    assert grid.num_errors == 0


def test_threshold_of_slowness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_WARN_THRESHOLD_S", "0")
    with pytest.warns(UserWarning, match="`reading` operation took"), warn_if_slow("reading"):
        pass
    monkeypatch.setenv("TUNE_WARN_THRESHOLD_S", "1000")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with warn_if_slow("reading"):
            pass


def test_variables_that_are_not_needed_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, what in RAY_VARIABLES.items():
        if what.startswith("not needed"):
            monkeypatch.setenv(name, "1")

    def objective(config: dict[str, Any]) -> None:
        for step in range(5):
            tune.report({"loss": config["x"] * step, "deep": {"a": step}})

    grid = fit(tmp_path, objective)
    assert [list(result.metrics_dataframe["deep/a"]) for result in grid] == [[0, 1, 2, 3, 4]] * 2
    assert grid.num_errors == 0
