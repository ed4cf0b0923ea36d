"""Data-parallel training in a trial of several processes: the same numbers as in one, whatever the framework."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune

torch = pytest.importorskip("torch")

from distributed.linear_model import data, model, trained_by_all


def losses(train: Callable[..., Any], folder: Path, workers: int, **config: Any) -> list[float]:
    """The loss after each step."""
    results = tune.Tuner(
        tune.with_workers(train, workers, {"cpu": 0.25}),
        param_space={"lr": 0.1, **config},
        run_config=tune.RunConfig(name=f"{workers}", storage_path=str(folder), verbose=0),
    ).fit()
    assert results.num_errors == 0, results.errors
    frame = results[0].metrics_dataframe
    return [float(loss) for loss in frame["loss"]]


def plain(config: dict[str, Any]) -> None:
    trained_by_all(config, torch.nn.parallel.DistributedDataParallel)


def sharded(config: dict[str, Any]) -> None:
    """With fully sharded parameters."""
    from torch.distributed.fsdp import fully_shard

    trained_by_all(config, fully_shard)


def accelerated(config: dict[str, Any]) -> None:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    dataset = torch.utils.data.TensorDataset(*data())
    loader = torch.utils.data.DataLoader(dataset, batch_size=64 // accelerator.num_processes)
    trained = model()
    optimizer = torch.optim.SGD(trained.parameters(), lr=config["lr"])
    trained, optimizer, loader = accelerator.prepare(trained, optimizer, loader)
    for _ in range(5):
        for X, y in loader:
            optimizer.zero_grad()
            loss = ((trained(X) - y) ** 2).mean()
            accelerator.backward(loss)
            optimizer.step()
        tune.report({"loss": accelerator.gather(loss.detach().reshape(1)).mean().item()})


def lightning(config: dict[str, Any]) -> None:
    """Lightning's ``ddp``: it must not run the driver's script again."""
    import pytorch_lightning as pl

    from tune_lightning import TuneReportCallback

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = model()

        def training_step(self, batch: Any, index: int) -> Any:
            return ((self.layer(batch[0]) - batch[1]) ** 2).mean()

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("loss", ((self.layer(batch[0]) - batch[1]) ** 2).mean(), sync_dist=True)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=config["lr"])

    size = int(os.environ["WORLD_SIZE"])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), batch_size=64 // size)
    trainer = pl.Trainer(
        max_epochs=3, accelerator="cpu", devices=size, strategy="ddp", callbacks=[TuneReportCallback()],
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, logger=False,
        num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(Module(), loader, loader)


class Regression(torch.nn.Module):
    """The model as Hugging Face's Trainer wants it: it returns its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = model()

    def forward(self, x: Any, labels: Any) -> Any:
        found = self.layer(x)
        return {"loss": ((found - labels) ** 2).mean(), "logits": found}


def hugging_face(config: dict[str, Any]) -> None:
    """A Trainer of transformers, which finds the environment that torchrun would have set."""
    import transformers

    from tune_transformers import TuneReportCallback

    X, y = data()
    rows = [{"x": x, "labels": label} for x, label in zip(X, y, strict=True)]
    arguments = transformers.TrainingArguments(
        str(Path(tune.get_context().get_trial_dir(), "out")), num_train_epochs=4, learning_rate=0.1, optim="sgd",
        per_device_train_batch_size=64 // int(os.environ["WORLD_SIZE"]), per_device_eval_batch_size=32,
        lr_scheduler_type="constant", eval_strategy="epoch", save_strategy="no", report_to=[], disable_tqdm=True,
        use_cpu=True, seed=0, max_grad_norm=0.0,
    )  # fmt: skip
    trainer = transformers.Trainer(
        Regression(),
        arguments,
        train_dataset=rows,
        eval_dataset=rows,
        callbacks=[TuneReportCallback({"loss": "eval_loss"})],
    )
    trainer.train()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("train", "needs", "counts"),
    [
        (plain, "torch", [2, 4]),
        (sharded, "torch", [2]),
        (accelerated, "accelerate", [2]),
        (lightning, "pytorch_lightning", [2]),
        (hugging_face, "transformers", [2]),
    ],
)
def test_several_processes_learn_what_one_learns(
    tmp_path: Path, train: Callable[..., Any], needs: str, counts: list[int]
) -> None:
    pytest.importorskip(needs)
    alone = losses(train if train is not sharded else plain, tmp_path, 1)
    assert len(alone) >= 3 and alone[-1] < alone[0]
    for count in counts:
        assert losses(train, tmp_path, count) == pytest.approx(alone, rel=1e-5)


