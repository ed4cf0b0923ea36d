"""The report in a real browser, with the network cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from journals import Run

from tune_core.reporting import write_report

from .axe import serious_findings

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect


def make(folder: Path, trials: int) -> str:
    from random import Random

    rng = Random(1)
    run = Run(folder, name="seen")
    for _ in range(trials):
        run.trial([rng.random() + 1, rng.random()], lr=10 ** rng.uniform(-4, 0), opt=rng.choice(["sgd", "<b>adam</b>"]))
    run.launch(run.suggest(lr=0.5, opt="sgd"))
    run.end(trials, "errored", error="Traceback\nValueError: <script>document.title='taken'</script>")
    run.exhaust()
    return run.save()


@pytest.fixture
def opened(page: Any, tmp_path: Path) -> Any:
    write_report([make(tmp_path / "run", 60)], str(tmp_path / "report.html"))
    page.context.set_offline(True)
    page.route("http*://**", lambda route: pytest.fail(f"asked for {route.request.url}"))
    page.goto((tmp_path / "report.html").as_uri())
    return page


def test_report_opens_without_internet_and_shows_all(opened: Any) -> None:
    expect(opened.get_by_role("heading", name="Report: seen")).to_be_visible()
    expect(opened.get_by_text("61 trials")).to_be_visible()
    charts = opened.locator("canvas[role=img]")
    assert charts.count() >= 5
    assert "loss" in charts.first.get_attribute("aria-label")
    assert opened.evaluate("document.title") == "Report: seen"


def test_table_filters_sorts_and_opens_a_trial(opened: Any) -> None:
    opened.get_by_label("Filter trials").fill("opt=sgd loss<0.5")
    expect(opened.get_by_role("status").filter(has_text="of 61 trials")).to_be_visible()
    opened.get_by_label("Filter trials").fill("failed")
    expect(opened.locator("tbody tr").filter(has_text="00060")).to_be_visible()
    opened.locator("tbody tr").filter(has_text="00060").click()
    expect(opened.locator("section").get_by_role("heading", name="Trial 00060")).to_be_visible()
    expect(opened.locator("section pre").filter(has_text="<script>document.title").last).to_be_visible()


def test_report_has_no_serious_accessibility_findings(opened: Any) -> None:
    assert serious_findings(opened) == []


def test_colours_can_be_chosen(opened: Any) -> None:
    before = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    opened.get_by_label("colours").select_option("dark")
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") != before
