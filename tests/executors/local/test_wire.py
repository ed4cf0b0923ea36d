"""Messages between a driver and its workers, however the socket cuts them."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from tune_core.core import events as ev
from tune_core.executors.local import wire
from tune_core.executors.local.process import SocketLink


@pytest.mark.parametrize("piece", [1, 7, 1000, 1 << 20])
def test_messages_arrive_whole_however_they_are_cut(piece: int) -> None:
    messages: list[Any] = [("extend", 1, 1, None), ("revoke", 1, "x" * 100_000), ("halt", 2, 1, "stopped", "why")]
    data = b"".join(map(wire.pack, messages))
    ours, theirs = socket.socketpair()

    def send() -> None:
        for at in range(0, len(data), piece):
            ours.sendall(data[at : at + piece])
        ours.close()

    if piece < 7:
        data, messages = wire.pack(messages[0]), messages[:1]
    sender = threading.Thread(target=send)
    sender.start()
    with theirs:
        rest, came = b"", []
        while True:
            message, rest = wire.receive_plain(theirs, rest)
            if message is None:
                break
            came.append(message)
    sender.join()
    assert came == messages
    assert rest == b""


def test_a_message_that_breaks_off_is_an_end() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(wire.pack(("revoke", 1, "x" * 1000))[:-1])
        ours.close()
        assert wire.receive_plain(theirs, b"") == (None, b"")


def test_a_link_knows_of_messages_that_came_together() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        link = SocketLink(theirs)
        wire.send(ours, ("run", "spec"), [0])
        assert link.receive() == ("run", "spec") and len(link.descriptors) == 1
        assert not link.has_message()
        job = ev.Launch(3, {"x": 0.5}, ev.Lease(until=4.0), {"cpu": 1}, (2, "checkpoint_000001"), 1, 0.5, 2)
        wire.send(ours, ("extend", 1, 1, None))
        wire.send(ours, ("launch", *ev.parts_of(job)))
        assert link.receive() == ("extend", 1, 1, None)
        assert link.has_message()
        assert link.receive() == ("launch", job)
        assert not link.has_message()
