"""The dashboard's server: this machine's only, with a token, and nothing but what its page needs.

Every request must name this server in ``Host`` (so that no foreign page reaches it by a name of its own), come from
this page or from none (``Origin``), and carry the token: once in the address, then in a cookie that scripts cannot
read and other sites cannot send. Experiments have ids that the server made; no path comes from outside.
"""

from __future__ import annotations

import contextlib
import gzip
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tune_core.dashboard import views
from tune_core.dashboard.board import Board, LiveExperiment
from tune_core.plots.page import asset, page_and_policy

STREAM_S = 1.0
"""Least seconds between two messages of a stream."""
MAX_BODY = 4096

_ROUTE = re.compile(r"/api/experiment/([0-9a-f]{16})/(\w+)(?:/(\w+))?")


class Dashboard:
    """Serves the page; see ``tune-core dashboard``.

    Parameters
    ----------
    folders
        Experiments, or folders of experiments.
    port
        0 takes a free one.
    control
        Whether the page may send commands to runs that take them (``RunConfig(control=True)``).
    token
        The secret in the address; None makes one.
    """

    def __init__(self, folders: Sequence[str], port: int = 0, control: bool = False, token: str | None = None) -> None:
        self.board = Board(folders)
        self.control = control
        self.token = token if token is not None else secrets.token_urlsafe(24)
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.dashboard = self
        self.port = int(self._server.server_address[1])
        self.html, self.policy = _page(control)
        self._charts: dict[object, tuple[int, float, object]] = {}
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def cookie(self) -> str:
        """Name of the cookie; it has the port, since cookies do not tell ports apart."""
        return f"tune_core_{self.port}"

    def serve(self) -> None:
        """Serve until :meth:`close`."""
        self._server.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Stop serving."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def chart(self, kind: str, experiments: Sequence[LiveExperiment]) -> Any:
        """A chart, made again only if the experiments have changed, and not more often than its making allows."""
        key = kind, tuple(id(live) for live in experiments)
        version = sum(live.version for live in experiments)
        known = self._charts.get(key)
        if known is not None and (known[0] == version or time.monotonic() < known[1]):
            return known[2]
        began = time.monotonic()
        made = views.chart(kind, experiments)
        took = time.monotonic() - began
        if len(self._charts) > 64:
            self._charts.clear()
        self._charts[key] = version, time.monotonic() + 10 * took, made
        return made


