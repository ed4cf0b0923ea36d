"""Lightning's callback in one process: what it reports and when, how it stops, saves and resumes."""

from __future__ import annotations

import copy
import itertools
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytorch_lightning")

import torch

import tune_core as tune
from integrations.runs import exploit_at, history, pause_at, run, stop_at
from integrations.tune_lightning.net import BATCHES, BreakOff, Counts, Net, loader, make_net_class, trainer
from tune_core.errors import CheckpointError, InvalidArgumentError, TrialError
from tune_lightning import TuneReportCallback, TuneReportCheckpointCallback, get_model, resume

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")


def fit(*callbacks: Any, net: Any = None, start: Any = None, validate: bool = True, **how: Any) -> Any:
    net = net or Net()
    trainer(*callbacks, **how).fit(net, loader(), loader() if validate else None, **(start or {}))
    return net


def assert_same(net: Any, other: Any) -> None:
    for mine, theirs in zip(net.parameters(), other.parameters()):
        assert torch.allclose(mine, theirs, atol=1e-6)


# --- reporting --------------------------------------------------------------------------------------------------------


def test_every_epoch_is_reported_with_all_its_metrics_as_plain_numbers(tmp_path: Path) -> None:
    result = run(lambda config: fit(TuneReportCallback()), tmp_path)
    assert result.metrics["training_iteration"] == 3
    for name in ("train_loss", "train_loss_step", "train_loss_epoch", "val_loss"):
        assert type(result.metrics[name]) is float


def test_metrics_of_a_report_are_all_of_the_same_epoch(tmp_path: Path) -> None:
    result = run(lambda config: fit(TuneReportCallback()), tmp_path)
    assert history(result, "epoch_now") == [0.0, 1.0, 2.0]  # logged by the module's own hook of the epoch's end
    for epochs in (1, 2, 3):
        straight = fit(max_epochs=epochs).trainer.callback_metrics
        assert history(result, "val_loss")[epochs - 1] == pytest.approx(float(straight["val_loss"]))
        assert history(result, "train_loss_epoch")[epochs - 1] == pytest.approx(float(straight["train_loss_epoch"]))


@pytest.mark.parametrize(
    ("metrics", "names"),
    [("val_loss", {"val_loss"}), (["train_loss"], {"train_loss"}), ({"score": "val_loss"}, {"score"})],
)
def test_metrics_are_chosen_and_renamed(tmp_path: Path, metrics: Any, names: set[str]) -> None:
    result = run(lambda config: fit(TuneReportCallback(metrics)), tmp_path)
    assert {m for m in result.metrics if m in ("train_loss", "val_loss", "score")} == names


def test_metric_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"'val_acc'.*'train_loss', 'train_loss_epoch', 'train_loss_step', 'val_loss'"):
        run(lambda config: fit(TuneReportCallback("val_acc")), tmp_path)


@pytest.mark.parametrize("on", [None, "validation_end", "train_epoch_end"])
def test_sanity_check_is_not_reported(tmp_path: Path, on: Any) -> None:
    result = run(lambda config: fit(TuneReportCallback("val_loss", on=on), num_sanity_val_steps=2), tmp_path)
    assert result.metrics["training_iteration"] == 3


def test_training_without_validation_is_reported_once_an_epoch(tmp_path: Path) -> None:
    result = run(lambda config: fit(TuneReportCallback("train_loss"), validate=False), tmp_path)
    assert result.metrics["training_iteration"] == 3


def test_epochs_without_validation_are_left_out_so_that_no_value_is_stale(tmp_path: Path) -> None:
    callback = TuneReportCallback(["val_loss", "epoch_now"])
    result = run(lambda config: fit(callback, max_epochs=6, check_val_every_n_epoch=3), tmp_path)
    assert history(result, "epoch_now") == [2.0, 5.0]


