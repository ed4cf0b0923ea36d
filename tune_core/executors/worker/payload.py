"""The trainable on its way to local workers: pickled once, its large buffers in a file that every worker maps.

The file has no name: it is gone with the last process that holds it, however the driver ends.
Buffers of 64 KiB and more (arrays, frames) are written out of band (pickle protocol 5) behind the pickle itself,
aligned to 64 bytes, so that a worker's array is a view of the mapped file and costs no copy. They arrive read-only.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import logging
import mmap
import os
import pickle
import struct
import sys
import tempfile
import threading
import types
from collections import ChainMap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tune_core.errors import SerializationError
from tune_core.executors.worker.system import above_standard

_log = logging.getLogger(__name__)

_OUT_OF_BAND_BYTES = 1 << 16
_ALIGN = 64
_registering = threading.RLock()


class Dumped(NamedTuple):
    """A trainable in a file, and what is known of it without opening that."""

    handle: int
    modules: tuple[str, ...]  # that it refers to
    has_code: bool = True  # of its own: functions or classes that no module can be asked for


def dump(thing: object, name: str) -> Dumped:
    """Write ``thing`` to a file without a name; the caller closes its descriptor.

    Raises
    ------
    SerializationError
        If it cannot be pickled, which names the captured variable that is at fault; or if there is no room for it.
    """
    buffers: list[pickle.PickleBuffer] = []

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        with buffer.raw() as raw:
            if raw.nbytes < _OUT_OF_BAND_BYTES:
                return True
        buffers.append(buffer)
        return False

    try:
        body, modules, has_code = _pickle(thing, keep_in_band)
    except Exception as error:
        raise unpicklable(thing, name, error) from error
    views = [b.raw() for b in buffers]
    size_bytes = len(body) + sum(v.nbytes for v in views)
    try:
        return Dumped(_write([body, *views], size_bytes), modules, has_code)
    except OSError as error:
        raise SerializationError(
            f"The objective {name} and what it refers to",
            f"cannot be written to a file of {size_bytes:,} bytes for the worker processes: {error}",
            "shared memory and the temporary folder have no room for it, or no more files may be open",
            "Make room (/dev/shm, or another folder in TMPDIR), or let the objective load its data itself.",
        ) from error


def dumps(thing: object) -> bytes:
    """``thing`` and the script's definitions in it, for ``pickle.loads``."""
    return _pickle(thing, None)[0]


def _write(parts: list[bytes | memoryview], size_bytes: int) -> int:
    """Put the parts into a file behind each other, their sizes first."""
    handle = above_standard(_nameless_file(size_bytes))
    try:
        with os.fdopen(handle, "wb", closefd=False) as file:
            sizes = [part.nbytes if isinstance(part, memoryview) else len(part) for part in parts]
            file.write(struct.pack(f"<{len(sizes) + 1}Q", len(parts) - 1, *sizes))
            for part in parts:
                file.write(b"\0" * (-file.tell() % _ALIGN))
                file.write(part)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _pickle(thing: object, buffer_callback: object) -> tuple[bytes, tuple[str, ...], bool]:
    """``thing`` and the script's definitions that it refers to, pickled; the modules that it refers to; whether it
    brings code of its own.

    Like ``cloudpickle.dumps``, but functions keep the name of their file, for their tracebacks, and the main module of
    a process that was spawned (``__mp_main__``), which no worker can import, goes by value like any main module.
    """
    file = io.BytesIO()
    pickler = _pickler(file, buffer_callback)
    with main_by_value():
        pickler.dump((thing, pickler.definitions))
    return file.getvalue(), tuple(pickler.modules), pickler.has_code


def _pickler(file: Any, buffer_callback: Any, is_sent_apart: Callable[[object], bool] = lambda obj: False) -> Any:
    """A pickler that notes, while it pickles, the script's definitions and the modules that it comes upon."""
    import cloudpickle

    main = sys.modules.get("__main__")
    reduce_code = cloudpickle.Pickler.dispatch_table[types.CodeType]

    def keep_filename(code: types.CodeType) -> tuple[object, ...]:
        rebuild, arguments = reduce_code(code)
        return rebuild, tuple(code.co_filename if a == "<dynamic-code>" else a for a in arguments)

    class Pickler(cloudpickle.Pickler):
        dispatch_table = ChainMap({types.CodeType: keep_filename}, cloudpickle.Pickler.dispatch_table)

        def __init__(self) -> None:
            super().__init__(file, protocol=5, buffer_callback=buffer_callback)
            self.definitions: dict[str, object] = {}
            self.modules: dict[str, None] = {}
            self.has_code = False

        def reducer_override(self, obj: object) -> object:
            reduced = super().reducer_override(obj)
            name = getattr(obj, "__name__", None)
            is_of_script = getattr(main, str(name), None) is obj
            if is_of_script and isinstance(obj, functools._lru_cache_wrapper):
                reduced = _cached, (obj.__wrapped__, obj.cache_parameters())
            module = name if isinstance(obj, types.ModuleType) else getattr(obj, "__module__", None)
            if isinstance(name, str) and isinstance(module, str) and reduced is NotImplemented:
                self.modules[module] = None
            elif isinstance(name, str):
                self.has_code = True  # or something of which nobody can tell where it is from
                if is_of_script and isinstance(module, str):
                    self.definitions[name] = obj
            return reduced

        def persistent_id(self, obj: object) -> Any:
            return "sent apart" if is_sent_apart(obj) else None

    return Pickler()


