"""What of a configuration is given and what is left out."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import tune_core as tune
from tune_core.search.encoding.encode import Encoding

SHARED = tune.choice([False, True])
SPACE: dict[str, Any] = {
    "flag": SHARED,
    "other": SHARED,
    "n": tune.randint(0, 2),
    "far": tune.randn(100.0, 1.0),
    "model": tune.choice([{"kind": "svm", "C": tune.uniform(0, 1), "shrinking": SHARED}, {"kind": "none"}]),
    "list": [tune.uniform(0, 1), tune.choice(["a", "b"])],
    "either": tune.choice([tune.uniform(0, 1), tune.randint(5, 9)]),
}
GIVEN: dict[str, Any] = {"flag": True, "other": False, "n": 1, "far": 99.0, "either": 7}


@pytest.mark.parametrize("names", [c for r in range(6) for c in itertools.combinations(GIVEN, r)], ids=",".join)
def test_exactly_what_is_given_is_encoded(names: tuple[str, ...]) -> None:
    """Values of domains with two values, too, which repeated draws find by chance."""
    found = Encoding(SPACE, "a test").encode_part({name: GIVEN[name] for name in names})
    expected = {"flag": 1, "other": 0, "n": 1, "far": pytest.approx(0.158655, abs=1e-6), "either": 1, "either=1": 7}
    assert found == {key: value for key, value in expected.items() if key.partition("=")[0] in names}


def test_a_choice_may_be_given_without_what_hangs_on_it() -> None:
    encoding = Encoding(SPACE, "a test")
    assert encoding.encode_part({"model": {"kind": "svm", "shrinking": True}}) == {
        "model": 0,
        "model=0/shrinking": 1,
    }
    assert encoding.encode_part({"model": {"kind": "none"}}) == {"model": 1}
    assert encoding.encode_part({"model": {"kind": "svm", "C": 0.5}}) == {"model": 0, "model=0/C": 0.5}
