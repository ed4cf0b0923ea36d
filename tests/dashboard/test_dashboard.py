"""The dashboard's server: what it refuses, what it answers, and what the driver does with its commands."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journals import Run

import tune_core as tune
from tune_core.dashboard import Dashboard
from tune_core.engine.remote_control import COMMANDS_FILE, RemoteControl, checked, send_command


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Dashboard]:
    run = Run(tmp_path / "runs" / "one", name="one")
    run.trial([0.5, 0.25], lr=0.1)
    run.launch(run.suggest(lr=0.2))
    run.report(1, loss=0.75)
    run.save()
    (tmp_path / "secret.txt").write_text("secret")
    outside = tmp_path / "elsewhere"
    Run(outside, name="outside").save()
    (tmp_path / "runs" / "link").symlink_to(outside)
    dashboard = Dashboard([str(tmp_path / "runs")], control=True)
    thread = threading.Thread(target=dashboard.serve, daemon=True)
    thread.start()
    yield dashboard
    dashboard.close()
    thread.join(10)


def ask(
    dashboard: Dashboard, path: str, method: str = "GET", body: bytes | None = None, **headers: str | None
) -> tuple[int, dict[str, str], bytes]:
    """A request with the token's cookie; a header that is None is left out."""
    connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=20)
    sent = {"Host": f"127.0.0.1:{dashboard.port}", "Cookie": f"{dashboard.cookie}={dashboard.token}"}
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})  # type: ignore[misc]
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), data


def one(dashboard: Dashboard) -> str:
    _, _, data = ask(dashboard, "/api/experiments")
    (row,) = json.loads(data)["experiments"]  # the link leads outside and is not there
    return f"/api/experiment/{row['id']}"


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(served: Dashboard) -> None:
    status, headers, _ = ask(served, f"/?token={served.token}", Cookie=None)
    assert (status, headers["Location"]) == (303, "/")
    assert headers["Set-Cookie"] == f"tune_core_{served.port}={served.token}; HttpOnly; SameSite=Strict; Path=/"
    assert ask(served, "/?token=wrong", Cookie=None)[0] == 403
    assert ask(served, "/?token=", Cookie=None)[0] == 403


