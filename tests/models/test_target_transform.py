"""Transformations of losses."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from tune_core.models.target_transform import CURVES, curve, winsorised


@pytest.mark.parametrize("one", CURVES, ids=str)
def test_curves_keep_the_order_and_are_standardised(one: tuple[float, float]) -> None:
    losses = np.random.default_rng(0).exponential(size=50)
    bent, _ = curve(losses, *one)
    assert (np.argsort(bent) == np.argsort(losses)).all()
    assert bent.mean() == pytest.approx(0, abs=1e-9)
    assert bent.std() == pytest.approx(1)


@pytest.mark.parametrize("one", CURVES, ids=str)
def test_jacobian_is_the_slope_of_the_curve(one: tuple[float, float]) -> None:
    losses = np.sort(np.random.default_rng(1).exponential(size=4001))
    bent, jacobian = curve(losses, *one)
    slopes = np.gradient(bent, losses)
    assert jacobian == pytest.approx(np.log(slopes).sum(), rel=0.02, abs=15)


def test_failures_count_as_the_worst_and_outliers_are_drawn_in() -> None:
    found = winsorised([1.0, 2.0, 3.0, float("nan"), 1e30])
    assert found[:3].tolist() == [1.0, 2.0, 3.0]
    assert found[3] == found[4]
    assert 3.0 < found[4] < 100.0


def test_losses_without_outliers_stay_as_they_are() -> None:
    losses = np.random.default_rng(2).standard_normal(100)
    assert winsorised(losses).tolist() == losses.tolist()


@pytest.mark.parametrize("losses", [[2.0, 2.0], [float("nan")] * 3])
def test_without_differences_all_are_zero(losses: list[float]) -> None:
    for one in CURVES:
        assert curve(winsorised(losses), *one)[0].tolist() == [0.0] * len(losses)
