"""The counting itself: what is linear passes, what is not fails, wherever the work is hidden."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from growth.counting import exponent, stays_linear, work
from tune_core.core.flatten import flatten


def test_twice_the_work_is_counted_twice() -> None:
    once = work(lambda: flatten({"a": {"b": 1}}))
    assert once > 0
    assert work(lambda: [flatten({"a": {"b": 1}}) for _ in range(10)]) == pytest.approx(10 * once, rel=0.1)


def test_exponents_are_those_of_powers() -> None:
    assert exponent({10: 100, 20: 400, 80: 6400}) == pytest.approx(2)
    assert exponent({10: 50, 20: 100, 80: 400}) == pytest.approx(1)
    assert exponent({10: 50, 20: 100, 80: 6400}) > 2  # bends upward late


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="the system does not tell what was read")
def test_reading_everything_for_each_part_is_not_linear(tmp_path: Path) -> None:
    def reads(n: int) -> Any:
        path = tmp_path / str(n)
        path.write_bytes(b"x" * 1000 * n)
        return lambda: [path.read_bytes() for _ in range(n)]

    with pytest.raises(AssertionError, match=r"exponent 2\.0"):
        stays_linear(reads, 10)


def test_a_scan_for_each_part_is_not_linear() -> None:
    with pytest.raises(AssertionError, match="exponent"):
        stays_linear(lambda n: lambda: [flatten({str(i): i for i in range(n)}) for _ in range(n)], 10)
