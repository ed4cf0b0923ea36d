"""The SigOpt client as a searcher, against a local server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

sigopt = pytest.importorskip("sigopt")

from search.sigopt_server import Server
from tune_core.errors import InvalidArgumentError
from tune_core.search.sigopt import SigOptSearch
from tune_core.testing.searchers import SearcherDriver, SearcherSuite, loss_of

REMOTE = "the server decides, not the adaptor: a local test server draws at random"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


class TestContract(SearcherSuite):
    unsupported = {
        "seed": REMOTE,
        "modes": REMOTE,
        "learns": REMOTE,
        "replay": REMOTE,
        "save": REMOTE,
    }

    @pytest.fixture(autouse=True)
    def _server(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        monkeypatch.setenv("SIGOPT_KEY", "any")

    def make(self, **arguments: Any) -> Any:
        return SigOptSearch(api_url=self.server.url, max_concurrent=8, **arguments)


def test_wire_format(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGOPT_KEY", "any")
    drive = SearcherDriver(SigOptSearch(api_url=server.url, name="mine", max_concurrent=2, observation_budget=9))
    config = drive.ask()
    drive.tell("00000")
    drive.ask()
    drive.tell("00001", error=True)

    created = server.experiments["1"]
    assert (created["name"], created["parallel_bandwidth"], created["observation_budget"]) == ("mine", 2, 9)
    assert created["metrics"] == [{"name": "loss", "objective": "minimize"}]
    assert created["parameters"][0] == {"name": "p000", "type": "double", "bounds": {"min": 0.0, "max": 1.0}}
    assert created["parameters"][1]["transformation"] == "log"
    assert created["parameters"][2]["categorical_values"] == ["c0", "c1", "c2"]
    assert server.observations["1"] == [
        {"suggestion": "s0", "values": [{"name": "loss", "value": loss_of(config)}]},
        {"suggestion": "s1", "failed": True},
    ]


def test_missing_token_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGOPT_KEY", raising=False)
    monkeypatch.delenv("SIGOPT_API_TOKEN", raising=False)
    with pytest.raises(InvalidArgumentError, match="SIGOPT_KEY"):
        SearcherDriver(SigOptSearch())
