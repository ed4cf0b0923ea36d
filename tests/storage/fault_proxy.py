"""A proxy before an S3 server that does what networks and stores do on bad days."""

from __future__ import annotations

import random
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

REFUSAL = (
    "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{code} by the test</Message></Error>"
)
HANG_S = 40.0
STATUS = {"SlowDown": 503, "InternalError": 500, "AccessDenied": 403, "ExpiredToken": 400}


@dataclass
class Fault:
    """What happens to requests that begin with ``method`` and hold ``pattern`` in their path.

    ``kind``: a code of :data:`STATUS`; ``reset`` (the connection breaks before the store sees it), ``lost`` (the
    store does it, and the answer is lost), ``cut`` (half of the answer's body arrives), ``slow`` (a second late),
    ``hang`` (no answer for :data:`HANG_S`, then the connection breaks).
    """

    kind: str
    pattern: str = ""
    method: str = ""
    times: int = 1 << 30
    chance: float = 1.0


@dataclass
class Faults:
    """What goes wrong now; counts what did."""

    now: list[Fault] = field(default_factory=list)
    seed: int = 0
    hits: int = 0
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    def pick(self, line: str) -> Fault | None:
        """The fault for a request line, if one is due."""
        method, path, _ = line.split(" ", 2)
        with self._lock:
            self.log.append(f"{method} {path}")
            for fault in self.now:
                fits = fault.method in ("", method) and fault.pattern in path
                if fits and fault.times > 0 and self._random.random() < fault.chance:
                    fault.times -= 1
                    self.hits += 1
                    return fault
        return None


def _read_message(
    stream: socket.SocketIO, on_expect: Callable[[], None] | None = None, head_only: bool = False
) -> tuple[str, bytes, bytes] | None:
    """A first line, all of the head, and the body of one HTTP message."""
    first = stream.readline()
    if not first:
        return None
    head = first
    length, chunked, expects = 0, False, False
    while (line := stream.readline()) not in (b"\r\n", b""):
        head += line
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "content-length":
            length = int(value)
        elif name.lower() == "transfer-encoding":
            chunked = "chunked" in value.lower()
        elif name.lower() == "expect":
            expects = True
    head += b"\r\n"
    if expects and on_expect is not None:
        on_expect()
    body = b"" if head_only else stream.read(length) if length else b""
    while chunked and not head_only:
        size = stream.readline()
        body += size
        count = int(size.split(b";")[0], 16)
        if count == 0:
            while (line := stream.readline()) not in (b"\r\n", b""):  # trailers
                body += line
            body += b"\r\n"
            break
        body += stream.read(count + 2)
    return first.decode("latin-1").strip(), head, body


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server: FaultProxy = self.server  # type: ignore[assignment]
        stream = self.request.makefile("rb")
        while True:
            try:
                request = _read_message(stream, lambda: self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n"))
            except OSError:
                return
            if request is None:
                return
            line, head, body = request
            head = b"".join(part for part in head.splitlines(keepends=True) if not part.lower().startswith(b"expect:"))
            fault = server.faults.pick(line)
            if server.away or (fault is not None and fault.kind == "reset"):
                self._break()
                return
            if fault is not None and fault.kind in STATUS:
                text = REFUSAL.format(code=fault.kind).encode()
                answer = f"HTTP/1.1 {STATUS[fault.kind]} X\r\nContent-Type: application/xml\r\n"
                answer += f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
                self.request.sendall(answer.encode() + (b"" if line.startswith("HEAD") else text))
                return
            if fault is not None and fault.kind == "hang":
                threading.Event().wait(HANG_S)
                self._break()
                return
            if fault is not None and fault.kind == "slow":
                threading.Event().wait(1.0)
            with socket.create_connection(server.upstream) as up:
                head = (
                    b"".join(
                        p for p in head.splitlines(keepends=True) if not p.lower().startswith(b"connection:")
                    ).removesuffix(b"\r\n")
                    + b"Connection: close\r\n\r\n"
                )
                up.sendall(head + body)
                answer = _read_message(up.makefile("rb"), head_only=line.startswith("HEAD"))
            if answer is None or (fault is not None and fault.kind == "lost"):
                self._break()
                return
            _, head, body = answer
            if fault is not None and fault.kind == "cut":
                body = body[: len(body) // 2]
            self.request.sendall(head + body)
            self._end()
            return

    def _break(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._end()

    def _end(self) -> None:
        self.request.close()


class FaultProxy(socketserver.ThreadingTCPServer):
    """Passes requests on to ``upstream``, a (host, port)."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.faults = Faults()
        self.away = False
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        """End."""
        self.shutdown()
        self.server_close()
