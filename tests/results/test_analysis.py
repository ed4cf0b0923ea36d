"""``ExperimentAnalysis``: the documented names over the same results."""

from __future__ import annotations

from pathlib import Path

import pytest
from journals import Run

from tune_core.errors import InvalidArgumentError, MetricError
from tune_core.results import ResultGrid
from tune_core.results.analysis import ExperimentAnalysis


@pytest.fixture
def folder(tmp_path: Path) -> str:
    run = Run(tmp_path)
    for x in range(3):
        run.launch(run.suggest(x=x, deep={"y": x}))
        for step in range(2):
            name = f"checkpoint_{step + 1:06d}"
            (tmp_path / f"trial_{x:05d}" / name).mkdir(parents=True)
            run.report(x, checkpoint=name, loss=float(abs(x - 1) + step), acc=x)
        run.end(x)
    run.exhaust()
    return run.save()


@pytest.fixture
def analysis(folder: str) -> ExperimentAnalysis:
    return ExperimentAnalysis(folder)


def test_best_by_the_runs_own_metric(analysis: ExperimentAnalysis, folder: str) -> None:
    assert (analysis.default_metric, analysis.default_mode) == ("loss", "min")
    assert analysis.best_trial.trial_id == "00001"
    assert analysis.best_config == {"x": 1, "deep": {"y": 1}}
    assert analysis.best_result["loss"] == 1.0
    assert analysis.best_logdir == f"{folder}/trial_00001"
    assert analysis.best_trial.last_result["training_iteration"] == 2
    assert list(analysis.best_dataframe["loss"]) == [0.0, 1.0]
    assert list(analysis.best_result_df["loss"]) == [1.0]


def test_best_by_another_metric_and_scope(analysis: ExperimentAnalysis) -> None:
    assert analysis.get_best_config("acc", "max") == {"x": 2, "deep": {"y": 2}}
    trial = analysis.get_best_trial("loss", "max", scope="all")
    assert trial is not None
    assert trial.trial_id == "00000"
    assert analysis.get_best_logdir("acc", "min") == f"{analysis.experiment_path}/trial_00000"


def test_default_metric_can_be_given(folder: str) -> None:
    assert ExperimentAnalysis(folder, default_metric="acc", default_mode="max").best_trial.trial_id == "00002"


def test_best_checkpoint_and_last_checkpoint(analysis: ExperimentAnalysis) -> None:
    best = analysis.best_checkpoint
    assert best is not None
    assert best.path.endswith("trial_00001/checkpoint_000001")
    last = analysis.get_last_checkpoint("00002")
    assert last is not None
    assert last.path.endswith("trial_00002/checkpoint_000002")
    assert analysis.get_last_checkpoint() is not None
    paths = analysis.get_trial_checkpoints_paths(analysis.trials[0], "loss")
    assert [(Path(path).name, loss) for path, loss in paths] == [("checkpoint_000001", 1.0), ("checkpoint_000002", 2.0)]


def test_tables(analysis: ExperimentAnalysis) -> None:
    assert list(analysis.dataframe()["loss"]) == [2.0, 1.0, 2.0]
    assert list(analysis.dataframe("loss", "min")["loss"]) == [1.0, 0.0, 1.0]
    assert list(analysis.dataframe("loss")["loss"]) == [1.0, 0.0, 1.0]
    assert list(analysis.results_df.index) == ["00000", "00001", "00002"]
    assert analysis.results["00002"]["acc"] == 2
    frames = analysis.trial_dataframes
    assert list(frames[f"{analysis.experiment_path}/trial_00000"]["loss"]) == [1.0, 2.0]
    assert frames.keys() == analysis.fetch_trial_dataframes().keys()


def test_configs_by_folder(analysis: ExperimentAnalysis) -> None:
    path = f"{analysis.experiment_path}/trial_00001"
    assert analysis.get_all_configs()[path] == {"x": 1, "deep": {"y": 1}}
    assert analysis.get_all_configs(prefix=True)[path] == {"config/x": 1, "config/deep": {"y": 1}}


def test_facts_of_the_run(analysis: ExperimentAnalysis) -> None:
    assert analysis.stats()["num_results"] == 6
    assert analysis.stats()["finished"] == "all trials have ended"
    assert analysis.runner_data()["seed"] == 7


def test_trial_has_a_trials_own_names(analysis: ExperimentAnalysis) -> None:
    trial = analysis.trials[1]
    assert trial.logdir == trial.local_path == trial.path
    assert trial.evaluated_params == {"x": 1, "deep/y": 1}
    assert trial.experiment_tag == "1_y=1,x=1"


def test_missing_metric_warns_where_none_is_an_answer_and_raises_where_not(analysis: ExperimentAnalysis) -> None:
    with pytest.warns(UserWarning, match="never reported"):
        assert analysis.get_best_trial("f1", "max") is None
    with pytest.warns(UserWarning, match="never reported"):
        assert analysis.get_best_config("f1", "max") is None
    analysis.default_metric = "f1"
    with pytest.raises(MetricError, match="best_config"):
        _ = analysis.best_config


def test_unknown_trial_is_refused(analysis: ExperimentAnalysis) -> None:
    with pytest.raises(InvalidArgumentError):
        analysis.get_last_checkpoint("00077")
    with pytest.raises(InvalidArgumentError, match="neither a trial"):
        analysis.get_last_checkpoint(3.5)  # type: ignore[arg-type]


def test_made_from_a_grid_it_says_the_same(folder: str) -> None:
    analysis = ExperimentAnalysis(ResultGrid.from_path(folder))
    assert analysis.best_trial.trial_id == "00001"
    assert "ExperimentAnalysis run: 3 trials" in repr(analysis)
    assert "<table>" in analysis._repr_html_()


def test_run_returns_an_analysis_whose_configurations_are_the_objects_themselves(tmp_path: Path) -> None:
    import tune_core as tune

    marker = object()
    analysis = tune.run(
        lambda config: {"loss": config["x"]},
        config={"x": tune.grid_search([2, 1]), "marker": marker},
        metric="loss",
        mode="min",
        storage_path=str(tmp_path),
        verbose=0,
    )
    assert analysis.best_config["x"] == 1
    assert analysis.best_config["marker"] is marker
    assert analysis.best_result["loss"] == 1
