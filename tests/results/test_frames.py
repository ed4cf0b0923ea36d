"""All results of all trials as one frame, in pandas and Polars, and each trial's own."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest
from journals import Run

import tune_core as tune
from tune_core.core.flatten import flatten
from tune_core.errors import InvalidArgumentError
from tune_core.journal import histories
from tune_core.journal.histories import history
from tune_core.results import export


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


# --- one by one -------------------------------------------------------------------------------------------------------

ODD: list[dict[str, object]] = [
    {},
    {"more": 1},
    {"more": None},
    {"more": "text"},
    {"more": True},
    {"more": 2**70},
    {"more": [1, 2]},
    {"more": float("nan")},
    {"more": {"deep": 1}},
]
"""What results have beside a loss: a trial of each, and of each two after one another."""


def of_all_kinds(folder: Path, times: int = 1) -> str:
    run = Run(folder)
    for _ in range(times):
        for number, first in enumerate(ODD):
            for second in (first, ODD[number - 1]):
                index = run.suggest(x=number if number % 2 else number / 2, kind="ab"[number % 2])
                run.launch(index)
                for i, more in enumerate((first, first, second)):
                    run.report(index, loss=i / 3, **more)
                run.end(index)
            run.launch(run.suggest(x=1))  # it has no results
            run.end(len(run.trials) - 1, "errored", error="ValueError: no")
    run.exhaust()
    return run.save()


def one_by_one(folder: str) -> list[object]:
    """The data frames that pandas makes of each trial's results."""
    pandas = pytest.importorskip("pandas")
    rows = history(folder)
    trials = tune.ResultGrid.from_path(folder)
    return [pandas.DataFrame([flatten(row) for row in rows[i]]) if i in rows else None for i, _ in enumerate(trials)]


def same(found: object, wanted: object) -> None:
    pandas = pytest.importorskip("pandas")
    assert (found is None) == (wanted is None)
    if wanted is not None:
        pandas.testing.assert_frame_equal(found, wanted, check_index_type="exact")


@pytest.mark.parametrize("order", ["in turn", "backwards", "at random", "each twice"])
def test_frames_that_are_read_together_are_those_that_each_trial_has(tmp_path: Path, order: str) -> None:
    folder = of_all_kinds(tmp_path / "run", 3)
    wanted = one_by_one(folder)
    grid = tune.ResultGrid.from_path(folder)
    places = list(range(len(grid)))
    if order == "backwards":
        places.reverse()
    elif order == "at random":
        random.Random(1).shuffle(places)
    elif order == "each twice":
        places = [place for one in places for place in (one, one)]
    for place in places:
        frame = grid[place].metrics_dataframe
        same(frame, wanted[place])
        if frame is not None:
            frame["loss"] = -1.0  # it is the caller's own
    frames = tune.ExperimentAnalysis(folder).trial_dataframes
    assert [len(frame) for frame in frames.values()] == [0 if one is None else len(one) for one in wanted]  # type: ignore[arg-type]
    for frame, one in zip(frames.values(), wanted, strict=True):
        same(None if one is None else frame, one)


@pytest.mark.parametrize("odd", [True, False])
def test_one_frame_is_that_of_all_rows(tmp_path: Path, odd: bool) -> None:
    pandas = pytest.importorskip("pandas")
    folder = of_all_kinds(tmp_path / "run")
    if not odd:
        run = Run(tmp_path / "plain")
        run.trial([0.5, 0.25], x=1, opt="a")
        run.trial([0.75], x=2, deep={"er": 1.5})
        folder = run.save()
    rows = [
        {"trial_id": f"{index:05d}", **flatten(row)} for index, kept in sorted(history(folder).items()) for row in kept
    ]
    same(tune.ResultGrid.from_path(folder).metrics_dataframe, pandas.DataFrame(rows))


def test_results_that_come_after_frames_were_read_ahead_are_in_them(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    for _ in range(9):
        run.launch(run.suggest(x=1))
    for _ in range(2):
        for trial in range(9):
            run.report(trial, loss=1.0)
    grid = tune.ResultGrid.from_path(run.save())
    assert [len(grid[trial].metrics_dataframe) for trial in range(5)] == [2] * 5
    for trial in range(9):
        run.report(trial, loss=0.5)
    run.save()
    assert [len(grid[trial].metrics_dataframe) for trial in range(5, 9)] == [3] * 4


def test_results_can_be_pickled(grid: tune.ResultGrid) -> None:
    pytest.importorskip("pandas")
    assert [one.metrics_dataframe is None for one in grid] == [False, False, True]
    again = pickle.loads(pickle.dumps(list(grid)))
    assert list(again[0].metrics_dataframe["loss"]) == [0.5, 0.25]


@pytest.mark.parametrize("library", ["csv", "json", "parquet"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_large_export_is_that_of_a_small_one(
    tmp_path: Path, library: str, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where later trials have more columns, or columns of other types, than the first."""
    if library == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(f"{__name__}.ODD", ODD[::order])
    folder, found = of_all_kinds(tmp_path / "run"), []
    monkeypatch.setattr(histories, "BATCH_BYTES", 1)  # a trial at a time
    for least in (1 << 40, 0):
        monkeypatch.setattr(export, "LEAST_BYTES", least)
        file = tmp_path / f"{least}.{library}"
        assert export.export(folder, library, str(file), every_report=True) == 54
        found.append(parquet.read_table(file) if library == "parquet" else file.read_text())
    assert found[0] == found[1]
