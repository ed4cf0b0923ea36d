"""Counts the work that a piece of tune-core does, and how it grows with the size of what it is given.

Seconds would depend on the machine. What is counted are the lines of tune-core that run, one for each time round a
loop, and what is read from and written to files.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import tune_core

BYTES_A_LINE = 100
"""So many bytes of files count as one line."""
MOST = 1.15
"""The largest exponent of growth that counts as linear."""
_CODE = os.path.dirname(tune_core.__file__)


def work(action: Callable[[], object]) -> int:
    """How much is done meanwhile, in this thread and in those that begin meanwhile."""
    lines = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(_CODE):
            return None
        lines += 1
        return count

    def count(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += 1
        return count

    before = sys.gettrace()
    moved = _bytes_moved()
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
        threading.settrace(before)  # type: ignore[arg-type]
    return lines + (_bytes_moved() - moved) // BYTES_A_LINE


def _bytes_moved() -> int:
    """What this process has read and written; 0 where the system does not tell."""
    try:
        with open("/proc/self/io", encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith(("rchar", "wchar")))
    except OSError:
        return 0


def exponent(by_size: dict[int, int]) -> float:
    """The largest exponent of growth between two sizes; 1.0 is linear."""
    sizes = sorted(by_size)
    return max(
        math.log(by_size[large] / by_size[small]) / math.log(large / small)
        for i, small in enumerate(sizes)
        for large in sizes[i + 1 :]
    )


def stays_linear(prepare: Callable[[int], Callable[[], object]], n: int) -> dict[int, int]:
    """Fail if what ``prepare`` gives for n, 2n and 8n does more than in proportion; preparing is not counted.

    Returns the work at each size.
    """
    by_size = {size: work(prepare(size)) for size in (n, 2 * n, 8 * n)}
    grows = exponent(by_size)
    print(f"grows with the exponent {grows:.2f}: {by_size}")  # pytest -rP shows it
    assert grows <= MOST, f"the work grows with the exponent {grows:.2f}: {by_size}"
    return by_size
