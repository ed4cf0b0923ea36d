"""The dashboard in a real browser: what people come for, as stories."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from journals import Run

from tune_core.core import events as ev
from tune_core.dashboard import Dashboard

from .axe import serious_findings

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
HOSTILE = "<img src=x onerror=\"document.title='taken'\"></script><b>x"


def made(folder: Path, name: str, trials: int = 30, seed: int = 1) -> Run:
    rng = Random(seed)
    run = Run(folder / name, name=name)
    run.header.space = {"lr": "loguniform(0.0001, 1.0)", "opt": "choice(['sgd', 'adam'])"}
    run.lines[0] = ev.encode(run.header)
    for _ in range(trials):
        run.trial([rng.random() + 1, rng.random()], lr=10 ** rng.uniform(-4, 0), opt=rng.choice(["sgd", "adam"]))
    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = made(tmp_path, "first")
    run.launch(k := run.suggest(lr=0.5, opt="sgd"))
    run.report(k, loss=0.7)
    run.apply(ev.Decided(k, "stop", "rung 1: loss 0.7 is outside the best 1/4 of 30"))
    run.end(k, "stopped", "rung 1: loss 0.7 is outside the best 1/4 of 30")
    run.launch(k := run.suggest(lr=0.9, opt="sgd"))
    run.end(k, "errored", error=f"Traceback\nValueError: {HOSTILE}")
    run.exhaust()
    run.save()
    (tmp_path / "first" / f"trial_{k:05d}").mkdir()
    (tmp_path / "first" / f"trial_{k:05d}" / "output.log").write_text(f"epoch 1\n{HOSTILE}\n")
    second = made(tmp_path, "second", seed=2)
    second.launch(second.suggest(lr=0.2, opt="adam"))
    second.report(30, loss=0.9)
    second.suggest(lr=0.3, opt="adam")
    second.save()
    return tmp_path


def served(folders: list[str], control: bool = False) -> Iterator[Dashboard]:
    dashboard = Dashboard(folders, control=control)
    thread = threading.Thread(target=dashboard.serve, daemon=True)
    thread.start()
    try:
        yield dashboard
    finally:
        dashboard.close()
        thread.join(10)


@pytest.fixture
def dashboard(folder: Path) -> Iterator[Dashboard]:
    yield from served([str(folder)])


@pytest.fixture
def opened(page: Any, dashboard: Dashboard) -> Any:
    page.goto(dashboard.url)
    expect(page.get_by_role("link", name="first")).to_be_visible()
    return page


def enter(page: Any, name: str, tab: str | None = None) -> None:
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    if tab is not None:
        page.get_by_role("tab", name=tab).click()


# --- stories ----------------------------------------------------------------------------------------------------------


def test_1_the_token_leaves_the_address_and_the_list_shows_states_and_bests(opened: Any) -> None:
    assert "token" not in opened.url
    row = opened.get_by_role("row").filter(has=opened.get_by_role("link", name="first", exact=True))
    expect(row).to_contain_text("finished")
    expect(row).to_contain_text("loss =")
    expect(row).to_contain_text("1 failed")


def test_2_the_list_is_filtered_by_name(opened: Any) -> None:
    opened.get_by_role("searchbox").fill("sec")
    expect(opened.get_by_role("link", name="first", exact=True)).to_have_count(0)
    expect(opened.get_by_role("link", name="second", exact=True)).to_be_visible()


def test_3_an_experiment_opens_with_its_facts_and_charts(opened: Any) -> None:
    enter(opened, "first")
    expect(opened.get_by_text("32: 30 completed, 1 stopped early, 1 failed")).to_be_visible()
    expect(opened.get_by_role("heading", name="History of loss: each trial's best value")).to_be_visible()
    assert opened.locator("canvas[role=img]").count() == 2


def test_4_why_a_trial_stopped(opened: Any) -> None:
    enter(opened, "first", "Trials")
    opened.get_by_label("Filter trials").fill("stopped")
    opened.get_by_role("row").filter(has_text="00030").click()
    side = opened.get_by_role("complementary", name="trial")
    expect(side.get_by_role("heading", name="trial 00030")).to_be_visible()
    expect(side.get_by_role("listitem").filter(has_text="outside the best 1/4")).to_be_visible()


def test_5_a_failed_trials_error_and_output_are_shown_as_text(opened: Any) -> None:
    enter(opened, "first", "Trials")
    opened.get_by_label("Filter trials").fill("outcome=failed")
    opened.get_by_role("row").filter(has_text="00031").click()
    side = opened.get_by_role("complementary", name="trial")
    expect(side.get_by_label("error")).to_contain_text(HOSTILE)
    expect(side.get_by_label("output")).to_contain_text("epoch 1")
    assert opened.title() == "tune-core"
    assert opened.locator("img").count() == 0


def test_6_trials_are_filtered_by_value_and_sorted(opened: Any) -> None:
    enter(opened, "first", "Trials")
    opened.get_by_label("Filter trials").fill("loss<0.3 opt=adam")
    expect(opened.get_by_role("status").filter(has_text="of 32 trials")).to_be_visible()
    opened.get_by_role("button", name="lr").click()
    expect(opened.locator("th[aria-sort=ascending]")).to_contain_text("lr")
    values = [float(x) for x in opened.locator("tbody tr td:nth-child(4)").all_inner_texts()]
    assert values == sorted(values)


def test_7_two_experiments_are_compared(opened: Any) -> None:
    opened.get_by_label("compare: first").check()
    opened.get_by_label("compare: second").check()
    opened.get_by_role("button", name="Compare").click()
    expect(opened.get_by_role("columnheader", name="second")).to_be_visible()
    expect(opened.get_by_role("rowheader", name="lr")).to_be_visible()
    expect(opened.get_by_role("heading", name="History of loss: each trial's best value")).to_be_visible()


def test_8_workers_and_what_waits(opened: Any) -> None:
    enter(opened, "second", "Workers")
    panel = opened.get_by_role("tabpanel")
    expect(panel.get_by_role("row").filter(has_text="worker1")).to_contain_text("00030")
    expect(panel.get_by_role("row").filter(has_text="no place is free")).to_contain_text("00031")


def test_9_every_chart_can_be_chosen(opened: Any) -> None:
    enter(opened, "first", "Charts")
    choice = opened.get_by_label("Charts").and_(opened.locator("select"))
    for kind in ("slices", "contour", "rungs", "timeline", "parallel_coordinates"):
        with opened.expect_response(f"**/chart/{kind}"):
            choice.select_option(kind)
        expect(opened.locator("canvas[role=img]").first).to_be_visible()


def test_10_a_run_is_followed_live(page: Any, tmp_path: Path) -> None:
    run = made(tmp_path, "live", trials=3)
    run.save()
    (tmp_path / "live" / ".lock").write_text(str(os.getpid()))
    for dashboard in served([str(tmp_path)]):
        page.goto(dashboard.url)
        enter(page, "live", "Trials")
        expect(page.get_by_role("status").filter(has_text="3 trials")).to_be_visible()
        before = len(run.lines)
        run.trial([0.001], lr=0.1, opt="sgd")
        with open(tmp_path / "live" / "journal.jsonl", "ab") as file:
            file.write(b"".join(run.lines[before:]))
        expect(page.get_by_role("status").filter(has_text="4 trials")).to_be_visible(timeout=10_000)
        expect(page.get_by_text("loss = 0.001 (trial 00003)")).to_be_visible()


DRIVER = """
import sys, time
import tune_core as tune
def objective(config):
    for step in range(10_000):
        print("step", step, flush=True)
        tune.report({"loss": 1 / (step + 1)})
        time.sleep(0.05)
