"""Reports: complete, the same byte for byte, and harmless whatever the journal holds."""

from __future__ import annotations

import base64
import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from journals import Run

import tune_core as tune
from tune_core.cli.main import main
from tune_core.errors import InvalidArgumentError
from tune_core.fit.environment import environment, git_revision
from tune_core.reporting import content, report
from tune_core.results.recording import record

HOSTILE = "</script><img src=x onerror=alert(1)>`|*_\u202e"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run", name="first")
    run.trial([0.5, 0.25], lr=0.1, model={"kind": "tree", "depth": 3})
    run.trial([0.75], lr=1e-05, model={"kind": "svm"})
    run.launch(run.suggest(lr=0.3, model={"kind": "svm"}))
    run.end(2, "errored", error="Traceback\nValueError: bad lr\nLast lines of output:\nepoch 1\nepoch 2")
    run.exhaust()
    run.save()
    return run


def data_of(page: str) -> dict[str, Any]:
    """What a page's script gets, packed arrays as lists."""
    blocks = dict(re.findall(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', page, re.DOTALL))
    pool = json.loads(blocks["array-pool"])

    def unpacked(value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) in ({"f"}, {"d"}, {"i"}):
                ((kind, at),) = value.items()
                raw = base64.b64decode(pool[at])
                return list(struct.unpack(f"<{len(raw) // struct.calcsize(f'<{kind}')}{kind}", raw))
            return {key: unpacked(child) for key, child in value.items()}
        return [unpacked(child) for child in value] if isinstance(value, list) else value

    found: dict[str, Any] = unpacked(json.loads(blocks["report-data"]))
    return found


def cells(run: dict[str, Any], title: str) -> list[Any]:
    column = next(c for c in run["columns"] if c["title"] == title)
    return [column["labels"][k] for k in column["codes"]] if "labels" in column else column["values"]


def test_page_holds_what_the_journal_holds(run: Run) -> None:
    (found,) = data_of(report(run.folder))["runs"]
    assert cells(found, "outcome") == ["completed", "completed", "failed"]
    assert cells(found, "loss") == [0.25, 0.75, None]
    assert cells(found, "model/depth") == [3, None, None]
    assert cells(found, "reason") == ["the objective returned", "the objective returned", "ValueError: bad lr"]
    assert found["best"]["text"] == "loss = 0.25, trial 00000 at iteration 2"
    assert found["failures"][0]["text"].endswith("epoch 1\nepoch 2")
    assert ["Seed", "7"] in found["environment"]
    assert {chart["kind"] for chart in found["charts"]} >= {"history", "learning_curves", "timeline"}


def test_best_configuration_can_be_taken_as_python_json_and_yaml(run: Run) -> None:
    best = record(run.folder).trials[1]
    kinds = content.best_config(best)
    scope: dict[str, Any] = {}
    exec(kinds["Python"], scope)
    assert scope["config"] == best.config
    assert json.loads(kinds["JSON"]) == best.config
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(kinds["YAML"]) == best.config


def test_odd_configurations_come_back_from_yaml(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    odd = {"on": "no", "a b": "x: y", "n": None, "list": [1, 1e-7, "q"], "e": {}, "t": True, "zero": 1e22}
    run = Run(tmp_path)
    run.trial([1.0], **odd)
    assert yaml.safe_load(content.best_config(record(run.save()).trials[0])["YAML"]) == odd


def test_report_is_the_same_byte_for_byte(run: Run) -> None:
    assert report(run.folder) == report(run.folder)
    assert report(run.folder, format="md") == report(run.folder, format="md")


def test_page_allows_only_itself_and_no_text_becomes_markup(tmp_path: Path) -> None:
    run = Run(tmp_path / "bad", name=HOSTILE)
    run.trial([0.5], **{HOSTILE: HOSTILE, "x": 1})
    run.launch(run.suggest(x=2))
    run.end(1, "errored", error=f"Traceback\n{HOSTILE}")
    page = report(run.save())
    assert "default-src 'none'" in page
    assert HOSTILE not in page
    assert page.count("</script>") == page.count("<script")
    assert "<img" not in page
    markdown = report(str(tmp_path / "bad"), format="md")
    prose = re.sub(r"^(`{3,}).*?^\1$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"(?<!\\)<img", prose)
    assert "\\|" in prose


def test_several_experiments_are_compared(run: Run, tmp_path: Path) -> None:
    other = Run(tmp_path / "other", name="second")
    other.trial([0.3], lr=0.2)
    data = data_of(report(run.folder, other.save()))
    assert [one["label"] for one in data["runs"]] == ["first", "second"]
    assert [chart["kind"] for chart in data["compared"]] == ["history", "learning_curves"]
    markdown = report(run.folder, other.folder, format="md")
    assert "| first | 2 completed, 1 failed | loss = 0.25 |" in markdown
    third = Run(tmp_path / "third", metric="acc", mode="max", name="third")
    third.trial([0.3], metric="acc", lr=0.2)
    assert data_of(report(run.folder, third.save()))["compared"] == []


def test_markdown_has_the_best_the_failures_and_the_reasons(run: Run) -> None:
    text = report(run.folder, format="md")
    assert "## Best: loss = 0.25 (trial 00000 at iteration 2)" in text
    assert "| 00000 | completed | 0.25 | 2 |" in text
    assert "<summary>trial 00002: ValueError: bad lr</summary>" in text
    assert "epoch 2" in text
    assert "| 2 | the objective returned |" in text


@pytest.mark.parametrize("kind", ["html", "md"])
def test_runs_without_trials_metric_or_end_are_reported(tmp_path: Path, kind: str) -> None:
    empty = Run(tmp_path / "empty").save()
    assert "not finished when this was written" in report(empty, format=kind)
    bare = Run(tmp_path / "bare", metric=None, mode=None)
    bare.launch(bare.suggest(x=1))
    bare.report(0, score=1.0)
    assert "1 running" in report(bare.save(), format=kind)


def test_command_writes_a_page_or_prints_markdown(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", run.folder]) == 0
    assert Path("report.html").read_text(encoding="utf-8") == report(run.folder)
    assert main(["report", run.folder, "-o", "pr.md", "--theme", "dark"]) == 0
    assert Path("pr.md").read_text(encoding="utf-8").startswith("# first")
    capsys.readouterr()
    assert main(["report", run.folder, "--format", "md"]) == 0
    assert capsys.readouterr().out.startswith("# first")
    assert main(["report", run.folder, "-o", "no/such/folder/x.html"]) == 1
    with pytest.raises(InvalidArgumentError, match="pdf"):
        report(run.folder, format="pdf")


def test_run_records_where_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / ".git" / "refs" / "heads"
    git.mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "main").write_text("abc123\n")
    monkeypatch.chdir(tmp_path)
    results = tune.Tuner(
        lambda config: {"loss": 1.0},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(storage_path=str(tmp_path / "r"), verbose=0, executor="inline"),
    ).fit()
    told = dict(content.environment(record(results)))
    assert told["Git revision"] == "abc123"
    assert told["Python"] == environment()["python"]
    (git / "main").unlink()
    (tmp_path / ".git" / "packed-refs").write_text("# pack-refs\nfff999 refs/heads/main\n")
    assert git_revision(str(tmp_path)) == "fff999"
    assert git_revision("/") is None


def test_reasons_that_differ_in_numbers_are_one(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for k in range(5):
        run.launch(i := run.suggest(x=k))
        run.report(i, loss=1.0)
        run.end(i, "stopped", f"rung 3: loss 0.{k} is outside")
    assert content.reasons(record(run.save())) == [(5, "e.g. rung 3: loss 0.0 is outside")]
