"""An S3 server that keeps nothing: for uploads that are too large for a real emulator's memory."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_CHUNK_BYTES = 1 << 20


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Quiet."""

    def _discard_body(self) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= len(self.rfile.read(min(left, _CHUNK_BYTES)))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            while self.rfile.readline() not in (b"\r\n", b""):
                pass

    def _answer(self, status: int, body: str = "", **headers: str) -> None:
        data = f"{_XML}{body}".encode() if body else b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_PUT(self) -> None:
        self._discard_body()
        self._answer(200, ETag='"0"')

    def do_POST(self) -> None:
        self._discard_body()
        key = self.path.partition("?")[0]
        if self.path.endswith(("?uploads", "?uploads=")):
            result = f"<Key>{key}</Key><UploadId>1</UploadId>"
            self._answer(200, f"<InitiateMultipartUploadResult>{result}</InitiateMultipartUploadResult>")
        else:
            result = f"<Key>{key}</Key><ETag>&quot;0&quot;</ETag>"
            self._answer(200, f"<CompleteMultipartUploadResult>{result}</CompleteMultipartUploadResult>")

    def do_HEAD(self) -> None:
        self._answer(404)

    def do_GET(self) -> None:
        if "list-type" in self.path:
            self._answer(
                200, "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
            )
        else:
            self._answer(404, "<Error><Code>NoSuchKey</Code><Message>it keeps nothing</Message></Error>")


class DiscardingS3(ThreadingHTTPServer):
    """Runs until ``close``; ``url`` is where clients connect to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """End."""
        self.shutdown()
        self.server_close()
