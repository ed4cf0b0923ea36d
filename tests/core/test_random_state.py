"""The global random generators are lent under one lock and put back, whoever lends them."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from typing import Any

import pytest

import tune_core as tune
from tune_core.core.random_state import OwnGenerator, seeded
from tune_core.space.sampling import compile_space

numpy = pytest.importorskip("numpy")


def draws() -> tuple[float, float]:
    return random.random(), float(numpy.random.random())


def test_seeded_repeats_and_puts_back() -> None:
    random.seed(1)
    numpy.random.seed(1)
    expected = [draws(), draws()]
    random.seed(1)
    numpy.random.seed(1)
    first = draws()
    with seeded(2**32 + 5):
        inside = draws()
    with seeded(5):
        assert draws() == inside
    assert [first, draws()] == expected


def test_own_generator_continues_its_sequence() -> None:
    own, other = OwnGenerator(3), OwnGenerator(3)
    with own.lent():
        expected = [draws(), draws()]
    with other.lent():
        found = [draws()]
    draws()
    with other.lent():
        found.append(draws())
    assert found == expected


def test_first_draw_of_a_seeded_run_repeats_where_numpy_random_is_not_loaded_yet() -> None:
    """NumPy loads its ``random`` when that is first used, which may be inside the function that draws."""
    script = (
        "import numpy as np, sys, tune_core as tune\n"
        "from tune_core.space.sampling import generate\n"
        "space = {'c': tune.sample_from(lambda spec: np.random.rand())}\n"
        "print([generate(space, 1, i)['c'] for i in range(2)])\n"
    )
    found = {
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1


def test_torch_is_lent_too_once_it_is_there() -> None:
    torch = pytest.importorskip("torch")
    before = torch.random.get_rng_state()
    with seeded(4):
        first = torch.rand(3).tolist()
    with seeded(4):
        assert torch.rand(3).tolist() == first
    assert torch.equal(torch.random.get_rng_state(), before)


def test_searchers_spaces_and_mutations_wait_for_one_another() -> None:
    """A library that is lent the generators keeps its sequence although spaces are drawn from in another thread."""
    alone = OwnGenerator(7)
    with alone.lent():
        expected = [draws() for _ in range(300)]

    space = compile_space({"x": tune.sample_from(lambda: random.random() + float(numpy.random.random()))})
    values = [space.build(random.Random(0), [])["x"]]
    stop = threading.Event()

    def draw_on() -> None:
        while not stop.is_set():
            values.append(space.build(random.Random(0), [])["x"])

    thread = threading.Thread(target=draw_on)
    thread.start()
    found: list[Any] = []
    try:
        shared = OwnGenerator(7)
        for _ in range(100):
            with shared.lent():
                found += [draws() for _ in range(3)]
    finally:
        stop.set()
        thread.join()
    assert found == expected
    assert len(set(values)) == 1
