"""Metrics: plain ones pass untouched, others become plain, and what cannot says so."""

import datetime
import decimal
import enum
import fractions
import math
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_core.core.events import Reported, decode_lines, encode
from tune_core.core.plain_values import MAX_ELEMENTS, MAX_TEXT, plain_metrics
from tune_core.errors import MetricError


def test_plain_metrics_come_back_as_the_same_object():
    metrics = {"loss": 0.5, "epoch": 3, "name": "a", "ok": True, "none": None}
    plain, nonfinite = plain_metrics(metrics)
    assert plain is metrics
    assert nonfinite is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (decimal.Decimal("0.5"), 0.5),
        (fractions.Fraction(1, 2), 0.5),
        ((1, 2.0), [1, 2.0]),
        ({3, 1, 2}, [1, 2, 3]),
        (2**64, float(2**64)),
        (-(2**63) - 1, float(-(2**63))),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.timedelta(minutes=1), 60.0),
        (enum.Enum("Phase", {"TRAIN": "train"}).TRAIN, "train"),
        ("naïve", "naïve"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
    ],
)
def test_values_become_plain(value, expected):
    plain, nonfinite = plain_metrics({"x": value})
    assert plain == {"x": expected}
    assert type(plain["x"]) is type(expected)
    assert nonfinite is None
    msgspec.json.encode(plain)


@pytest.mark.parametrize(("value", "text"), [(math.nan, "nan"), (-math.inf, "-inf"), (10**400, "inf")])
def test_nonfinite_values_become_strings_with_their_path(value, text):
    plain, nonfinite = plain_metrics({"a": 1.0, "val": {"loss": value}})
    assert plain == {"a": 1.0, "val": {"loss": text}}
    assert nonfinite == ["val\x1floss"]


def test_nonfinite_values_in_lists_have_their_position_in_the_path():
    plain, nonfinite = plain_metrics({"x": [math.nan, {"y": math.inf}], "1": {"0": [[-math.inf]]}})
    assert plain == {"x": ["nan", {"y": "inf"}], "1": {"0": [["-inf"]]}}
    assert nonfinite == ["x\x1f0", "x\x1f1\x1fy", "1\x1f0\x1f0\x1f0"]


def test_names_that_read_the_same_in_a_flat_result_are_refused():
    for metrics in ({"a/b": 1, "a": {"b": 2}}, {"a": {"b": {"c": 2}, "b/c": 1}}, {"a": {"b/c": 1}, "a/b": {"c": 2}}):
        with pytest.raises(MetricError, match=r"The reported metric 'a/b(/c)?'.*another has the same name"):
            plain_metrics(metrics)
    assert plain_metrics({"a/b": 1, "a": {"c": 2}, "a/": {}})[0] == {"a/b": 1, "a": {"c": 2}, "a/": {}}


_scalars = st.one_of(st.floats(), st.integers(-(2**63), 2**64 - 1), st.booleans(), st.none(), st.text())
_keys = st.text().filter(lambda key: "\x1f" not in key and "/" not in key)


def _same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return a == b or (math.isnan(a) and math.isnan(b))


_values = st.recursive(
    _scalars, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_keys, inner, max_size=4))
)


@given(st.dictionaries(_keys, _values))
def test_the_journal_gives_back_what_was_reported(metrics):
    plain, nonfinite = plain_metrics(metrics)
    line = encode(Reported(0, 1, 0.0, 0.0, plain, nonfinite=nonfinite))
    (event,) = decode_lines(line)
    assert _same(event.metrics, metrics)


class Opaque:
    pass


class Unreadable:
    shape = (2,)

    def tolist(self):
        raise RuntimeError("device is lost")


class BadRepr:
    def __repr__(self):
        raise RuntimeError("no")


_circular: dict = {}
_circular["self"] = _circular


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"model": Opaque()}, ["'model'", "Opaque"]),
        ({"model": {"net": Opaque()}}, ["'model/net'", "Opaque"]),
        ({"x": b"abc"}, ["'x'", "bytes"]),
        ({"x": 1j}, ["'x'", "complex"]),
        ({"x": float}, ["'x'", "type"]),
        ({"x": lambda: 1}, ["'x'", "function"]),
        ({"x": BadRepr()}, ["'x'", "BadRepr"]),
        ({"x": Unreadable()}, ["'x'", "device is lost"]),
        ({"x": list(range(MAX_ELEMENTS + 1))}, ["'x'", "10,001 elements"]),
        ({"x": "x" * (MAX_TEXT + 1)}, ["'x'", "1,000,001 characters"]),
        ({"x": {"y": ["x" * (MAX_TEXT + 1)]}}, ["'x/y/0'", "1,000,001 characters"]),
        ({"x": decimal.Decimal("sNaN")}, ["'x'", "Decimal"]),
        ({1.5: 0.5}, ["'1.5'", "names of metrics are strings"]),
        ({None: 0.5}, ["names of metrics are strings"]),
        ({"a\x1fb": math.nan, "c": math.nan}, ["reserved"]),
        ({1: 0.5, "1": 0.25}, ["read the same"]),
        (_circular, ["self", "contain itself"]),
        (0.5, ["tune.report(metrics)", "0.5", "a float"]),
        ([("loss", 1)], ["tune.report(metrics)", "list"]),
        (None, ["tune.report(metrics)", "None"]),
    ],
)
def test_unusable_metrics_say_which_what_and_how(metrics, words):
    with pytest.raises(MetricError) as caught:
        plain_metrics(metrics)
    for word in words:
        assert word in str(caught.value)
    assert all([caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix])


def test_values_without_a_plain_form_become_their_repr_where_that_is_asked_for():
    found: dict[str, str] = {}
    plain, nonfinite = plain_metrics(
        {"x": b"ab", "deep": {"z": [1j, math.nan]}, "f": float, "bad": BadRepr(), "n": math.nan, "ok": 1}, found
    )
    assert plain == {
        "x": "b'ab'",
        "deep": {"z": ["1j", "nan"]},
        "f": "<class 'float'>",
        "bad": "?",
        "n": "nan",
        "ok": 1,
    }
    assert found == {"x": "bytes", "deep": "complex", "f": "type", "bad": f"{__name__}.BadRepr"}
    assert nonfinite == ["deep\x1fz\x1f1", "n"]


def test_long_repr_is_cut():
    plain, _ = plain_metrics({"x": b"a" * 5000}, {})
    assert len(plain["x"]) == 1000 and plain["x"].endswith("...")


def test_torch_tensors_become_plain():
    torch = pytest.importorskip("torch")
    loss = torch.tensor(0.5, requires_grad=True)
    plain, _ = plain_metrics({"loss": loss, "half": torch.tensor(0.5, dtype=torch.bfloat16), "v": torch.arange(3)})
    assert plain == {"loss": 0.5, "half": 0.5, "v": [0, 1, 2]}


def test_tensorflow_tensors_become_plain():
    tf = pytest.importorskip("tensorflow")
    plain, _ = plain_metrics({"loss": tf.constant(0.5), "v": tf.Variable([1, 2])})
    assert plain == {"loss": 0.5, "v": [1, 2]}


def test_no_array_library_is_imported():
    code = "import sys, tune_core.core.plain_values; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
