"""A local server that speaks as much of SigOpt's HTTP interface as its client needs, and suggests at random."""

from __future__ import annotations

import json
import math
import random
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server:
    """Experiments, suggestions and observations in memory."""

    def __init__(self) -> None:
        self.experiments: dict[str, dict[str, Any]] = {}
        self.observations: dict[str, list[dict[str, Any]]] = {}
        self.suggestions: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.rng = random.Random(0)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size) or b"{}")
                answer = server.post(self.path, body)
                text = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(("POST", path, body))
        if path == "/v1/experiments":
            number = str(len(self.experiments) + 1)
            self.experiments[number] = {**body, "id": number, "object": "experiment"}
            self.observations[number] = []
            return self.experiments[number]
        found = re.fullmatch(r"/v1/experiments/(\w+)/(\w+)", path)
        assert found, path
        experiment, what = found.groups()
        if what == "suggestions":
            number = f"s{len(self.suggestions)}"
            drawn = {p["name"]: self.draw(p) for p in self.experiments[experiment]["parameters"]}
            self.suggestions[number] = {"id": number, "assignments": drawn, "object": "suggestion"}
            return self.suggestions[number]
        assert what == "observations", path
        number = f"o{len(self.observations[experiment])}"
        self.observations[experiment].append(body)
        return {**body, "id": number, "object": "observation"}

    def draw(self, parameter: dict[str, Any]) -> Any:
        if parameter["type"] == "categorical":
            return self.rng.choice(parameter["categorical_values"])
        low, high = parameter["bounds"]["min"], parameter["bounds"]["max"]
        if parameter["type"] == "int":
            return self.rng.randint(low, high)
        if parameter.get("transformation") == "log":
            return math.exp(self.rng.uniform(math.log(low), math.log(high)))
        return self.rng.uniform(low, high)
