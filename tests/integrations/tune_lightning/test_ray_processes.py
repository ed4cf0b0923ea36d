"""Lightning training in two processes inside a trial on a Ray actor, with a place for each in its placement group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("pytorch_lightning")

import tune_core as tune
from integrations.runs import run, stop_at
from integrations.tune_lightning.net import Counts, Net, loader, trainer
from tune_lightning import TuneReportCheckpointCallback, get_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()


def test_two_processes_in_a_placement_group_report_save_and_stop_alike(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        callback = TuneReportCheckpointCallback(["val_loss", "epoch_now"], frequency=0)
        own = trainer(callback, Counts(tmp_path), strategy="ddp_spawn", devices=2, max_epochs=50)
        own.fit(Net(), loader(), loader())

    places = tune.PlacementGroupFactory([{"CPU": 1}, {"CPU": 1}])
    result = run(objective, tmp_path, executor="ray", metric="val_loss", scheduler=stop_at(2), resources=places)
    assert result.error is None
    assert result.metrics["training_iteration"] == 2
    assert {(tmp_path / f"ended_{rank}").read_text() for rank in (0, 1)} == {"2"}
    assert isinstance(get_model(result.checkpoint, Net), Net)
