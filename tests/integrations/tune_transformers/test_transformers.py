"""The callback of Hugging Face's Trainer: what it reports, how it stops, saves and resumes; silence elsewhere."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import torch

import tune_core as tune
from integrations.runs import Broken, exploit_at, history, pause_at, run, stop_at
from tune_core.errors import InvalidArgumentError, TrialError
from tune_transformers import TuneReportCallback, TuneReportCheckpointCallback, get_folder, resume

transformers.logging.set_verbosity_error()
logging.getLogger("transformers").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")

X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
DATA = [{"x": x, "labels": (x.sum() > 0).long()} for x in X]
STEPS = 4  # an epoch


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))

    def forward(self, x: Any, labels: Any) -> Any:
        logits = self.layers(x)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def trainer(folder: Path, *callbacks: Any, epochs: int = 3, lr: float = 0.1, **how: Any) -> Any:
    arguments = {
        "num_train_epochs": epochs,
        "per_device_train_batch_size": len(DATA) // STEPS,
        "learning_rate": lr,
        "lr_scheduler_type": "constant",
        "optim": "adamw_torch",
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 0,
    }
    own = transformers.Trainer(
        Net(),
        transformers.TrainingArguments(str(folder), **{**arguments, **how}),
        train_dataset=DATA,
        eval_dataset=DATA[:32],
        callbacks=list(callbacks),
    )
    own.remove_callback(transformers.PrinterCallback)
    return own


def assert_same(mine: Any, other: Any) -> None:
    for a, b in zip(mine.model.parameters(), other.model.parameters()):
        assert torch.allclose(a, b, atol=1e-6)


class Watch(transformers.TrainerCallback):
    """Breaks the training off after an epoch, the first time; notes its end."""

    def __init__(self, flag: Path | None = None, after: int = 0) -> None:
        self.flag, self.after, self.ends = flag, after, 0

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.flag is not None and round(state.epoch or 0) == self.after and not self.flag.exists():
            self.flag.touch()
            raise Broken

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.ends += 1


def test_every_evaluation_is_reported(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        own = trainer(tmp_path / "out", TuneReportCallback())
        own.train()
        own.evaluate()  # outside of the training: not reported

    result = run(objective, tmp_path)
    assert result.metrics["training_iteration"] == 3
    assert type(result.metrics["eval_loss"]) is float


def test_training_log_is_reported_if_asked_for(tmp_path: Path) -> None:
    callback = TuneReportCallback({"loss": "loss"}, on="log")
    result = run(lambda config: trainer(tmp_path / "out", callback, logging_steps=2).train(), tmp_path)
    assert result.metrics["training_iteration"] == 3 * STEPS // 2


def test_metric_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"'eval_accuracy'.*'eval_loss'"):
        run(lambda config: trainer(tmp_path / "out", TuneReportCallback("eval_accuracy")).train(), tmp_path)


def test_hook_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="'epoch_end'"):
        TuneReportCallback(on="epoch_end")


def test_verdict_of_the_scheduler_ends_the_training_the_frameworks_way(tmp_path: Path) -> None:
    end = Watch()
    result = run(
        lambda config: trainer(tmp_path / "out", TuneReportCheckpointCallback(frequency=0), end, epochs=50).train(),
        tmp_path,
        scheduler=stop_at(2),
    )
    assert end.ends == 1
    assert result.metrics["training_iteration"] == 2
    assert Path(get_folder(result.checkpoint), "trainer_state.json").exists()


def test_stop_condition_ends_the_training_and_its_model_is_kept(tmp_path: Path) -> None:
    callback = TuneReportCheckpointCallback(frequency=0)
    result = run(
        lambda config: trainer(tmp_path / "out", callback, epochs=50).train(), tmp_path, stop={"training_iteration": 2}
    )
    assert result.metrics["training_iteration"] == 2
    assert Path(result.checkpoint.path).name == "checkpoint_000002"


def test_what_the_trainer_saves_by_itself_is_kept(tmp_path: Path) -> None:
    callback = TuneReportCheckpointCallback(frequency=0)
    result = run(lambda config: trainer(tmp_path / "out", callback, save_strategy="epoch").train(), tmp_path)
    assert [Path(c.path).name for c, _ in result.best_checkpoints] == [f"checkpoint_{n:06d}" for n in (1, 2, 3)]


def test_training_broken_off_and_resumed_equals_one_that_was_not(tmp_path: Path) -> None:
    trainers: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        callbacks = (TuneReportCheckpointCallback(), Watch(tmp_path / "broken", 2))
        trainers.append(trainer(tmp_path / "out", *callbacks, epochs=4, lr_scheduler_type="linear"))
        trainers[-1].train(**resume())

    result = run(objective, tmp_path, max_failures=1)
    straight = trainer(tmp_path / "straight", epochs=4, lr_scheduler_type="linear")
    straight.train()
    assert len(trainers) == 2
    assert_same(trainers[1], straight)
    assert result.metrics["training_iteration"] == 4
    assert result.metrics["eval_loss"] == pytest.approx(straight.state.log_history[-2]["eval_loss"], abs=1e-6)


def test_paused_training_resumes_from_where_it_was_paused(tmp_path: Path) -> None:
    trainers: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        trainers.append(trainer(tmp_path / "out", TuneReportCheckpointCallback(frequency=0), epochs=4))
        trainers[-1].train(**resume())

    result = run(objective, tmp_path, scheduler=pause_at(2))
    straight = trainer(tmp_path / "straight", epochs=4)
    straight.train()
    assert_same(trainers[1], straight)
    assert len(history(result, "eval_loss")) == 4


def test_exploiting_trial_takes_the_state_of_the_checkpoint_and_the_new_learning_rate(tmp_path: Path) -> None:
    trainers: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        trainers.append(trainer(tmp_path / "out", TuneReportCheckpointCallback(), epochs=4, lr=config["lr"]))
        trainers[-1].train(**resume())

    run(objective, tmp_path, {"lr": 0.1}, scheduler=exploit_at(2, {"lr": 0.001}))
    rates = [entry["learning_rate"] for entry in trainers[-1].state.log_history if "learning_rate" in entry]
    assert trainers[-1].optimizer.param_groups[0]["lr"] == pytest.approx(0.001)
    assert trainers[-1].state.global_step == 4 * STEPS
    assert all(rate in (0.1, 0.001) for rate in rates)


def test_outside_of_a_run_nothing_happens(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    own = trainer(tmp_path / "mine", TuneReportCheckpointCallback("no such metric"))
    own.train(**resume())
    mine = capfd.readouterr()
    other = trainer(tmp_path / "other")
    other.train()
    assert_same(own, other)
    assert [p.name for p in tmp_path.rglob("*") if "mine" in str(p) and p.is_file()] == []
    assert mine.err == ""


def test_callback_can_be_pickled_and_copied() -> None:
    callback = TuneReportCheckpointCallback({"loss": "eval_loss"}, "log", 3, False)
    for again in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        assert vars(again) == vars(callback)


def test_callback_made_in_the_driver_works_in_a_worker_process(tmp_path: Path) -> None:
    callback = TuneReportCheckpointCallback({"score": "eval_loss"})

    def objective(config: dict[str, Any], callback: Any) -> None:
        trainer(tmp_path / "out", callback).train()

    result = run(tune.with_parameters(objective, callback=callback), tmp_path, executor="local", metric="score")
    assert result.metrics["training_iteration"] == 3


@pytest.mark.parametrize("metrics", [{"loss": "eval_first_loss"}, {"loss": "eval_second_loss"}, None])
def test_an_evaluation_of_several_sets_is_one_result_and_is_stopped_there(tmp_path: Path, metrics: Any) -> None:
    trainers: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        own = trainer(tmp_path / "out", TuneReportCallback(metrics))
        own.eval_dataset = {"first": DATA[:32], "second": DATA[32:]}
        trainers.append(own)
        own.train()

    whole = run(objective, tmp_path, name="whole")
    stopped = run(objective, tmp_path, name="stopped", scheduler=stop_at(2))

    log = trainers[0].state.log_history
    for name, theirs in (
        metrics or {"eval_first_loss": "eval_first_loss", "eval_second_loss": "eval_second_loss"}
    ).items():
        assert history(whole, name) == [entry[theirs] for entry in log if theirs in entry]
    assert len(whole._history()) == 3 and len(stopped._history()) == 2
    assert trainers[1].state.global_step == 2 * STEPS


def test_saving_the_best_only_does_not_cancel_what_the_callback_saves(tmp_path: Path) -> None:
    trainers: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        scores = iter([1.0, 3.0, 2.0, 0.5])
        how = {"save_strategy": "best", "metric_for_best_model": "score", "epochs": 4}
        trainers.append(trainer(tmp_path / "out", TuneReportCheckpointCallback({"score": "eval_score"}), **how))
        trainers[0].compute_metrics = lambda _: {"score": next(scores)}
        trainers[0].train()

    result = run(objective, tmp_path)

    assert [metrics["score"] for _, metrics in result.best_checkpoints] == [1.0, 3.0, 2.0, 0.5]
    for (checkpoint, _), epoch in zip(result.best_checkpoints, (1, 2, 3, 4)):
        state = json.loads(Path(checkpoint.path, "trainer_state.json").read_text())
        assert state["global_step"] == epoch * STEPS
    assert Path(trainers[0].state.best_model_checkpoint).name == f"checkpoint-{2 * STEPS}"
    assert type(trainers[0].control) is transformers.TrainerControl
