"""What a run says of a mistake of the user's: once, about the right part, and at the right line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError, SearchSpaceError, UserCodeError
from tune_core.schedulers import FIFOScheduler
from tune_core.search import BasicVariantGenerator


def tuner(folder: Path, space: Any = None, **run: Any) -> tune.Tuner:
    return tune.Tuner(
        lambda config: {"loss": config["x"]},
        param_space=space or {"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", seed=1),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0, executor="inline", **run),
    )


@pytest.mark.parametrize("failing", ["function", "cycle"])
def test_what_a_sample_from_raises_is_said_once_and_blames_no_searcher(tmp_path: Path, failing: str) -> None:
    def bad(spec: Any) -> float:
        raise RuntimeError("no")

    space = {
        "function": {"x": tune.sample_from(bad)},
        "cycle": {"x": tune.sample_from(lambda s: s.config.y), "y": tune.sample_from(lambda s: s.config.x)},
    }[failing]
    with pytest.raises((UserCodeError, SearchSpaceError)) as raised:
        tuner(tmp_path, space=space).fit()
    said = str(raised.value)
    assert said.startswith("param_space")
    assert ": UserCodeError" not in said and "is at fault" not in said


def test_a_warning_of_a_run_points_at_the_line_that_began_it(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="no result has so far") as caught:
        tuner(tmp_path, stop={"accuracies": 1.0}).fit()
    assert [warning.filename for warning in caught] == [__file__]


class Misspelt(tune.Callback):
    def on_trial_results(self, **info: Any) -> None:
        """Meant as on_trial_result."""

    def on_trial_compleet(self, **info: Any) -> None:
        """Meant as on_trial_complete."""

    def on_trial_start(self, **info: Any) -> None:
        self.on_trial_started()

    def on_trial_started(self) -> None:
        """A helper of a hook that is there."""

    def on_epoch_end(self) -> None:
        """Like no hook."""

    _on_trial_eror = None


class MisspeltSearcher(BasicVariantGenerator):
    def on_trial_resullt(self, trial_id: str, result: Any) -> None:
        """Meant as on_trial_result."""


class MisspeltScheduler(FIFOScheduler):
    def on_ressult(self, trial: Any, result: Any) -> None:
        """Meant as on_result."""


def test_a_misspelt_hook_is_named_once_with_the_right_one(tmp_path: Path) -> None:
    config = tune.TuneConfig(num_samples=2, search_alg=MisspeltSearcher(), scheduler=MisspeltScheduler())
    run = tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline", callbacks=[Misspelt(), Misspelt()])
    space = {"x": tune.uniform(0, 1)}
    with pytest.warns(UserWarning) as caught:
        tune.Tuner(lambda config: {"loss": 1}, param_space=space, tune_config=config, run_config=run).fit()
    said = [str(warning.message) for warning in caught]
    assert [(text.split()[0], text.split()[-1]) for text in said] == [
        ("Misspelt.on_trial_results", "'on_trial_result'?"),
        ("Misspelt.on_trial_compleet", "'on_trial_complete'?"),
        ("MisspeltScheduler.on_ressult", "'on_result'?"),
        ("MisspeltSearcher.on_trial_resullt", "'on_trial_result'?"),
    ]


@pytest.mark.parametrize(
    "kept, warns",
    [
        ({"checkpoint_score_attribute": "loss"}, True),  # "max", as in Ray Tune
        ({"checkpoint_score_attribute": "loss", "checkpoint_score_order": "min"}, False),
        ({"checkpoint_score_attribute": "other"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_keeping_the_worst_checkpoints_is_said(
    tmp_path: Path, kept: dict[str, Any], warns: bool, recwarn: pytest.WarningsRecorder
) -> None:
    tuner(tmp_path, checkpoint_config=tune.CheckpointConfig(num_to_keep=1, **kept)).fit()
    said = [str(w.message) for w in recwarn if "keeps the checkpoints with" in str(w.message)]
    assert len(said) == warns
    if warns:
        assert "keeps the checkpoints with the largest loss, while the run's mode is 'min'" in said[0]
        assert "Add checkpoint_score_order='min'" in said[0]


@pytest.mark.parametrize("name", ["a/b", " ", "", "..", "a\0b"])
def test_a_name_that_is_no_folder_s_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="it cannot be empty or hold a slash"):
        tune.RunConfig(name=name)


def test_an_experiment_of_a_lambda_has_a_name_that_needs_no_quotes(tmp_path: Path) -> None:
    results = tuner(tmp_path).fit()
    assert Path(results.experiment_path).name.startswith("lambda_20")
