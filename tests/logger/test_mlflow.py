"""MLflow runs in a local store, read back with MLflow's client."""

import pytest
from views import View, run

mlflow = pytest.importorskip("mlflow")

from tune_core.logger import MLflowLoggerCallback


@pytest.fixture
def uri(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (tmp_path / "mlruns").as_uri()


def only_run(uri, name="exp"):
    client = mlflow.tracking.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(name)
    (found,) = client.search_runs([experiment.experiment_id])
    return client, found


def test_trial_becomes_a_run(uri, tmp_path):
    logger = MLflowLoggerCallback(uri, experiment_name="exp", tags={"team": 1})
    logger.setup()
    run(logger, View(str(tmp_path / "t")), [{"loss": 1.0}, {"loss": 0.5, "val": {"acc": 0.9}, "s@x": 1}])
    client, found = only_run(uri)
    assert found.data.params == {"lr": "0.1", "net/layers": "2"}
    assert found.data.metrics["loss"] == 0.5
    assert found.data.metrics["val/acc"] == 0.9
    assert found.data.metrics["s_x"] == 1
    assert found.data.tags["team"] == "1"
    assert found.data.tags["trial_name"] == "00000"
    assert found.info.status == "FINISHED"
    assert [(m.step, m.value) for m in client.get_metric_history(found.info.run_id, "loss")] == [(1, 1.0), (2, 0.5)]


def test_failed_trial_is_a_failed_run(uri, tmp_path):
    logger = MLflowLoggerCallback(uri, experiment_name="exp", log_params_on_trial_end=True)
    run(logger, View(str(tmp_path / "t")), [], end="error")
    _, found = only_run(uri)
    assert found.info.status == "FAILED"
    assert found.data.params["lr"] == "0.1"


def test_restored_experiment_goes_on_in_the_same_run(uri, tmp_path):
    trial = View(str(tmp_path / "t"))
    before = MLflowLoggerCallback(uri, experiment_name="exp")
    run(before, trial, [{"loss": 1.0}], end=None)
    after = MLflowLoggerCallback(uri, experiment_name="exp")
    after.set_state(before.get_state())
    run(after, trial, [{"loss": 0.5}])
    _, found = only_run(uri)
    assert found.data.metrics["loss"] == 0.5


def test_folder_is_uploaded_if_asked(uri, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "model.txt").write_text("m")
    run(MLflowLoggerCallback(uri, experiment_name="exp", save_artifact=True), View(str(tmp_path / "t")), [{"loss": 1}])
    client, found = only_run(uri)
    assert [artifact.path for artifact in client.list_artifacts(found.info.run_id)] == ["model.txt"]
