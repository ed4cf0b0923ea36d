"""The global random generators, lent to foreign code: seeded for a call, put back after, one thread at a time.

Functions that users give (``sample_from``, mutations) and some search libraries draw from the generators that all of a
process shares: those of ``random``, of NumPy and of PyTorch (its CPU generator), the last two as far as something has
imported them. Whoever lends them takes the one lock here, so that no two threads see each other's states.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tune_core.core.values import JsonObject

_lock = threading.RLock()  # a function that is lent them may itself draw from a space


class _Generator(NamedTuple):
    """How to read, write and seed the state of one global generator."""

    get: Callable[[], Any]
    put: Callable[[Any], object]
    seed: Callable[[int], object]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators inside the block, and restore their states afterwards; ``seed`` counts modulo 2^32."""
    with _lock:
        generators = _generators()
        before = [(generator, generator.get()) for generator in generators.values()]
        for generator in generators.values():
            generator.seed(seed & 0xFFFFFFFF)
        try:
            yield
        finally:
            for generator, state in before:
                generator.put(state)


class OwnGenerator:
    """A sequence of its own in place of that of the global generators; each block continues it.

    Parameters
    ----------
    seed
        Where the sequence begins.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._states: dict[str, object] = {}

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Continue this sequence inside the block, and restore the global states afterwards."""
        with _lock:
            generators = _generators()
            before = {name: generator.get() for name, generator in generators.items()}
            for name, generator in generators.items():
                if name in self._states:
                    generator.put(self._states[name])
                else:
                    generator.seed(self._seed & 0xFFFFFFFF)
            try:
                yield
            finally:
                for name, generator in generators.items():
                    self._states[name] = generator.get()
                    generator.put(before[name])


def _generators() -> dict[str, _Generator]:
    """The global generators of the libraries that are imported by now."""
    found = {"random": _Generator(random.getstate, random.setstate, random.seed)}
    numpy: Any = None
    if "numpy" in sys.modules:
        with contextlib.suppress(ImportError):
            numpy = importlib.import_module("numpy.random")  # which NumPy itself imports when it is first used
    if hasattr(numpy, "set_state"):  # not in the middle of its import
        found["numpy"] = _Generator(numpy.get_state, numpy.set_state, numpy.seed)
    torch = sys.modules.get("torch.random")
    if torch is not None and hasattr(torch, "set_rng_state"):
        found["torch"] = _Generator(torch.get_rng_state, torch.set_rng_state, torch.default_generator.manual_seed)
    return found


def portable_state(generator: Any) -> JsonObject:
    """The state of one of NumPy's generators, of the old kind or the new, as JSON."""
    old = hasattr(generator, "get_state")
    return _to_json(generator.get_state(legacy=False) if old else generator.bit_generator.state)  # type: ignore[no-any-return]


def set_portable_state(generator: Any, state: JsonObject) -> None:
    """Give a generator the state that :func:`portable_state` wrote.

    Raises
    ------
    ValueError, TypeError, LookupError
        If it is no state of such a generator, which then keeps its own.
    """
    raw = _from_json(state)
    if hasattr(generator, "set_state"):
        generator.set_state(raw)
    else:
        generator.bit_generator.state = raw


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to_json(one) for key, one in value.items()}
    if hasattr(value, "tobytes"):
        little = value.astype(value.dtype.newbyteorder("<"))
        return {"dtype": little.dtype.str, "bytes": base64.b64encode(little.tobytes()).decode()}
    return {"int": str(value)} if isinstance(value, int) and value >> 63 else value  # JSON libraries hold 64 bits


def _from_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value.keys() == {"int"}:
        return int(value["int"])
    if value.keys() == {"dtype", "bytes"}:
        import numpy as np

        return np.frombuffer(base64.b64decode(value["bytes"]), np.dtype(value["dtype"])).copy()
    return {key: _from_json(one) for key, one in value.items()}
