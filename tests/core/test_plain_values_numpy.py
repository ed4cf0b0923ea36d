"""Metrics that are numpy's become plain ones."""

import msgspec
import pytest

from tune_core.core.plain_values import MAX_ELEMENTS, plain_metrics
from tune_core.errors import MetricError

np = pytest.importorskip("numpy")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.int64(3), 3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(0.5), 0.5),
        (np.array([[0.5]]), 0.5),
        (np.arange(3), [0, 1, 2]),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        (np.array([]), []),
        ({"a": {"b": np.float32(1)}}, {"a": {"b": 1.0}}),
        ({0: 0.5, np.int64(1): 0.25}, {"0": 0.5, "1": 0.25}),
    ],
)
def test_values_of_numpy_become_plain(value, expected):
    plain, nonfinite = plain_metrics({"x": value})
    assert plain == {"x": expected}
    assert type(plain["x"]) is type(expected)
    assert nonfinite is None
    msgspec.json.encode(plain)


def test_nonfinite_values_of_numpy_become_strings():
    plain, nonfinite = plain_metrics({"loss": np.float32("inf"), "z": np.array([1.0, -np.inf])})
    assert plain == {"loss": "inf", "z": [1.0, "-inf"]}
    assert nonfinite == ["loss", "z\x1f1"]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"x": np.array([object()])}, ["'x'", "object"]),
        ({"x": np.zeros(MAX_ELEMENTS + 1)}, ["'x'", "10,001 elements"]),
    ],
)
def test_arrays_that_cannot_be_plain_say_why(metrics, words):
    with pytest.raises(MetricError) as caught:
        plain_metrics(metrics)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    "missing", [np.ma.masked, np.ma.array([3.0], mask=[True]), np.ma.array([3, 4], mask=[True] * 2).mean()]
)
def test_what_numpy_marks_as_missing_is_no_number(missing):
    plain, nonfinite = plain_metrics({"loss": missing})
    assert (plain, nonfinite) == ({"loss": "nan"}, ["loss"])


def test_masked_values_among_others_are_none_and_unmasked_ones_stay():
    assert plain_metrics({"x": np.ma.array([1, 2, 3], mask=[0, 1, 0])}) == ({"x": [1, None, 3]}, None)
    assert plain_metrics({"x": np.ma.array(5, mask=False)}) == ({"x": 5}, None)
