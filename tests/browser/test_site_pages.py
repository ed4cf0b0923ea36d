"""Pages of the built site can be read by everybody: axe-core finds no violation, in light and dark, on a phone too."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from imports import ROOT

from .axe import all_findings

SITE = ROOT / "docs" / "_build" / "html"
PAGES = [
    "index.html",
    "tutorial.html",
    "key-concepts.html",
    "guides/plots.html",
    "guides/search.html",
    "examples.html",
    "_examples/digits_asha.html",
    "reference-api.html",
    "_api/tune_core.Tuner.html",
    "migration/ray-tune.html",
    "faq.html",
    "zh/index.html",
    "zh/tutorial.html",
    "zh/guides/command-line.html",
    "zh/guides/plots.html",
    "zh/guides/schedulers.html",
    "zh/examples.html",
    "zh/faq.html",
]

pytestmark = pytest.mark.skipif(not SITE.exists(), reason="needs the built site: tox -e docs")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
@pytest.mark.parametrize("path", PAGES)
def test_page_has_no_violation(browser: Any, address: str, path: str, look: str) -> None:
    context = browser.new_context(
        viewport={"width": 390 if look == "phone" else 1280, "height": 900},
        color_scheme="dark" if look == "dark" else "light",
    )
    page = context.new_page()
    page.goto(address + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert all_findings(page) == []
    context.close()
