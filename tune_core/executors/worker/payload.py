"""The trainable on its way to local workers: pickled once, its large buffers in a file that every worker maps.

The file has no name: it is gone with the last process that holds it, however the driver ends.
Buffers of 64 KiB and more (arrays, frames) are written out of band (pickle protocol 5) behind the pickle itself,
aligned to 64 bytes, so that a worker's array is a view of the mapped file and costs no copy. They arrive read-only.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import pickle
import struct
import tempfile
import types
from collections import ChainMap
from typing import Any

from tune_core.errors import SerializationError

_OUT_OF_BAND_BYTES = 1 << 16
_ALIGN = 64


def dump(thing: Any, name: str) -> int:
    """Write ``thing`` to a file without a name and return its descriptor; the caller closes it.

    Raises
    ------
    SerializationError
        If it cannot be pickled; names the captured variable that is at fault.
    """
    import cloudpickle

    buffers: list[pickle.PickleBuffer] = []

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        with buffer.raw() as raw:
            if raw.nbytes < _OUT_OF_BAND_BYTES:
                return True
        buffers.append(buffer)
        return False

    try:
        body = _pickle(cloudpickle, thing, keep_in_band)
    except Exception as error:
        raise unpicklable(thing, name, error) from error
    views = [b.raw() for b in buffers]
    handle = _nameless_file(sum(v.nbytes for v in views))
    with os.fdopen(handle, "wb", closefd=False) as file:
        sizes = [len(body), *(v.nbytes for v in views)]
        file.write(struct.pack(f"<{len(sizes) + 1}Q", len(views), *sizes))
        parts: list[bytes | memoryview] = [body, *views]
        for part in parts:
            file.write(b"\0" * (-file.tell() % _ALIGN))
            file.write(part)
    return handle


def _pickle(cloudpickle: Any, thing: Any, buffer_callback: Any) -> bytes:
    """Like ``cloudpickle.dumps``, but functions keep the name of their file, for their tracebacks."""
    reduce_code = cloudpickle.Pickler.dispatch_table[types.CodeType]

    def keep_filename(code: types.CodeType) -> tuple[Any, ...]:
        rebuild, arguments = reduce_code(code)
        return rebuild, tuple(code.co_filename if a == "<dynamic-code>" else a for a in arguments)

    class Pickler(cloudpickle.Pickler):
        dispatch_table = ChainMap({types.CodeType: keep_filename}, cloudpickle.Pickler.dispatch_table)

    file = io.BytesIO()
    Pickler(file, protocol=5, buffer_callback=buffer_callback).dump(thing)
    return file.getvalue()


def unpicklable(thing: Any, name: str, error: Exception) -> SerializationError:
    """The error for a trainable that cannot be pickled; names the captured variable that is at fault."""
    return SerializationError(
        f"The objective {name}",
        f"cannot be sent to a worker process: {type(error).__name__}: {error}",
        _culprit(thing) or "something that it refers to cannot be pickled",
        "Make it inside the objective, or pass it with tune.with_parameters if it can be pickled; "
        'or run in this process with RunConfig(executor="inline").',
    )


def load(handle: int) -> Any:
    """What :func:`dump` wrote, its large buffers mapped from the file."""
    mapped = memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_READ))
    (count,) = struct.unpack_from("<Q", mapped)
    sizes = struct.unpack_from(f"<{count + 1}Q", mapped, 8)
    parts = []
    at = 8 * (count + 2)
    for size in sizes:
        at += -at % _ALIGN
        parts.append(mapped[at : at + size])
        at += size
    return pickle.loads(parts[0], buffers=parts[1:])


def _nameless_file(size_bytes: int) -> int:
    """A file in shared memory where that has room, else in the system's temporary folder."""
    folder = None
    with contextlib.suppress(OSError):
        stat = os.statvfs("/dev/shm")
        if stat.f_bavail * stat.f_frsize > 2 * size_bytes + (64 << 20):
            folder = "/dev/shm"
    handle, path = tempfile.mkstemp(prefix="tune-core-", suffix=".payload", dir=folder)
    os.unlink(path)
    return handle


def _culprit(thing: Any, depth: int = 0) -> str:
    """Which captured variable, bound parameter or global of a function cannot be pickled."""
    import cloudpickle

    from tune_core.trainable import Prepared

    if isinstance(thing, Prepared):
        for key, value in thing.parameters.items():
            if not _pickles(cloudpickle, value):
                return f"the bound parameter {key!r} ({type(value).__name__}) cannot be pickled"
        thing = thing.trainable
    function = getattr(thing, "__func__", thing)
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    for key, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        with contextlib.suppress(ValueError):
            if not _pickles(cloudpickle, cell.cell_contents):
                return f"the captured variable {key!r} ({type(cell.cell_contents).__name__}) cannot be pickled"
    for key in code.co_names:
        value = function.__globals__.get(key)
        if value is not None and not _pickles(cloudpickle, value):
            inner = _culprit(value, depth + 1) if depth < 3 else ""
            return inner or f"the global variable {key!r} ({type(value).__name__}) cannot be pickled"
    return ""


def _pickles(cloudpickle: Any, value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:
        return False
    return True