@pytest.mark.parametrize("path", ["/", "/api/experiments", "/api/compare?ids=a"])
def test_without_the_token_nothing_is_answered(served: Dashboard, path: str) -> None:
    for cookie in (None, f"tune_core_{served.port}=wrong", f"tune_core_1={served.token}"):
        status, _, data = ask(served, path, Cookie=cookie)
        assert status == 403
        assert b"one" not in data


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:80", ""])
def test_a_foreign_host_is_refused(served: Dashboard, host: str) -> None:
    assert ask(served, "/api/experiments", Host=host)[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_a_foreign_origin_is_refused(served: Dashboard, origin: str) -> None:
    assert ask(served, "/api/experiments", Origin=origin)[0] == 403
    assert ask(served, "/api/experiments", Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(served, "/api/experiments", Origin=f"http://127.0.0.1:{served.port}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/secret.txt",
        "/api/experiment/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/api/experiment/0000000000000000/summary",
        "/api/experiment/..%2f..%2fsecret/summary",
        "//etc/passwd",
    ],
)
def test_no_path_leads_out(served: Dashboard, path: str) -> None:
    status, _, data = ask(served, path)
    assert status in (403, 404)
    assert b"secret" not in data


def test_a_trials_output_is_not_followed_out_of_the_experiment(served: Dashboard, tmp_path: Path) -> None:
    trial = tmp_path / "runs" / "one" / "trial_00000"
    trial.mkdir()
    (trial / "output.log").symlink_to(tmp_path / "secret.txt")
    _, _, data = ask(served, f"{one(served)}/trial/0")
    assert json.loads(data)["output"] == ""


def test_every_answer_has_the_headers_that_keep_it_in_place(served: Dashboard) -> None:
    for path in ("/", "/api/experiments", "/nothing", f"{one(served)}/report"):
        _, headers, _ = ask(served, path)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in headers


def test_answers_hold_what_the_journal_holds(served: Dashboard) -> None:
    base = one(served)
    summary = json.loads(ask(served, f"{base}/summary")[2])
    assert (summary["trials"], summary["best"], summary["counts"]) == (2, 0.25, {"completed": 1, "running": 1})
    rows = json.loads(ask(served, f"{base}/rows?since=0")[2])
    assert rows["ids"] == [0, 1]
    assert json.loads(ask(served, f"{base}/rows?since={rows['version']}")[2])["ids"] == []
    trial = json.loads(ask(served, f"{base}/trial/0")[2])
    assert (trial["iterations"], trial["values"], trial["config"]) == ([1, 2], [0.5, 0.25], [["lr", "0.1"]])
    workers = json.loads(ask(served, f"{base}/workers")[2])
    assert [(w["worker"], w["trial"]) for w in workers["running"]] == [("worker1", 1)]
    status, headers, data = ask(served, f"{base}/report")
    assert (status, b"Report: one" in data) == (200, True)
    assert headers["Content-Disposition"].startswith("attachment")
    assert ask(served, f"{base}/trial/99")[0] == 404
    assert ask(served, f"{base}/chart/nothing")[0] == 404


def test_only_what_has_changed_is_sent_again(served: Dashboard, tmp_path: Path) -> None:
    base = one(served)
    before = json.loads(ask(served, f"{base}/rows?since=0")[2])["version"]
    from tune_core.core import events as ev

    with open(tmp_path / "runs" / "one" / "journal.jsonl", "ab") as file:
        file.write(ev.encode(ev.Reported(1, 2, 1.7e9 + 9, 2.0, {"loss": 0.125})))
    time.sleep(0.6)
    after = json.loads(ask(served, f"{base}/rows?since={before}")[2])
    assert after["ids"] == [1]
    assert json.loads(ask(served, f"{base}/summary")[2])["best"] == 0.125


def test_commands_need_the_pages_own_header_and_a_right_form(served: Dashboard, tmp_path: Path) -> None:
    path = f"{one(served)}/command"
    stop = json.dumps({"do": "stop", "trial": 1}).encode()
    assert ask(served, path, "POST", stop)[0] == 403
    assert ask(served, path, "POST", stop, X_Tune_Core="1", Origin="http://evil.example")[0] == 403
    for wrong in ({"do": "rm"}, {"do": "stop", "trial": -1}, {"do": "time_budget", "seconds": "x"}, [1]):
        assert ask(served, path, "POST", json.dumps(wrong).encode(), X_Tune_Core="1")[0] == 400
    assert not (tmp_path / "runs" / "one" / COMMANDS_FILE).exists()
    assert ask(served, path, "POST", stop, X_Tune_Core="1")[0] == 200
    assert (tmp_path / "runs" / "one" / COMMANDS_FILE).read_text() == '{"do": "stop", "trial": 1}\n'
    served.control = False
    assert ask(served, path, "POST", stop, X_Tune_Core="1")[0] == 403


# --- the driver's side ------------------------------------------------------------------------------------------------


def test_commands_from_before_the_run_and_broken_lines_are_left_out(tmp_path: Path) -> None:
    send_command(str(tmp_path), {"do": "hold"})
    control = RemoteControl(str(tmp_path))
    notes: list[str] = []
    assert list(control.read(notes.append)) == []
    with open(tmp_path / COMMANDS_FILE, "ab") as file:
        file.write(b'not json\n{"do": "resume"}\n{"do": "st')
    assert list(control.read(notes.append)) == [{"do": "resume"}]
    assert len(notes) == 1
    with pytest.raises(ValueError, match="do"):
        checked({"do": "eval"})


def slow(config: dict[str, Any]) -> None:
    for step in range(2000):
        tune.report({"loss": 1 / (step + 1)})
        time.sleep(0.02)


def run_and(folder: Path, command: dict[str, Any], control: bool = True) -> tuple[tune.ResultGrid, str]:
    """A run that gets a command once its first trial has reported."""
    experiment = folder / "commanded"

    def send() -> None:
        deadline = time.monotonic() + 30
        journal = experiment / "journal.jsonl"
        while time.monotonic() < deadline and not (journal.exists() and b'"e":"report"' in journal.read_bytes()):
            time.sleep(0.05)
        send_command(str(experiment), command)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    stop = {"training_iteration": 150}
    results = tune.Tuner(
        slow,
        param_space={"x": tune.grid_search([1, 2])},
        tune_config=tune.TuneConfig(metric="loss", mode="min", max_concurrent_trials=1),
        run_config=tune.RunConfig(storage_path=str(folder), name="commanded", verbose=0, control=control, stop=stop),
    ).fit()
    thread.join()
    return results, (experiment / "journal.jsonl").read_text()


@pytest.mark.real
def test_a_trial_is_stopped_from_outside_and_the_others_go_on(tmp_path: Path) -> None:
    results, journal = run_and(tmp_path, {"do": "stop", "trial": 0})
    assert results[0].reason == "stopped from outside"
    assert results[0].metrics["training_iteration"] < 150
    assert results[1].metrics["training_iteration"] == 150
    assert '"e":"stop","trial":0,"why":"stopped from outside"' in journal
    assert tune.ResultGrid.from_path(results.experiment_path)[0].reason == "stopped from outside"


@pytest.mark.real
def test_a_run_is_stopped_from_outside(tmp_path: Path) -> None:
    results, _ = run_and(tmp_path, {"do": "stop_run"})
    assert {r.reason for r in results} == {"stopped from outside"}


@pytest.mark.real
def test_a_time_budget_is_given_from_outside(tmp_path: Path) -> None:
    results, journal = run_and(tmp_path, {"do": "time_budget", "seconds": 0.5})
    assert "the time budget of 0.5 s" in str(results[0].reason)
    assert "the time budget is 0.5 s from now on, as asked from outside" in journal


@pytest.mark.real
def test_without_control_commands_are_not_read(tmp_path: Path) -> None:
    results, _ = run_and(tmp_path, {"do": "stop_run"}, control=False)
    assert [r.metrics["training_iteration"] for r in results] == [150, 150]


@pytest.mark.real
def test_a_held_run_starts_no_trial_until_it_is_resumed(tmp_path: Path) -> None:
    def resume() -> None:
        deadline = time.monotonic() + 60
        journal = tmp_path / "commanded" / "journal.jsonl"
        while time.monotonic() < deadline:
            if journal.exists() and b'"e":"end","trial":0' in journal.read_bytes():
                break
            time.sleep(0.05)
        time.sleep(1.5)
        assert b'"e":"launch","trial":1' not in journal.read_bytes()
        send_command(os.path.dirname(journal), {"do": "resume"})

    thread = threading.Thread(target=resume, daemon=True)
    thread.start()
    results, journal = run_and(tmp_path, {"do": "hold"})
    thread.join()
    assert results[1].metrics["training_iteration"] == 150
    assert "no trial is started from now on, as asked from outside" in journal
