"""Charts hold exactly what the journals hold: points are counted and values compared, not pixels."""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from journals import START, Run

import tune_core as tune
from tune_core import plots
from tune_core.errors import InvalidArgumentError, StorageError
from tune_core.plots.parameters import parameters_of
from tune_core.results.recording import record
from tune_core.schedulers import ASHAScheduler, PopulationBasedTraining
from tune_core.space.serialization import to_json

SPACE = {
    "lr": "loguniform(0.0001, 1.0)",
    "opt": "choice(['sgd', 'adam', 'never'])",
    "model": "choice([{'kind': 'tree', 'depth': randint(1, 9)}, {'kind': 'svm'}])",
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Five trials: three of them with values, one failed before its first report, one with NaN only."""
    run = Run(tmp_path / "run")
    run.header.space = SPACE
    from tune_core.core import events as ev

    run.lines[0] = ev.encode(run.header)
    run.trial([0.5, 0.25, 0.75], lr=0.1, opt="sgd", model={"kind": "tree", "depth": 3})
    run.trial([0.4], lr=0.01, opt="adam", model={"kind": "svm"})
    run.launch(run.suggest(lr=0.001, opt="adam", model={"kind": "svm"}))
    run.end(2, "errored", error="Traceback\nValueError: <b>bad</b>")
    run.trial([math.nan], lr=0.5, opt="sgd", model={"kind": "tree", "depth": 5})
    run.trial([0.2, 0.1], lr=0.02, opt="adam", model={"kind": "tree", "depth": 4})
    run.exhaust()
    run.save()
    return run


def points(chart: plots.Chart, kind: str = "points") -> list[tuple[float, float]]:
    return sorted((x, y) for m in chart.marks() if m.kind == kind for x, y in zip(m.x, m.y) if not math.isnan(x + y))


def test_history_shows_each_trials_best_value_and_the_best_so_far(run: Run) -> None:
    chart = plots.history(run.folder)
    assert points(chart) == [(0, 0.25), (1, 0.4), (4, 0.1)]
    (best,) = chart.marks("best so far")
    assert list(zip(best.x, best.y)) == [(0, 0.25), (4, 0.1)]
    (without,) = chart.marks("no value")
    assert without.x == [2, 3]
    assert "2 ended trials have no finite value of loss" in chart.note


def test_history_of_a_metric_that_is_maximised_goes_up(tmp_path: Path) -> None:
    run = Run(tmp_path, metric="acc", mode="max")
    for value in (0.2, 0.1, 0.9):
        run.trial([value, value / 2], metric="acc", x=value)
    (best,) = plots.history(run.save()).marks("best so far")
    assert best.y == [0.2, 0.9]


def test_history_compares_experiments(run: Run, tmp_path: Path) -> None:
    other = Run(tmp_path / "other", name="other")
    other.trial([0.3], lr=0.1)
    chart = plots.history(run.folder, other.save())
    assert next(chart.marks("run")).y == [0.25, 0.4, 0.1]
    assert next(chart.marks("other")).y == [0.3]


def test_learning_curves_hold_every_report(run: Run) -> None:
    chart = plots.learning_curves(run.folder)
    completed = next(chart.marks("completed"))
    line = [(i, x, y) for i, x, y in zip(completed.ids or (), completed.x, completed.y) if not math.isnan(y)]
    assert line == [(0, 1, 0.5), (0, 2, 0.25), (0, 3, 0.75), (1, 1, 0.4), (4, 1, 0.2), (4, 2, 0.1)]
    assert next(chart.marks("best: trial 00004")).y == [0.2, 0.1]


def test_learning_curves_replace_what_a_retry_repeats(tmp_path: Path) -> None:
    run = Run(tmp_path, max_failures=1)
    run.launch(run.suggest(x=1))
    run.report(0, loss=3.0)
    run.report(0, loss=2.0)
    run.end(0, "errored", error="oops")
    run.launch(0)
    run.report(0, loss=5.0)
    run.save()
    (course,) = record(run.folder).courses.values()
    assert (list(course.iterations), list(course.values)) == ([1], [5.0])


def test_more_curves_than_wanted_are_sampled_and_the_note_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for k in range(100):
        run.trial([1.0 - k / 1000], x=k)
    chart = plots.learning_curves(run.save(), max_curves=20)
    assert "of 100 curves, the best among them" in chart.note
    shown = {i for m in chart.marks("completed") for i in m.ids or ()}
    assert 99 in shown
    assert len(shown) <= 21


def test_parallel_coordinates_have_one_line_a_trial_with_a_value_and_the_failed_ones(run: Run) -> None:
    chart = plots.parallel_coordinates(run.folder)
    drawn = {i for m in chart.marks() for i in m.ids or ()}
    assert drawn == {0, 1, 2, 4}  # trial 3 did not fail, and has no value
    texts = {t.text for t in chart.panels[0].texts}
    assert {"lr (log)", "opt", "model/kind", "model/depth", "loss", "sgd", "adam", "not set"} <= texts
    assert next(chart.marks("failed")).color == "bad"


def test_slices_keep_categories_and_logarithms_and_leave_out_what_does_not_exist(run: Run) -> None:
    chart = plots.slices(run.folder)
    by_name = {panel.x.title: panel for panel in chart.panels}
    assert by_name["lr"].x.log
    assert not by_name["model/depth"].x.log
    assert by_name["opt"].x.labels == ["sgd", "adam", "never"]
    (depth, *_) = by_name["model/depth"].marks
    assert list(zip(depth.x, depth.y)) == [(3, 0.25), (4, 0.1)]
    (rug,) = (m for m in by_name["lr"].marks if m.kind == "rug")
    assert rug.x == [0.001]


def test_contour_shows_the_trials_that_have_both_parameters(run: Run) -> None:
    chart = plots.contour(run.folder, pairs=[("lr", "model/depth")])
    assert points(chart) == [(0.02, 4), (0.1, 3)]


def test_pareto_front_is_the_grids_own(tmp_path: Path) -> None:
    run = Run(tmp_path, metric=None, mode=None)
    for a, b in ((1, 4), (2, 2), (3, 3), (4, 1), (math.nan, 0)):
        run.launch(k := run.suggest(x=a))
        run.report(k, a=a, b=b)
        run.end(k)
    folder = run.save()
    chart = plots.pareto(folder, metrics=["a", "b"])
    expected = [r.trial_id for r in tune.ResultGrid.from_path(folder).pareto_front(["a", "b"])]
    front = next(m for m in chart.marks("Pareto front") if m.kind == "points")
    assert [f"{i:05d}" for i in front.ids or ()] == expected
    assert "1 trials have no finite value of both" in chart.note


def test_rungs_count_who_came_how_far(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        for step in range(9):
            tune.report({"loss": config["x"] / (step + 1)})

    results = tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([float(k) for k in range(1, 28)])},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", scheduler=ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3)
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline"),
    ).fit()
    chart = results.plot.rungs()
    lasts = [r.metrics["training_iteration"] for r in results]
    assert chart.panels[0].x.labels == ["1", "3", "9"]
    tops = [max(m.y[k] for m in chart.panels[0].marks) for k in range(3)]
    assert tops == [sum(last >= level for last in lasts) for level in (1, 3, 9)]
    (stopped,) = chart.marks("stopped there")
    heights = [t - b for t, b in zip(stopped.y, stopped.y2 or ())]
    assert heights == [sum(last == level for last in lasts) if level < 9 else 0 for level in (1, 3, 9)]


class Climber(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.height = 0.0

    def step(self) -> dict[str, Any]:
        self.height += self.config["pace"]
        return {"height": self.height}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "height").write_text(str(self.height))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self.height = float(Path(checkpoint_dir, "height").read_text())


def test_family_tree_has_an_arrow_for_each_exploit_of_the_journal(tmp_path: Path) -> None:
    results = tune.Tuner(
        Climber,
        param_space={"pace": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            metric="height",
            mode="max",
            num_samples=6,
            seed=3,
            scheduler=PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=2,
                hyperparam_mutations={"pace": tune.uniform(0, 1)},
            ),
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, stop={"training_iteration": 8}),
    ).fit()
    lines = Path(results.experiment_path, "journal.jsonl").read_text().splitlines()
    exploits = [e for e in map(json.loads, lines) if e["e"] == "decide" and e["do"] == "exploit"]
    assert exploits
    chart = results.plot.pbt_lineage()
    (copies,) = (m for m in chart.marks("becomes a copy"))
    assert Counter(copies.ids or ()) == Counter(e["trial"] for e in exploits)
    (schedule,) = (panel for panel in chart.panels if panel.y.title == "pace")
    last = {m.ids[0]: m.y[-1] for m in schedule.marks if m.ids}
    assert last == {r._trial.index: r.config["pace"] for r in results}


def test_timeline_has_a_span_for_each_launch(run: Run) -> None:
    chart = plots.timeline(run.folder)
    spans = [(i, x, x2) for m in chart.marks() if m.kind == "spans" for i, x, x2 in zip(m.ids, m.x, m.x2)]  # type: ignore[arg-type]
    assert sorted(i for i, _, _ in spans) == [0, 1, 2, 3, 4]
    assert all(0 < a < b <= run.now - START for _, a, b in spans)
    busy = next(iter(chart.marks("busy workers")))
    assert max(busy.y) == 1


def test_a_span_that_goes_on_ends_now(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.launch(run.suggest(x=1))
    run.report(0, loss=1.0)
    (spans,) = (m for m in plots.timeline(run.save()).marks() if m.kind == "spans")
    assert (spans.name, spans.x, spans.x2) == ("running", [1.0], [2.0])


def test_importance_says_that_there_are_too_few_trials(run: Run) -> None:
    found = plots.importances(run.folder, method="forest")
    assert found.shares == {}
    assert "it takes at least 10" in found.note
    assert "it takes at least 10" in plots.importance(run.folder, method="forest").note


def mixed_run(folder: Path, trials: int = 300) -> str:
    """A conditional space in which ``strong`` matters much, ``weak`` little, ``inert`` not at all."""
    from random import Random

    rng = Random(5)
    run = Run(folder)
    for _ in range(trials):
        kind = rng.choice(["a", "b"])
        config: dict[str, Any] = {"strong": rng.random(), "inert": rng.choice(["p", "q", "r"]), "kind": kind}
        if kind == "b":
            config["weak"] = 10 ** rng.uniform(-4, 0)
        loss = 3 * config["strong"] ** 2 + 0.3 * (kind == "a") + 0.2 * abs(math.log10(config.get("weak", 0.01)) + 2)
        run.trial([loss + rng.gauss(0, 0.02)], **config)
    return run.save()


@pytest.mark.parametrize(("method", "library"), [("forest", "sklearn"), ("pedanova", "optuna")])
def test_importance_is_right_on_a_mixed_and_conditional_space(tmp_path: Path, method: str, library: str) -> None:
    pytest.importorskip(library)
    found = plots.importances(mixed_run(tmp_path), method=method)
    assert next(iter(found.shares)) == "strong"
    assert found.shares["strong"] > 0.5
    assert found.shares["inert"] < 0.05
    assert sum(found.shares.values()) == pytest.approx(1)
    assert set(found.spread) == set(found.shares) == {"strong", "weak", "inert", "kind"}
    assert (found.used, found.left_out) == (300, 0)
    assert plots.importances(str(tmp_path), method=method).shares == found.shares


EXTREMES: dict[str, Any] = {
    "huge": lambda u: u * 1e308,
    "huge of both signs": lambda u: (u - 0.5) * 1.7e308 * 2,
    "the same": lambda u: 1.0,
    "the same and huge": lambda u: 1.7e308,
    "zero": lambda u: 0.0,
    "tiny": lambda u: u * 1e-320,
    "nearly the same": lambda u: 1.0 + (u > 0.5) * 2.3e-16,
    "all sizes": lambda u: 10 ** (u * 600 - 300),
    "not finite": lambda u: (math.inf, math.nan, -math.inf, 1.0, 1e300, -1e300, 1e-300, 0.0)[int(u * 8)],
}


@pytest.fixture(params=list(EXTREMES))
def extreme(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A run of values at the ends of what a number can be, and parameters there, too."""
    from random import Random

    value, rng = EXTREMES[request.param], Random(3)
    run = Run(tmp_path)
    for _ in range(24):
        u = rng.random()
        run.trial([value(u)], u=u, v=rng.random(), x=(u - 0.5) * 1.7e308 * 2, y=10 ** -(308 + 12 * u), z=1e16 + 4 * u)
    run.exhaust()
    return run.save()


KINDS = ("history", "learning_curves", "parallel_coordinates", "slices", "contour", "rungs", "timeline")


@pytest.mark.filterwarnings("error")
def test_charts_of_values_of_any_size_are_pages(extreme: str) -> None:
    from tune_core.reporting import report

    for kind in KINDS:
        assert "</html>" in getattr(plots, kind)(extreme).html()
    assert "</html>" in report(extreme)
    assert report(extreme, format="md")


@pytest.mark.filterwarnings("error")
def test_charts_of_values_of_any_size_are_pictures(extreme: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for kind in ("history", "parallel_coordinates", "slices", "contour"):
        getattr(plots, kind)(extreme, **({"parameters": ["u", "x", "z"]} if kind == "slices" else {})).matplotlib(
            width=4
        ).savefig(tmp_path / "chart.png", dpi=20)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("method", "library"), [("forest", "sklearn"), ("pedanova", "optuna")])
def test_importance_takes_values_of_any_size_or_says_that_they_explain_nothing(
    extreme: str, method: str, library: str
) -> None:
    pytest.importorskip(library)
    found = plots.importances(extreme, method=method)
    assert found.shares or "nothing to explain" in found.note
    assert all(0 <= share <= 1 for share in found.shares.values())


def test_importance_does_not_depend_on_the_size_of_the_values(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    shares = []
    for factor in (1.0, 2.0**1020, 2.0**-900):
        run = Run(tmp_path / str(factor))
        for k in range(40):
            run.trial([k % 7 / 7 * factor], x=k % 7, y=k % 5)
        shares.append(plots.importances(run.save(), method="forest").shares)
    assert shares[0]["x"] > 0.9
    assert shares[1:] == [pytest.approx(shares[0], abs=1e-9)] * 2


def test_a_page_keeps_numbers_that_32_bits_cannot_hold() -> None:
    import struct

    from tune_core.plots.page import floats

    for values in ([1e308] * 20, [1e-300] * 20, [1 + k * 1e-9 for k in range(20)]):
        (packed,) = floats(values).values()
        assert list(struct.unpack("<20d", base64.b64decode(packed))) == values
    assert set(floats([float(k) for k in range(20)])) == {"f"}


def test_importance_of_a_run_that_was_stopped_early_compares_at_the_same_iteration(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")

    def objective(config: dict[str, Any]) -> None:
        for step in range(9):
            tune.report({"loss": config["x"] + 10 / (step + 1)})

    grid = tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=60, seed=1, scheduler=ASHAScheduler(max_t=9, grace_period=1)
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline"),
    ).fit()
    found = plots.importances(grid)
    assert "compared at iteration 1, because most were stopped early" in found.note
    assert found.shares["x"] > 0.9


def test_grids_analyses_names_and_urls_are_the_same_experiment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    expected = plots.history(run.folder).data()
    grid = tune.ResultGrid.from_path(run.folder)
    assert grid.plot.history().data() == expected
    assert tune.ExperimentAnalysis(run.folder).plot.history().data() == expected
    assert plots.history([grid]).data() == expected
    monkeypatch.setenv("TUNE_CORE_STORAGE", str(Path(run.folder).parent))
    assert plots.history("run").data() == expected
    assert plots.history(f"file://{run.folder}").data() == expected
    with fsspec.open("memory://bucket/run/journal.jsonl", "wb") as file:
        file.write(Path(run.folder, "journal.jsonl").read_bytes())
    assert plots.history("memory://bucket/run").data() == expected
    with pytest.raises(StorageError, match="memory://bucket/none"):
        plots.history("memory://bucket/none")


def test_wrong_arguments_are_named(run: Run, tmp_path: Path) -> None:
    for wrong, text in (
        (lambda: plots.history(), "no experiment"),
        (lambda: plots.history(3), "int"),
        (lambda: plots.slices(run.folder, parameters=["nope"]), "nope"),
        (lambda: plots.importance(run.folder, method="magic"), "magic"),
        (lambda: plots.pareto(run.folder, metrics=["loss"]), "two"),
        (lambda: plots.history(run.folder).save(str(tmp_path / "x.bmp")), r"\.bmp"),
        (lambda: plots.history(run.folder).html("blue"), "blue"),
    ):
        with pytest.raises(InvalidArgumentError, match=text):
            wrong()
    with pytest.raises(AttributeError, match="timeline"):
        _ = tune.ResultGrid.from_path(run.folder).plot.nothing


ALL = (
    "history",
    "learning_curves",
    "parallel_coordinates",
    "importance",
    "slices",
    "contour",
    "rungs",
    "pbt_lineage",
    "timeline",
)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("what", ["run", "empty", "odd"])
def test_every_chart_stands_odd_and_empty_runs(run: Run, tmp_path: Path, kind: str, what: str) -> None:
    folder = run.folder
    if what == "empty":
        folder = Run(tmp_path / "empty").save()
    if what == "odd":
        odd = Run(tmp_path / "odd")
        for value in (None, True, "text", [1, 2], 10**30, 1e-300, {"deep": {"er": 1}}, math.inf, "\ud800"):
            config = {"a $x_1$": value, "b": len(odd.trials), "<i>": "</script><script>alert(1)</script>"}
            odd.launch(k := odd.suggest(**to_json(config, None)))
            odd.report(k, loss=math.inf if value == math.inf else 1.0, note="<script>")
            odd.end(k)
        folder = odd.save()
    if kind == "importance":
        pytest.importorskip("sklearn")
    chart = getattr(plots, kind)(folder)
    json.dumps(chart.data(), allow_nan=False)
    assert "</script><script>alert" not in chart.html()
    if what != "odd":
        return
    pytest.importorskip("matplotlib")
    chart.matplotlib("dark").canvas.draw()


@pytest.mark.parametrize("kind", ALL)
def test_plotly_and_matplotlib_draw_the_same_points(run: Run, tmp_path: Path, kind: str) -> None:
    go = pytest.importorskip("plotly.graph_objects")
    pytest.importorskip("matplotlib")
    if kind == "importance":
        pytest.importorskip("sklearn")
    chart = getattr(plots, kind)(run.folder)
    figure = chart.plotly("dark")
    assert isinstance(figure, go.Figure)
    drawn = sorted((len(t.x), t.type) for t in figure.data)
    assert [n for n, _ in drawn] == sorted(len(m.x) for m in chart.marks())
    assert not any("gl" in t.type for t in figure.data)
    for ending in ("png", "svg", "html", "json"):
        path = chart.save(tmp_path / f"chart.{ending}", theme="dark")
        assert Path(path).stat().st_size > 400
    for ax, panel in zip(chart.matplotlib().axes, chart.panels):
        drawn_points = [len(c.get_offsets()) for c in ax.collections if type(c).__name__ == "PathCollection"]
        assert sum(drawn_points) == sum(len(m.x) for m in panel.marks if m.kind == "points")


def test_a_page_needs_nothing_but_itself_and_allows_nothing_else(run: Run) -> None:
    page = plots.slices(run.folder).html()
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert page == plots.slices(run.folder).html()
    assert plots.slices(run.folder)._repr_html_().startswith("<iframe")


def test_parameters_are_read_from_the_space_where_it_tells(run: Run) -> None:
    found = {p.name: p for p in parameters_of(record(run.folder))}
    assert list(found) == ["lr", "opt", "model/kind", "model/depth"]
    assert found["lr"].log
    assert found["opt"].labels == ["sgd", "adam", "never"]
    assert set(found["model/depth"].values) == {0, 3, 4}