@pytest.mark.parametrize("metrics", [None, ["val_loss"], ["val_loss", "epoch_now", "train_loss_epoch"]])
def test_each_validation_of_an_epoch_is_a_result_with_what_was_computed_by_then(tmp_path: Path, metrics: Any) -> None:
    asked = run(
        lambda config: fit(TuneReportCallback("val_loss", on="validation_end"), val_check_interval=0.5),
        tmp_path,
        name="asked",
    )
    result = run(lambda config: fit(TuneReportCallback(metrics), val_check_interval=0.5), tmp_path, name="each")

    rows = result._history()
    assert [row["val_loss"] for row in rows] == history(asked, "val_loss")
    assert len(rows) == 6
    if metrics != ["val_loss"]:  # an epoch's own values come at its end only
        assert [row.get("epoch_now") for row in rows] == [None, 0.0, None, 1.0, None, 2.0]
        assert ["train_loss_epoch" in row for row in rows] == [False, True] * 3


def test_only_an_epochs_own_metrics_are_no_result_amid_the_epoch(tmp_path: Path) -> None:
    result = run(lambda config: fit(TuneReportCallback("epoch_now"), val_check_interval=0.5), tmp_path)
    assert history(result, "epoch_now") == [0.0, 1.0, 2.0]


def test_a_stream_of_steps_is_reported_at_each_validation_and_stops_there(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        own = trainer(TuneReportCheckpointCallback("val_loss"), max_steps=20, max_epochs=-1, val_check_interval=5)
        own.fit(Net(), itertools.cycle(loader()), loader())
        steps.append(own.global_step)

    steps: list[int] = []
    whole = run(objective, tmp_path, name="whole")
    stopped = run(objective, tmp_path, scheduler=stop_at(2), name="stopped")

    assert (len(whole._history()), len(stopped._history()), steps) == (4, 2, [20, 10])
    saved = [torch.load(f"{c.path}/checkpoint", weights_only=False)["global_step"] for c, _ in whole.best_checkpoints]
    assert saved == [5, 10, 15, 20]


@pytest.mark.parametrize("has_own", [False, True])
def test_the_trainer_finds_the_users_own_early_stopping_and_no_other(tmp_path: Path, has_own: bool) -> None:
    from pytorch_lightning.callbacks import EarlyStopping

    seen: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        own = [EarlyStopping("val_loss", patience=1, min_delta=10.0)] if has_own else []
        made = trainer(TuneReportCallback("val_loss"), *own, max_epochs=4)
        made.fit(Net(), loader(), loader())
        seen.append((made.early_stopping_callbacks == own, len(made.callbacks), made.current_epoch))

    objective({})  # outside of a trial
    result = run(objective, tmp_path)

    assert seen[0] == seen[1] and seen[0][0]
    assert len(result._history()) == (2 if has_own else 4)


def test_validation_alone_is_a_result_where_it_is_asked_for(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        own = trainer(TuneReportCallback("val_loss", on="validation_end"))
        values.extend(own.validate(Net(), loader(), verbose=False)[0]["val_loss"] for _ in range(2))

    values: list[float] = []
    result = run(objective, tmp_path)
    assert history(result, "val_loss") == pytest.approx(values)


def test_validation_outside_of_fit_is_not_reported(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        own = trainer(TuneReportCallback("val_loss", on="validation_end"))
        net = Net()
        own.fit(net, loader(), loader())
        own.validate(net, loader(), verbose=False)

    assert run(objective, tmp_path).metrics["training_iteration"] == 3


@pytest.mark.parametrize("hook", ["batch_end", "train_batch_end", "on_train_batch_end"])
def test_batches_are_reported_if_asked_for(tmp_path: Path, hook: str) -> None:
    result = run(lambda config: fit(TuneReportCallback("train_loss_step", on=hook)), tmp_path)
    assert result.metrics["training_iteration"] == 3 * BATCHES


def test_hook_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'epoch_finish'[\s\S]*train_epoch_end"):
        TuneReportCallback(on="epoch_finish")


def test_the_other_import_name_of_lightning_works_as_well(tmp_path: Path) -> None:
    pl = pytest.importorskip("lightning.pytorch")

    def objective(config: dict[str, Any]) -> None:
        own = trainer(TuneReportCheckpointCallback(), pl=pl)
        own.fit(make_net_class(pl)(), loader(), loader())

    result = run(objective, tmp_path)
    assert result.metrics["training_iteration"] == 3
    assert result.checkpoint is not None


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_verdict_of_the_scheduler_ends_the_training_the_frameworks_way(tmp_path: Path) -> None:
    nets: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        nets.append(fit(TuneReportCheckpointCallback(frequency=0), Counts(tmp_path), max_epochs=50))

    result = run(objective, tmp_path, scheduler=stop_at(2))
    assert (tmp_path / "ended_0").read_text() == "2"
    assert nets[0].trainer.state.finished
    assert result.metrics["training_iteration"] == 2
    assert Path(result.checkpoint.path).name == "checkpoint_000002"


def test_stop_does_not_wait_for_the_least_number_of_epochs(tmp_path: Path) -> None:
    callbacks = (TuneReportCallback(), Counts(tmp_path))
    run(lambda config: fit(*callbacks, min_epochs=10, max_epochs=50), tmp_path, stop={"training_iteration": 2})
    assert (tmp_path / "ended_0").read_text() == "2"


def test_stop_within_an_epoch_ends_it_and_the_last_result_is_the_one_that_stopped(tmp_path: Path) -> None:
    callbacks = (TuneReportCallback(on=["train_batch_end", "train_epoch_end", "validation_end"]), Counts(tmp_path))
    result = run(lambda config: fit(*callbacks, max_epochs=50), tmp_path, stop={"training_iteration": 2})
    assert (tmp_path / "ended_0").read_text() == "1"
    assert result.metrics["training_iteration"] == 2


def test_frameworks_own_early_stopping_keeps_the_last_epoch_and_its_model(tmp_path: Path) -> None:
    from pytorch_lightning.callbacks import EarlyStopping

    callbacks = (EarlyStopping("val_loss", patience=1, min_delta=1e9), TuneReportCheckpointCallback(frequency=0))
    result = run(lambda config: fit(*callbacks, max_epochs=50), tmp_path)
    assert result.metrics["training_iteration"] == 2
    assert Path(result.checkpoint.path).name == "checkpoint_000002"


def test_strategy_that_runs_the_script_again_is_refused(tmp_path: Path) -> None:
    result = run(lambda config: fit(TuneReportCallback(), strategy="ddp", devices=2), tmp_path)
    assert "ddp_spawn" in str(result.error)
    assert "start the whole tuning again" in str(result.error)


# --- checkpoints and resuming -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [None, "validation_end", "train_epoch_end"])
def test_training_broken_off_and_resumed_equals_one_that_was_not(tmp_path: Path, on: Any) -> None:
    nets: list[Any] = []
    gamma = 1.0 if on == "validation_end" else 0.8  # from there, Lightning 2.4 steps the rate's schedule once too often

    def objective(config: dict[str, Any]) -> None:
        net = Net(gamma=gamma)
        nets.append(net)
        fit(
            TuneReportCheckpointCallback(on=on),
            BreakOff(tmp_path / "broken", 2),
            net=net,
            max_epochs=4,
            start=resume(),
        )

    result = run(objective, tmp_path, max_failures=1)
    straight = fit(net=Net(gamma=gamma), max_epochs=4)
    assert len(nets) == 2
    assert_same(nets[1], straight)
    assert nets[1].optimizers().param_groups[0]["lr"] == pytest.approx(0.01 * gamma**4)
    assert result.metrics["training_iteration"] == 4
    assert result.metrics["val_loss"] == pytest.approx(float(straight.trainer.callback_metrics["val_loss"]), abs=1e-6)


def test_checkpoint_within_an_epoch_goes_on_within_it(tmp_path: Path) -> None:
    nets: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        nets.append(Net())
        fit(TuneReportCheckpointCallback("train_loss_step", on="batch_end"), net=nets[-1], max_epochs=2, start=resume())

    result = run(objective, tmp_path, scheduler=pause_at(BATCHES + 2))
    assert result.metrics["training_iteration"] - 2 * BATCHES in (0, 1)  # Lightning 2.4 repeats the batch
    assert nets[1].trainer.global_step == result.metrics["training_iteration"]
    assert nets[1].trainer.current_epoch == 2


def test_paused_training_resumes_from_the_epoch_at_which_it_was_paused(tmp_path: Path) -> None:
    nets: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        nets.append(Net(gamma=0.8))
        fit(TuneReportCheckpointCallback(frequency=0), net=nets[-1], max_epochs=4, start=resume())

    result = run(objective, tmp_path, scheduler=pause_at(2))
    assert_same(nets[1], fit(net=Net(gamma=0.8), max_epochs=4))
    assert result.metrics["training_iteration"] == 4


def test_exploiting_trial_takes_the_state_of_the_checkpoint_and_the_new_learning_rate(tmp_path: Path) -> None:
    nets: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        nets.append(Net(lr=config["lr"]))
        fit(TuneReportCheckpointCallback(), net=nets[-1], max_epochs=4, start=resume())

    run(objective, tmp_path, {"lr": 0.1}, scheduler=exploit_at(2, {"lr": 0.001}))
    net = Net(lr=0.1)  # the same by hand
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(4):
        optimizer.param_groups[0]["lr"] = 0.1 if epoch < 2 else 0.001
        for batch in loader():
            optimizer.zero_grad()
            net._loss(batch).backward()
            optimizer.step()
    assert nets[-1].optimizers().param_groups[0]["lr"] == pytest.approx(0.001)
    assert_same(nets[-1], net)


def test_module_comes_back_from_a_results_checkpoint(tmp_path: Path) -> None:
    nets: list[Any] = []
    callback = TuneReportCheckpointCallback(filename="net.ckpt")
    result = run(lambda config: nets.append(fit(callback, net=Net(lr=0.05))), tmp_path)
    loaded = TuneReportCheckpointCallback.get_model(result.checkpoint, Net, "net.ckpt")
    assert loaded.hparams["lr"] == 0.05
    assert_same(loaded, nets[0])
    with pytest.raises(CheckpointError, match=r"no file 'checkpoint', it has net\.ckpt"):
        get_model(result.checkpoint, Net)


def test_nothing_is_saved_if_told_so(tmp_path: Path) -> None:
    result = run(lambda config: fit(TuneReportCheckpointCallback(save_checkpoints=False)), tmp_path)
    assert result.metrics["training_iteration"] == 3
    assert result.checkpoint is None


def test_frequency_saves_every_so_many_reports_and_the_last(tmp_path: Path) -> None:
    result = run(lambda config: fit(TuneReportCheckpointCallback(frequency=2)), tmp_path)
    assert [Path(c.path).name for c, _ in result.best_checkpoints] == ["checkpoint_000002", "checkpoint_000003"]


def test_lightning_has_nothing_to_remark_upon_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger) and logger.name.startswith(("pytorch_lightning", "lightning")):
            monkeypatch.setattr(logger, "isEnabledFor", lambda level: True)
            monkeypatch.setattr(logger, "handle", lambda record: said.append(record.getMessage()))

    result = run(lambda config: fit(TuneReportCheckpointCallback(), start=resume()), tmp_path)

    assert len(result.best_checkpoints) == 3
    assert said and not [text for text in said if "weights_only" in text]


# --- outside of a run -------------------------------------------------------------------------------------------------


def test_outside_of_a_run_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    net = fit(TuneReportCheckpointCallback("no such metric", on=["batch_end", "epoch_end"]), start=resume())
    captured = capfd.readouterr()
    assert_same(net, fit())
    assert list(tmp_path.iterdir()) == []
    assert captured == ("", "")


def test_callback_can_be_pickled_and_copied() -> None:
    callback = TuneReportCheckpointCallback({"loss": "val_loss"}, "net", True, "batch_end", 3, False)
    for again in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        assert vars(again) == vars(callback)
    assert "_shared" not in vars(callback)


def test_callback_made_in_the_driver_works_in_a_worker_process(tmp_path: Path) -> None:
    callback = TuneReportCheckpointCallback({"score": "val_loss"})

    def objective(config: dict[str, Any], callback: Any) -> None:
        fit(callback)

    result = run(tune.with_parameters(objective, callback=callback), tmp_path, executor="local", metric="score")
    assert result.metrics["training_iteration"] == 3


def test_import_path_of_ray_tune_gives_the_same_callback() -> None:
    from tune_core.integration.pytorch_lightning import TuneReportCheckpointCallback as theirs

    assert theirs is TuneReportCheckpointCallback