def _cached(function: Callable[..., Any], settings: dict[str, Any]) -> Any:
    """A function of the script's under ``functools.cache`` or ``lru_cache``, which cloudpickle leaves to its name."""
    return functools.lru_cache(**settings)(function)


def definitions_of(thing: object, is_sent_apart: Callable[[object], bool]) -> dict[str, object]:
    """The script's own functions and classes that ``thing`` refers to, by their names.

    Parameters
    ----------
    thing
        Whatever another library will pickle.
    is_sent_apart
        Whether an object inside it is one that only that library can pickle; nothing is looked for in those.
    """
    pickler = _pickler(_Nowhere(), lambda buffer: None, is_sent_apart)
    try:
        with main_by_value():
            pickler.dump(thing)
    except Exception:  # the library that pickles it in earnest tells what is wrong, if it thinks so too
        _log.debug("not all of the script's definitions were found", exc_info=True)
    definitions: dict[str, object] = pickler.definitions
    return definitions


class _Nowhere:
    """A file that keeps nothing."""

    def write(self, data: Any) -> int:
        return len(data)


@contextlib.contextmanager
def main_by_value(library: Any = None) -> Iterator[None]:
    """Let what the main module of a spawned process defines be pickled by value.

    Parameters
    ----------
    library
        The cloudpickle to tell; None: the one that is installed. Its list of such modules is one for all threads.
    """
    spawned = sys.modules.get("__mp_main__")
    if spawned is None:
        yield
        return
    library = library or importlib.import_module("cloudpickle")
    with _registering:
        if spawned.__name__ in library.list_registry_pickle_by_value():
            yield
            return
        library.register_pickle_by_value(spawned)
        try:
            yield
        finally:
            library.unregister_pickle_by_value(spawned)


def unpicklable(thing: object, name: str, error: Exception) -> SerializationError:
    """The error for a trainable that cannot be pickled; names the captured variable that is at fault."""
    return SerializationError(
        f"The objective {name}",
        f"cannot be sent to a worker process: {type(error).__name__}: {error}",
        _culprit(thing) or "something that it refers to cannot be pickled",
        "Make it inside the objective, or pass it with tune.with_parameters if it can be pickled; "
        'or run in this process with RunConfig(executor="inline").',
    )


class Payload:
    """What :func:`dump` wrote, mapped into this process; each call of it makes everything anew but large buffers."""

    def __init__(self, handle: int) -> None:
        self._parts = _mapped(handle)

    def __call__(self) -> tuple[Any, dict[str, Any]]:
        """What :func:`dump` was given, and the script's definitions in it."""
        found: tuple[Any, dict[str, Any]] = pickle.loads(self._parts[0], buffers=self._parts[1:])
        return found


def load(handle: int) -> tuple[Any, dict[str, Any]]:
    """What :func:`dump` was given, its large buffers mapped from the file; and the script's definitions in it."""
    return Payload(handle)()


def _mapped(handle: int) -> list[memoryview]:
    mapped = memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_READ))
    (count,) = struct.unpack_from("<Q", mapped)
    sizes = struct.unpack_from(f"<{count + 1}Q", mapped, 8)
    parts = []
    at = 8 * (count + 2)
    for size in sizes:
        at += -at % _ALIGN
        parts.append(mapped[at : at + size])
        at += size
    return parts


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
    from tune_core.trainable import Prepared

    if isinstance(thing, Prepared):
        for key, value in thing.parameters.items():
            if not pickles(value):
                return f"the bound parameter {key!r} ({type(value).__name__}) cannot be pickled"
        thing = thing.trainable
    function = getattr(thing, "__func__", thing)
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    for key, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        with contextlib.suppress(ValueError):
            if not pickles(cell.cell_contents):
                return f"the captured variable {key!r} ({type(cell.cell_contents).__name__}) cannot be pickled"
    for key in code.co_names:
        value = function.__globals__.get(key)
        if value is not None and not pickles(value):
            inner = _culprit(value, depth + 1) if depth < 3 else ""
            return inner or f"the global variable {key!r} ({type(value).__name__}) cannot be pickled"
    return ""


def pickles(value: object) -> bool:
    """Whether a value can be sent to another process."""
    import cloudpickle

    try:
        cloudpickle.dumps(value)
    except Exception:  # whatever __reduce__ raises
        return False
    return True
