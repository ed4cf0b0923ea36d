"""Five hundred whole runs under faults, from seeds, every invariant on. A failing seed is printed; it replays with

python tests/simulation/fuzz.py SEED
"""

from __future__ import annotations

import pytest

from tune_core.errors import MissingDependencyError

from . import fuzz

CHUNK = 25


@pytest.mark.parametrize("first", range(0, 500, CHUNK))
def test_every_invariant_holds_in_random_runs(first: int) -> None:
    for seed in range(first, first + CHUNK):
        try:
            fuzz.check(seed)
        except MissingDependencyError:
            continue  # this seed's scheduler needs a library that is not here
        except Exception as error:
            raise AssertionError(f"seed {seed} failed; replay it: python tests/simulation/fuzz.py {seed}") from error


@pytest.mark.parametrize("workers", [2, 7, 100])
@pytest.mark.parametrize("name", sorted(fuzz.SCHEDULERS))
def test_each_scheduler_ends_on_any_number_of_workers(name: str, workers: int) -> None:
    for seed in range(3):
        fuzz.check(seed, name, workers)