def _page(control: bool) -> tuple[str, str]:
    body = '<div id="app"></div><noscript>The dashboard needs JavaScript.</noscript>'
    scripts = [asset("charts.js"), asset("table.js"), asset("words.js", "tune_core.dashboard"),
               asset("app.js", "tune_core.dashboard")]  # fmt: skip
    styles = asset("app.css", "tune_core.dashboard")
    return page_and_policy("tune-core", body, {"settings": {"control": control}}, scripts, styles=styles, connect=True)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    dashboard: Dashboard

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closes a connection is no event."""


class _Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "tune-core"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: addresses may hold the token."""

    # --- who asks -----------------------------------------------------------------------------------------------------

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, action: Callable[[], None]) -> None:
        try:
            self._check_origin()
            action()
        except _Refused as refused:
            with contextlib.suppress(OSError):
                self._send(refused.status, f"{refused}\n".encode(), "text/plain; charset=utf-8")
        except (BrokenPipeError, ConnectionResetError, TimeoutError):  # the browser has gone away
            self.close_connection = True
        except Exception as error:
            with contextlib.suppress(OSError):
                self._json({"error": f"{type(error).__name__}: {error}"}, 500)

    def _check_origin(self) -> None:
        hosts = {f"{name}:{self.server.dashboard.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        host = self.headers.get("Host", "")
        if host not in hosts:
            raise _Refused(403, "This server answers to its own address only.")
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            raise _Refused(403, "Requests from other pages are refused.")
        if self.headers.get("Sec-Fetch-Site") not in (None, "same-origin", "none"):
            url = urlsplit(self.path)
            if not (self.command == "GET" and url.path == "/"):
                raise _Refused(403, "Requests from other pages are refused.")

    def _has_token(self) -> bool:
        for part in (self.headers.get("Cookie") or "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self.server.dashboard.cookie and self._is_token(value):
                return True
        return False

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.server.dashboard.token.encode())

    # --- what is asked ------------------------------------------------------------------------------------------------

    def _get(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if url.path == "/" and "token" in query:
            self._log_in(query["token"][0])
            return
        if url.path == "/favicon.ico":
            self._send(204, b"", "image/x-icon")
            return
        if not self._has_token():
            raise _Refused(403, "Open the address that `tune-core dashboard` has printed: it holds the token.")
        if url.path == "/":
            self._send(200, self.server.dashboard.html.encode(), "text/html; charset=utf-8")
        elif url.path == "/api/experiments":
            self._json({"experiments": self.server.dashboard.board.summaries()})
        elif url.path == "/api/compare":
            self._compare(query)
        else:
            self._experiment(url.path, query)

    def _log_in(self, token: str) -> None:
        if not self._is_token(token):
            raise _Refused(403, "The token is wrong.")
        cookie = f"{self.server.dashboard.cookie}={token}; HttpOnly; SameSite=Strict; Path=/"
        self._send(303, b"", "text/plain", {"Location": "/", "Set-Cookie": cookie})

    def _find(self, key: str) -> LiveExperiment:
        live = self.server.dashboard.board.get(key)
        if live is None:
            raise _Refused(404, "There is no such experiment.")
        return live

    def _compare(self, query: dict[str, list[str]]) -> None:
        keys = [key for key in (query.get("ids") or [""])[0].split(",") if key][:8]
        self._json(views.comparison([self._find(key) for key in keys]))

    def _experiment(self, path: str, query: dict[str, list[str]]) -> None:
        route = _ROUTE.fullmatch(path)
        if route is None:
            raise _Refused(404, "There is no such page.")
        live, what, rest = self._find(route[1]), route[2], route[3]
        if what == "events":
            self._stream(route[1], live)
            return
        with live.lock:
            if what == "summary":
                answer: Any = live.summary()
            elif what == "rows":
                since = (query.get("since") or ["0"])[0]
                answer = views.rows(live, int(since) if since.isdigit() else 0)
            elif what == "chart" and rest in views.CHARTS:
                answer = self.server.dashboard.chart(str(rest), [live])
            elif what == "trial" and rest and rest.isdigit() and int(rest) < len(live.trials):
                answer = views.trial(live, int(rest))
            elif what == "workers":
                answer = live.workers()
            elif what == "report":
                self._report(live)
                return
            else:
                raise _Refused(404, "There is no such page.")
        self._json(answer)

    def _report(self, live: LiveExperiment) -> None:
        from tune_core.reporting import report

        text = report(live.experiment.folder).encode("utf-8", "replace")
        name = re.sub(r"[^\w.-]", "_", live.name, flags=re.ASCII)[:80]
        disposition = f'attachment; filename="report-{name}.html"'
        self._send(200, text, "text/html; charset=utf-8", {"Content-Disposition": disposition})

    def _stream(self, key: str, live: LiveExperiment) -> None:
        """Server-sent events: a summary whenever the journal has grown, at most once a second."""
        self.send_response(200)
        self._headers({"Content-Type": "text/event-stream", "Connection": "close"})
        self.end_headers()
        self.close_connection = True
        seen, quiet = -1, 0
        while not self.server.dashboard.closing.is_set():
            version = live.update()
            with live.lock:
                summary = live.summary() if version != seen or quiet > 10 else None
            if summary is not None:
                seen, quiet = version, 0
                data = json.dumps(_plain(summary), allow_nan=False)
                self.wfile.write(f"id: {version}\ndata: {data}\n\n".encode())
                self.wfile.flush()
            quiet += 1
            self.server.dashboard.closing.wait(STREAM_S)

    def _post(self) -> None:
        if not self._has_token() or self.headers.get("X-Tune-Core") != "1":
            raise _Refused(403, "Commands come from the dashboard's own page only.")
        route = _ROUTE.fullmatch(urlsplit(self.path).path)
        if route is None or route[2] != "command":
            raise _Refused(404, "There is no such page.")
        if not self.server.dashboard.control:
            raise _Refused(403, "Commands are off: start the dashboard with --control.")
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= MAX_BODY:
            raise _Refused(413, "A command is short.")
        live = self._find(route[1])
        from tune_core.engine.remote_control import send_command

        try:
            wanted = json.loads(self.rfile.read(length))
            send_command(live.experiment.folder, wanted)
        except ValueError as error:
            raise _Refused(400, str(error)) from error
        self._json({"sent": wanted})

    # --- answers ------------------------------------------------------------------------------------------------------

    def _json(self, value: object, status: int = 200) -> None:
        text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
        self._send(status, text.encode("utf-8", "replace"), "application/json")

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        extra = {"Content-Type": kind, **(headers or {})}
        if len(body) > 2048 and "gzip" in (self.headers.get("Accept-Encoding") or ""):
            body = gzip.compress(body, 1, mtime=0)
            extra["Content-Encoding"] = "gzip"
        self.send_response(status)
        self._headers({**extra, "Content-Length": str(len(body))})
        self.end_headers()
        self.wfile.write(body)

    def _headers(self, extra: dict[str, str]) -> None:
        fixed = {
            "Content-Security-Policy": f"{self.server.dashboard.policy}; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        for name, value in {**fixed, **extra}.items():
            self.send_header(name, value)


def _plain(value: object) -> Any:
    """A value without NaN and infinities, which JSON lacks."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    return [_plain(child) for child in value] if isinstance(value, (list, tuple)) else value
