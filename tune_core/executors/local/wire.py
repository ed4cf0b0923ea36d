"""Messages from the driver to its processes: pickled, their length before them, and descriptors along with them."""

from __future__ import annotations

import os
import pickle
import socket
import struct
from collections.abc import Sequence

from tune_core.core.values import Message

LENGTH = struct.Struct("<Q")
RESTS = b"rests\n"
"""What a worker sends when it is ready for another run."""
_MOST_DESCRIPTORS = 8
_RECEIVE_BYTES = 1 << 14


def pack(message: Message) -> bytes:
    """A message as bytes, its length first."""
    body = body_of(message)
    return LENGTH.pack(len(body)) + body


def body_of(message: Message) -> bytes:
    """A message as bytes. What belongs to the main script goes by value: a worker has another main module."""
    try:
        body = pickle.dumps(message, protocol=5)
        by_value = b"__main__" in body or b"__mp_main__" in body
    except Exception:  # lambdas, classes made in functions
        by_value = True
    if by_value:
        import cloudpickle

        body = cloudpickle.dumps(message, protocol=5)
    return body


def send(connection: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message; the receiver gets copies of the descriptors."""
    data = pack(message)
    if descriptors:
        sent = socket.send_fds(connection, [data], list(descriptors))
        data = data[sent:]
    connection.sendall(data)


def receive(connection: socket.socket) -> tuple[Message | None, list[int]]:
    """Wait for a message: what it says, None when the other end has closed; and the descriptors that came with it."""
    try:
        head, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, _MOST_DESCRIPTORS)
    except OSError:  # a reset connection is a closed one
        return None, []
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    rest = exactly(connection, LENGTH.size - len(head)) if head else None
    body = exactly(connection, LENGTH.unpack(head + rest)[0]) if rest is not None else None
    if body is None:
        return None, descriptors
    message: Message = pickle.loads(body)
    return message, descriptors


def receive_plain(connection: socket.socket, rest: bytes) -> tuple[Message | None, bytes]:
    """Wait for a message that brings no descriptors, in as few calls of the system as can be.

    ``rest`` is what was read behind the message before; what is read behind this one comes back beside it.
    """
    while len(rest) < LENGTH.size:
        more = _some(connection)
        if not more:
            return None, b""
        rest += more
    end = LENGTH.size + LENGTH.unpack_from(rest)[0]
    missing = end - len(rest)
    if missing > 0:
        more = exactly(connection, missing) or b""
        if not more:
            return None, b""
        rest += more
    message: Message = pickle.loads(memoryview(rest)[LENGTH.size : end])
    return message, rest[end:]


def _some(connection: socket.socket) -> bytes:
    try:
        return connection.recv(_RECEIVE_BYTES)
    except OSError:  # a reset connection is a closed one
        return b""


def exactly(connection: socket.socket, size: int) -> bytes | None:
    """So many bytes, however they are cut; None when the other end has closed."""
    parts = bytearray(size)
    view, at = memoryview(parts), 0
    while at < size:
        try:
            got = connection.recv_into(view[at:])
        except OSError:  # a reset connection is a closed one
            return None
        if not got:
            return None
        at += got
    return bytes(parts)
