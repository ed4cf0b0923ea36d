"""What the callbacks of gradient boosting libraries have in common: when they save, resume, and are silent."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tune_core as tune
from integrations.runs import exploit_at, pause_at, run
from tune_core.errors import CheckpointError, InvalidArgumentError


class BoostingContract:
    """Tests of a library's callback for its ``train``; a subclass names the library and says how to train with it."""

    library: str
    loss: str  # as the callback calls it
    rate: str  # the parameter of the learning rate
    model_argument: str  # of ``train``: the model to go on from
    model_file: str
    train: Callable[..., Any]
    predictions: Callable[[Any], Any]
    rounds: Callable[[Any], int]
    break_off: Callable[[Path, int], Any]  # a callback that breaks the training off after a round, the first time

    @property
    def ours(self) -> Any:
        return importlib.import_module(f"tune_{self.library}")

    def callback(self, *arguments: Any, **named: Any) -> Any:
        return self.ours.TuneReportCheckpointCallback(*arguments, **named)

    def test_model_is_saved_at_the_end_only_unless_a_frequency_says_more(self, tmp_path: Path) -> None:
        at_end = run(lambda config: self.train(self.callback()), tmp_path, name="end")
        often = run(lambda config: self.train(self.callback(frequency=4)), tmp_path, name="often")
        never = run(lambda config: self.train(self.callback(checkpoint_at_end=False)), tmp_path, name="never")
        assert [Path(c.path).name for c, _ in at_end.best_checkpoints] == ["checkpoint_000010"]
        assert [Path(c.path).name for c, _ in often.best_checkpoints] == [f"checkpoint_{n:06d}" for n in (4, 8, 10)]
        assert never.checkpoint is None

    def test_model_comes_back_from_a_results_checkpoint(self, tmp_path: Path) -> None:
        models: list[Any] = []
        result = run(lambda config: models.append(self.train(self.callback(filename="m.json"))), tmp_path)
        loaded = self.ours.TuneReportCheckpointCallback.get_model(result.checkpoint, "m.json")
        assert np.array_equal(self.predictions(loaded), self.predictions(models[0]))
        with pytest.raises(CheckpointError, match=f"no file '{self.model_file}', it has m.json"):
            self.ours.get_model(result.checkpoint)

    def test_training_broken_off_and_resumed_equals_one_that_was_not(self, tmp_path: Path) -> None:
        models: list[Any] = []

        def objective(config: dict[str, Any]) -> None:
            callbacks = self.callback(frequency=4), self.break_off(tmp_path / "broken", 7)
            models.append(self.train(*callbacks, **self.ours.resume(num_boost_round=20)))

        result = run(objective, tmp_path, max_failures=1)
        assert (tmp_path / "broken").exists()
        assert np.allclose(self.predictions(models[0]), self.predictions(self.train(rounds=20)), atol=1e-6)
        assert result.metrics["training_iteration"] == 20
        assert [Path(c.path).name[:17] for c, _ in result.best_checkpoints] == [
            f"checkpoint_{n:06d}"
            for n in (4, 8, 12, 16, 20)  # the round is the library's own, counted on
        ]

    def test_paused_training_resumes_from_the_round_at_which_it_was_paused(self, tmp_path: Path) -> None:
        models: list[Any] = []

        def objective(config: dict[str, Any]) -> None:
            models.append(self.train(self.callback(), **self.ours.resume(num_boost_round=12)))

        result = run(objective, tmp_path, scheduler=pause_at(5))
        assert [self.rounds(model) for model in models] == [5, 12]
        assert np.allclose(self.predictions(models[1]), self.predictions(self.train(rounds=12)), atol=1e-6)
        assert result.metrics["training_iteration"] == 12

    def test_exploiting_trial_goes_on_with_the_new_configuration(self, tmp_path: Path) -> None:
        models: list[Any] = []

        def objective(config: dict[str, Any]) -> None:
            models.append(self.train(self.callback(), params=config, **self.ours.resume(num_boost_round=8)))

        run(objective, tmp_path, {self.rate: 0.3}, scheduler=exploit_at(4, {self.rate: 0.01}))
        first = self.train(rounds=4, params={self.rate: 0.3})
        both = self.train(rounds=4, params={self.rate: 0.01}, **{self.model_argument: first})
        assert np.allclose(self.predictions(models[-1]), self.predictions(both), atol=1e-6)

    def test_outside_of_a_run_nothing_happens(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        model = self.train(self.callback("no such metric", frequency=1), **self.ours.resume(num_boost_round=10))
        assert np.array_equal(self.predictions(model), self.predictions(self.train()))
        assert list(tmp_path.iterdir()) == []
        assert capfd.readouterr() == ("", "")

    def test_callback_made_in_the_driver_works_in_a_worker_process(self, tmp_path: Path) -> None:
        train = type(self).train

        def objective(config: dict[str, Any], callback: Any) -> None:
            train(callback, rounds=3)

        callback = self.callback({"loss": self.loss})
        result = run(tune.with_parameters(objective, callback=callback), tmp_path, executor="local", metric="loss")
        assert result.metrics["training_iteration"] == 3

    @pytest.mark.parametrize("frequency", [-1, 1.5, True, "1"])
    def test_frequency_that_counts_nothing_is_refused(self, frequency: Any) -> None:
        with pytest.raises(InvalidArgumentError, match="frequency"):
            self.callback(frequency=frequency)

    def test_import_path_of_ray_tune_gives_the_same_callback(self) -> None:
        theirs = importlib.import_module(f"tune_core.integration.{self.library}")
        assert theirs.TuneReportCheckpointCallback is self.ours.TuneReportCheckpointCallback
