"""All results of all trials as one frame, in pandas and Polars."""

from __future__ import annotations

from pathlib import Path

import pytest
from journals import Run

import tune_core as tune
from tune_core.errors import InvalidArgumentError


@pytest.fixture
def grid(tmp_path: Path) -> tune.ResultGrid:
    run = Run(tmp_path / "run")
    run.trial([0.5, 0.25], x=1, opt="a")
    run.trial([0.75], x=2, deep={"er": 1.5})
    run.launch(run.suggest(x=3))
    run.end(2, "errored", error="Traceback\nValueError: no")
    run.exhaust()
    return tune.ResultGrid.from_path(run.save())


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_one_frame_has_every_result_with_its_configuration(grid: tune.ResultGrid, library: str) -> None:
    pytest.importorskip(library)
    frame = grid.get_metrics_dataframe(library)
    assert list(frame["trial_id"]) == ["00000", "00000", "00001"]
    assert list(frame["loss"]) == [0.5, 0.25, 0.75]
    assert list(frame["training_iteration"]) == [1, 2, 1]
    assert list(frame["config/x"]) == [1, 1, 2]
    assert frame["config/deep/er"][2] == 1.5


def test_the_property_is_the_pandas_frame_and_parquet_keeps_it(grid: tune.ResultGrid, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    grid.metrics_dataframe.to_parquet(tmp_path / "all.parquet")
    assert list(pandas.read_parquet(tmp_path / "all.parquet")["loss"]) == [0.5, 0.25, 0.75]


def test_another_library_is_refused(grid: tune.ResultGrid) -> None:
    with pytest.raises(InvalidArgumentError, match="dask"):
        grid.get_metrics_dataframe("dask")
