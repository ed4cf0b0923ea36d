"""A random generator of one's own in place of the global ones, for libraries that draw from those."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_global_generators = threading.RLock()


class OwnGenerator:
    """Lends the global generators of ``random`` and NumPy to a library, and puts their states back after.

    Parameters
    ----------
    seed
        Where its own sequence begins.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._states: tuple[Any, Any] | None = None

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Go on with the own sequence meanwhile; one thread at a time."""
        import numpy

        with _global_generators:
            before, python_before = numpy.random.get_state(), random.getstate()
            if self._states is None:
                numpy.random.seed(self._seed & 0xFFFFFFFF)
                random.seed(self._seed)
            else:
                numpy.random.set_state(self._states[0])
                random.setstate(self._states[1])
            try:
                yield
            finally:
                self._states = (numpy.random.get_state(), random.getstate())
                numpy.random.set_state(before)
                random.setstate(python_before)
