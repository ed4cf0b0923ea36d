"""A random generator of one's own in place of the global ones, for libraries that draw from those."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_global_generators = threading.RLock()


class OwnGenerator:
    """Lends the global generators to a library, and puts their states back after.

    They are those of ``random``, NumPy and, once the library has loaded it, PyTorch (its CPU generator).

    Parameters
    ----------
    seed
        Where its own sequence begins.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._states: dict[str, Any] = {}

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Go on with the own sequence meanwhile; one thread at a time."""
        with _global_generators:
            generators = _generators()
            before = {name: get() for name, (get, _, _) in generators.items()}
            for name, (_, put, seed) in generators.items():
                if name in self._states:
                    put(self._states[name])
                else:
                    seed(self._seed & 0xFFFFFFFF)
            try:
                yield
            finally:
                for name, (get, put, _) in generators.items():
                    self._states[name] = get()
                    put(before[name])


def _generators() -> dict[str, tuple[Callable[[], Any], Callable[[Any], object], Callable[[int], object]]]:
    """How to take, put back and seed the state of each global generator that there is."""
    import numpy

    found: dict[str, Any] = {
        "random": (random.getstate, random.setstate, random.seed),
        "numpy": (numpy.random.get_state, numpy.random.set_state, numpy.random.seed),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = (
            torch.random.get_rng_state,
            torch.random.set_rng_state,
            torch.random.default_generator.manual_seed,
        )
    return found