if __name__ == "__main__":
    results = tune.Tuner(
        objective, param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=4, max_concurrent_trials=2),
        run_config=tune.RunConfig(storage_path=sys.argv[1], name="stopped", verbose=0, control=True),
    ).fit()
    print("ended:", sorted({r.reason for r in results}))
"""


def test_11_a_trial_and_then_the_run_are_stopped_from_the_page(page: Any, tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen([sys.executable, str(script), str(tmp_path / "runs")], stdout=subprocess.PIPE, text=True)
    try:
        (tmp_path / "runs").mkdir(exist_ok=True)
        for dashboard in served([str(tmp_path / "runs")], control=True):
            page.goto(dashboard.url)
            page.get_by_role("link", name="stopped", exact=True).click(timeout=30_000)
            page.get_by_role("tab", name="Trials").click()
            page.get_by_role("row").filter(has_text="00000").click()
            side = page.get_by_role("complementary", name="trial")
            expect(side.get_by_label("output")).to_contain_text("step", timeout=15_000)
            side.get_by_role("button", name="Stop trial").click()
            expect(side.get_by_text("stopped from outside", exact=True)).to_be_visible(timeout=15_000)
            page.get_by_role("button", name="Stop run").click()
            expect(page.locator("main .tc-state").first).to_have_text("finished", timeout=20_000)
            out, _ = driver.communicate(timeout=30)
            assert "stopped from outside" in out
    finally:
        if driver.poll() is None:
            driver.send_signal(signal.SIGKILL)
            driver.wait()


def test_12_a_hundred_thousand_trials_scroll_and_filter(page: Any, tmp_path: Path) -> None:
    many(tmp_path / "many", 100_000)
    for dashboard in served([str(tmp_path)]):
        page.set_default_timeout(120_000)
        page.goto(dashboard.url)
        page.get_by_role("link", name="many", exact=True).click()
        page.get_by_role("tab", name="Trials").click()
        expect(page.get_by_role("status").filter(has_text="100000 trials")).to_be_visible(timeout=120_000)
        table = page.get_by_role("region")
        assert page.locator("tbody tr").count() < 100
        table.evaluate("node => { node.scrollTop = node.scrollHeight / 2; }")
        expect(page.locator("tbody tr[aria-rowindex='50002']")).to_be_visible()
        page.get_by_label("Filter trials").fill("loss<0.001")
        expect(page.get_by_role("status").filter(has_text="of 100000 trials")).to_be_visible()


def many(folder: Path, trials: int) -> None:
    rng = Random(3)
    header = ev.Header(version="0", name="many", seed=1, at=1.7e9, metric="loss", mode="min")
    folder.mkdir()
    with open(folder / "journal.jsonl", "wb") as file:
        file.write(ev.encode(header))
        for k in range(trials):
            at = 1.7e9 + k
            file.write(ev.encode(ev.Suggested(k, {"lr": rng.random(), "opt": "a" if k % 2 else "b"})))
            file.write(ev.encode(ev.Launched(k, "worker1", at)))
            file.write(ev.encode(ev.Reported(k, 1, at + 0.5, 0.5, {"loss": rng.random()})))
            file.write(ev.encode(ev.Ended(k, "completed", at + 0.6)))


def test_13_the_report_is_downloaded(opened: Any) -> None:
    enter(opened, "first")
    with opened.expect_download() as waiting:
        opened.get_by_role("link", name="Download report").click()
    assert waiting.value.suggested_filename == "report-first.html"
    assert "Report: first" in Path(waiting.value.path()).read_text(encoding="utf-8")


def test_14_in_chinese_dark_and_by_keyboard(opened: Any) -> None:
    opened.get_by_label("language").select_option("zh")
    expect(opened.get_by_role("heading", name="实验")).to_be_visible()
    assert opened.evaluate("document.documentElement.lang") == "zh-CN"
    opened.get_by_label("配色").select_option("dark")
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 31)"
    opened.get_by_role("link", name="first", exact=True).focus()
    opened.keyboard.press("Enter")
    expect(opened.get_by_role("heading", name="first", exact=True)).to_be_visible()
    opened.get_by_role("tab", name="概览").focus()
    opened.keyboard.press("ArrowRight")
    expect(opened.get_by_role("tab", name="试验")).to_have_attribute("aria-selected", "true")
    opened.get_by_role("region").focus()
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("Enter")
    expect(opened.get_by_role("complementary")).to_contain_text("配置")


def test_15_no_serious_accessibility_findings_on_any_page(opened: Any) -> None:
    assert serious_findings(opened) == []
    enter(opened, "first")
    for tab in ("Overview", "Trials", "Charts", "Workers"):
        opened.get_by_role("tab", name=tab).click()
        expect(opened.get_by_role("tabpanel")).not_to_be_empty()
        assert serious_findings(opened) == [], tab
    opened.get_by_role("tab", name="Trials").click()
    opened.get_by_label("Filter trials").fill("outcome=failed")
    opened.get_by_role("row").filter(has_text="00031").click()
    expect(opened.get_by_role("complementary", name="trial")).to_contain_text("Traceback")
    opened.get_by_label("colours").select_option("dark")
    assert serious_findings(opened) == []