def boosted(config: dict[str, Any]) -> None:
    import xgboost
    from sklearn.datasets import load_breast_cancer

    from tune_xgboost import TuneReportCallback
    from tune_xgboost.distributed import communicator

    X, y = load_breast_cancer(return_X_y=True)
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    with communicator():
        rows = xgboost.DMatrix(X[rank::size], y[rank::size])
        settings = {"objective": "binary:logistic", "max_depth": 2, "tree_method": "hist", "nthread": 1}
        callbacks = [TuneReportCallback({"loss": "train-logloss"})]
        xgboost.train(settings, rows, 5, evals=[(rows, "train")], verbose_eval=False, callbacks=callbacks)


@pytest.mark.timeout(300)
def test_xgboost_trains_one_model_over_all_rows(tmp_path: Path) -> None:
    pytest.importorskip("xgboost")
    pytest.importorskip("sklearn")
    alone, together = losses(boosted, tmp_path, 1), losses(boosted, tmp_path, 2)
    assert len(together) == 5
    assert together == pytest.approx(alone, rel=0.02)  # the histogram's bins are those of sketches that were merged


def boosted_by_lightgbm(config: dict[str, Any]) -> None:
    import lightgbm
    from sklearn.datasets import load_breast_cancer

    from tune_lightgbm import TuneReportCheckpointCallback
    from tune_lightgbm.distributed import machines

    X, y = load_breast_cancer(return_X_y=True)
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    rows = lightgbm.Dataset(X[rank::size], y[rank::size], free_raw_data=False)
    settings = {"objective": "binary", "num_leaves": 4, "min_data_in_leaf": 5, "num_threads": 1, "verbose": -1}
    lightgbm.train(
        {**settings, **machines()},
        rows,
        config.get("rounds", 5),
        valid_sets=[rows.create_valid(X, y)],
        valid_names=["all"],
        callbacks=[TuneReportCheckpointCallback({"loss": "all-binary_logloss"}, frequency=2)],
    )


@pytest.mark.timeout(300)
def test_lightgbm_trains_one_model_over_all_rows(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    pytest.importorskip("sklearn")
    alone = losses(boosted_by_lightgbm, tmp_path, 1)
    for count in (2, 3):
        together = losses(boosted_by_lightgbm, tmp_path, count)
        assert len(together) == 5
        assert together == pytest.approx(alone, rel=0.02)  # each rank finds the bins of a part of the columns


@pytest.mark.timeout(300)
def test_stop_of_the_scheduler_ends_lightgbm_in_all_ranks_and_the_model_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    pytest.importorskip("sklearn")
    import numpy as np
    from sklearn.datasets import load_breast_cancer

    from tune_lightgbm import get_model

    result = tune.Tuner(
        tune.with_workers(boosted_by_lightgbm, 2, {"cpu": 0.25}),
        param_space={"rounds": 1000},
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, stop={"training_iteration": 3}),
    ).fit()[0]
    assert result.error is None
    assert result.metrics["training_iteration"] == 3
    X, y = load_breast_cancer(return_X_y=True)
    rates = get_model(result.checkpoint).predict(X)
    assert result.metrics["loss"] == pytest.approx(-np.mean(np.log(np.where(y == 1, rates, 1 - rates))), rel=1e-5)


def test_lightgbm_outside_of_with_workers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightgbm")
    from tune_core.errors import TuneError
    from tune_lightgbm.distributed import machines

    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(TuneError, match=r"(?s)RANK.*with_workers"):
        machines()
