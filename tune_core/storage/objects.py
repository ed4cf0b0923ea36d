"""A place for objects: the narrow interface that journals, leases and checkpoints need of a store.

An object is some bytes under a key, written whole or not at all. Nothing is renamed, appended or locked: what must
happen once is an object that only one writer can create. A local folder, a mounted share and every store that fsspec
reaches are such places; a conforming one passes ``tune_core.testing.storage``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from tune_core.errors import StorageError

__all__ = ["PARTS_AT_ONCE", "ObjectStore", "ObjectStoreError", "join", "part_bytes", "redacted"]

PARTS_AT_ONCE = 4
"""How many parts of a large object go up at once, each of them in memory."""

_PART_BYTES = 8 << 20
_MOST_PARTS = 10_000  # an upload's limit on S3


@runtime_checkable
class ObjectStore(Protocol):
    """Objects below one URL. Keys are relative to it, with ``/`` between their parts.

    A method raises ``FileNotFoundError`` where the object is missing, and whatever the store's client raises where it
    cannot be reached: callers decide whether to try again (see :mod:`tune_core.storage.retries`).
    """

    url: str
    """The place that keys are relative to, without a slash at its end."""

    def create(self, key: str, data: bytes) -> bool:
        """Write an object that must not be there yet; False if it is. Of several writers exactly one gets True."""

    def put(self, key: str, data: bytes) -> None:
        """Write an object, or replace it in one step."""

    def put_file(self, key: str, path: str) -> None:
        """Write an object with the content of a local file, without holding all of it in memory."""

    def copy(self, source: str, key: str) -> None:
        """Make a second object with the content of ``source``; the bytes need not pass through this machine."""

    def get(self, key: str) -> bytes:
        """An object's content, as it is now."""

    def get_file(self, key: str, path: str) -> None:
        """Write an object's content into a local file, without holding all of it in memory."""

    def size(self, key: str) -> int | None:
        """An object's length in bytes; None if it is missing."""

    def keys(self, prefix: str = "") -> list[str]:
        """Keys of all objects in the folder ``prefix`` and those below it, sorted."""

    def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders directly in the folder ``prefix``, sorted."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are missing are passed over."""


class ObjectStoreError(StorageError):
    """A store cannot be reached, or refuses what was asked of it."""


def join(*parts: str) -> str:
    """A key or URL of its parts."""
    return "/".join(part.strip("/") if i else part.rstrip("/") for i, part in enumerate(parts) if part)


def part_bytes(size: int) -> int:
    """How long the parts are in which an object of ``size`` bytes goes up: short, unless there would be too many."""
    return max(_PART_BYTES, -(-size // _MOST_PARTS))


SECRET = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


def redacted(url: str) -> str:
    """A URL without a password and without what stands behind a question mark."""
    return SECRET.sub(r"\1:***@", url).partition("?")[0]
