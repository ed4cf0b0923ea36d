"""What a run says of a mistake of the user's: once, about the right part, and at the right line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import SearchSpaceError, UserCodeError


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
