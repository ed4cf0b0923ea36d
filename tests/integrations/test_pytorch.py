"""Plain PyTorch as the guide has it: checkpoints of model and optimizer, for retries, pauses and exploits."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import tune_core as tune
from integrations.runs import Broken, exploit_at, history, pause_at, run, stop_at

X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
Y = (X.sum(dim=1) > 0).long()
EPOCHS = 6


def train(config: dict[str, Any], broken: Path | None = None) -> Any:
    torch.manual_seed(0)
    model = torch.nn.Linear(5, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)
    first = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            state = torch.load(os.path.join(folder, "state.pt"))
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]
        for group in optimizer.param_groups:
            group["lr"] = config["lr"]
    for epoch in range(first, EPOCHS):
        for batch in torch.arange(64).split(16):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(X[batch]), Y[batch]).backward()
            optimizer.step()
        loss = torch.nn.functional.cross_entropy(model(X), Y).detach()
        with tempfile.TemporaryDirectory() as folder:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1}
            torch.save(state, os.path.join(folder, "state.pt"))
            kept = tune.Checkpoint.from_directory(folder)
            tune.report({"loss": loss, "lr": optimizer.param_groups[0]["lr"]}, checkpoint=kept)
        if broken is not None and epoch == 2 and not broken.exists():
            broken.touch()
            raise Broken
    return model


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    return history(run(lambda config: train({"lr": 0.1}), tmp_path_factory.mktemp("straight")), "loss")


def test_training_outside_of_a_trial_is_the_same(straight: list[float]) -> None:
    loss = torch.nn.functional.cross_entropy(train({"lr": 0.1})(X), Y)
    assert loss.item() == pytest.approx(straight[-1], abs=1e-6)


def test_training_broken_off_and_resumed_equals_one_that_was_not(tmp_path: Path, straight: list[float]) -> None:
    result = run(lambda config: train({"lr": 0.1}, tmp_path / "broken"), tmp_path, max_failures=1)
    assert history(result, "loss") == pytest.approx(straight, abs=1e-6)


def test_paused_training_equals_one_that_was_not(tmp_path: Path, straight: list[float]) -> None:
    result = run(lambda config: train({"lr": 0.1}), tmp_path, scheduler=pause_at(3))
    assert history(result, "loss") == pytest.approx(straight, abs=1e-6)


def test_training_is_left_from_inside_the_report_that_stops_it(tmp_path: Path) -> None:
    result = run(lambda config: train({"lr": 0.1}), tmp_path, scheduler=stop_at(2))
    assert result.metrics["training_iteration"] == 2
    assert result.error is None


def test_exploiting_trial_goes_on_with_the_new_learning_rate(tmp_path: Path, straight: list[float]) -> None:
    result = run(train, tmp_path, {"lr": 0.1}, scheduler=exploit_at(3, {"lr": 0.01}))
    assert history(result, "lr") == [0.1] * 3 + [0.01] * 3
    assert history(result, "loss")[:3] == pytest.approx(straight[:3], abs=1e-6)
