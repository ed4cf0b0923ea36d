"""The Gaussian process against formulas written out plainly, finite differences, and functions drawn from it."""

from __future__ import annotations

import math
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from tune_core.models.gaussian_process import LEAST_NOISE, GaussianProcess
from tune_core.models.lbfgs import minimise

GROUPS = [0, 1, 2, 2, 2]


def sample(n: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    points = np.zeros((n, 5))
    points[:, :2] = rng.random((n, 2))
    kind = rng.integers(0, 3, n)
    points[np.arange(n), 2 + kind] = math.sqrt(0.5)
    targets = np.sin(6 * points[:, 0]) + 0.3 * kind + 0.01 * rng.standard_normal(n)
    return points, (targets - targets.mean()) / targets.std()


def plain_kernel(a: Any, b: Any, weights: Any) -> Any:
    out = np.empty((len(a), len(b)))
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            r = math.sqrt(5 * sum(w * (p - q) ** 2 for w, p, q in zip(weights, x, y, strict=True)))
            out[i, j] = (1 + r + r * r / 3) * math.exp(-r)
    return out


def at_times(points: Any, seed: int) -> Any:
    return np.column_stack([points, -np.random.default_rng(seed).random(len(points))])


def test_prediction_with_a_trend_is_that_of_a_line_at_each_point() -> None:
    points, targets = sample(12)
    points, new = at_times(points, 2), at_times(sample(5, seed=1)[0], 3)
    process = GaussianProcess([*GROUPS, 3], has_trend=True)
    process.fit(points, targets)
    weights, trend = np.exp(process.theta[:4])[[*GROUPS, 3]], math.exp(process.theta[-2])

    def kernel(a: Any, b: Any) -> Any:
        return plain_kernel(a, b, weights) * (1 + trend * np.outer(a[:, -1], b[:, -1]))

    noise = math.exp(process.theta[-1]) + LEAST_NOISE
    inverse = np.linalg.inv(kernel(points, points) + noise * np.eye(12))
    mean, cross = process.coefficients[0], kernel(new, points)
    found, sd = process.predict(new)
    assert found == pytest.approx(mean + cross @ inverse @ (targets - mean), abs=1e-7)
    variance = process.scale * (np.diag(kernel(new, new)) - np.einsum("ij,jk,ik->i", cross, inverse, cross))
    assert sd == pytest.approx(np.sqrt(variance), rel=1e-5)


def test_a_trend_goes_on_where_the_points_end() -> None:
    rng = np.random.default_rng(0)
    place = rng.random(20)
    slope = np.sin(9 * place)
    early = np.concatenate([np.column_stack([place, np.full(20, t)]) for t in (-1.0, -0.8, -0.6)])
    targets = np.concatenate([slope * t for t in (-1.0, -0.8, -0.6)])
    late = np.column_stack([place, np.full(20, -0.2)])
    errors = []
    for has_trend in (True, False):
        process = GaussianProcess([0, 1], has_trend=has_trend)
        process.fit(early, targets, 50)
        errors.append(np.abs(process.predict(late)[0] + 0.2 * slope).mean())
    assert errors[0] < 0.5 * errors[1]


def test_prediction_is_that_of_the_textbook() -> None:
    points, targets = sample(12)
    process = GaussianProcess(GROUPS)
    process.fit(points, targets)
    new, _ = sample(5, seed=1)
    noise = math.exp(process.theta[-1]) + LEAST_NOISE
    weights = np.exp(process.theta[:-1])[GROUPS]
    inverse = np.linalg.inv(plain_kernel(points, points, weights) + noise * np.eye(12))
    mean = process.coefficients[0]
    cross = plain_kernel(new, points, weights)
    assert mean == pytest.approx((inverse.sum(0) @ targets) / (inverse.sum() + 1.0))
    found, sd = process.predict(new)
    assert found == pytest.approx(mean + cross @ inverse @ (targets - mean), abs=1e-8)
    variance = process.scale * (1 - np.einsum("ij,jk,ik->i", cross, inverse, cross))
    assert sd == pytest.approx(np.sqrt(variance), rel=1e-5)


@pytest.mark.parametrize("has_trend", [False, True])
def test_gradient_of_the_posterior_is_its_slope(has_trend: bool) -> None:
    points, targets = sample(15)
    process = GaussianProcess(GROUPS)
    if has_trend:
        points, process = at_times(points, 2), GaussianProcess([*GROUPS, 3], has_trend=True)
    basis = np.ones((15, 1))
    rng = np.random.default_rng(3)
    for _ in range(5):
        theta = process.prior_mean + rng.standard_normal(len(process.theta))
        _, gradient = process._negative_log_posterior(theta, points, targets, basis)
        for k in range(len(theta)):
            step = np.zeros(len(theta))
            step[k] = 1e-5
            above = process._negative_log_posterior(theta + step, points, targets, basis)[0]
            below = process._negative_log_posterior(theta - step, points, targets, basis)[0]
            assert gradient[k] == pytest.approx((above - below) / 2e-5, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("has_trend", [False, True])
def test_gradients_of_predictions_are_their_slopes(has_trend: bool) -> None:
    points, targets = sample(15)
    new, _ = sample(4, seed=2)
    process = GaussianProcess(GROUPS)
    if has_trend:
        points, new, process = at_times(points, 2), at_times(new, 3), GaussianProcess([*GROUPS, 3], has_trend=True)
    process.fit(points, targets)
    _, _, mean_gradient, sd_gradient = process.predict_with_gradients(new)
    for k in range(5):
        step = np.zeros(new.shape[1])
        step[k] = 1e-6
        (high, high_sd), (low, low_sd) = process.predict(new + step), process.predict(new - step)
        assert mean_gradient[:, k] == pytest.approx((high - low) / 2e-6, rel=1e-3, abs=1e-5)
        assert sd_gradient[:, k] == pytest.approx((high_sd - low_sd) / 2e-6, rel=1e-3, abs=1e-4)


def test_fit_finds_which_columns_matter_and_how_large_the_noise_is() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((80, 4))
    signal = np.sin(8 * points[:, 1])
    process = GaussianProcess([0, 1, 2, 3])
    for noise in (0.0, 0.5):
        targets = signal + noise * rng.standard_normal(80)
        process.fit(points, (targets - targets.mean()) / targets.std(), 60, afresh=True)
        lengths = np.exp(-0.5 * process.theta[:-1])
        assert lengths[1] < 0.3 * min(lengths[[0, 2, 3]])
        share = noise**2 / targets.var()
        assert process.noise == pytest.approx(share, rel=0.5, abs=1e-3)


def test_two_levels_are_told_apart_by_their_own_constants() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((40, 1))
    level = np.arange(40) % 2
    targets = np.sin(5 * points[:, 0]) + 1.5 * level
    process = GaussianProcess([0])
    basis = np.eye(2)[level]
    process.fit(points, targets, basis=basis)
    at = np.array([[0.2], [0.7]])
    low, _ = process.predict(at, np.array([[1.0, 0.0]] * 2))
    high, _ = process.predict(at, np.array([[0.0, 1.0]] * 2))
    assert high - low == pytest.approx([1.5, 1.5], abs=0.05)
    assert low == pytest.approx(np.sin(5 * at[:, 0]), abs=0.05)


@pytest.mark.parametrize("targets", [[0.0] * 6, [1.0] * 5 + [1.0 + 1e-12]])
def test_equal_targets_and_equal_points_are_no_error(targets: list[float]) -> None:
    process = GaussianProcess([0, 1])
    process.fit(np.full((6, 2), 0.5), np.array(targets))
    mean, sd = process.predict(np.array([[0.5, 0.5], [0.0, 1.0]]))
    assert np.isfinite(mean).all()
    assert sd[1] > sd[0]


def test_minimise_finds_the_valley_of_rosenbrock() -> None:
    def rosenbrock(x: Any) -> tuple[float, Any]:
        a, b = 1 - x[0], x[1] - x[0] ** 2
        return a * a + 100 * b * b, np.array([-2 * a - 400 * x[0] * b, 200 * b])

    x, value = minimise(rosenbrock, np.array([-1.2, 1.0]), 200)
    assert x == pytest.approx([1, 1], abs=0.01)
    assert value < 1e-4


def test_minimise_never_ends_above_its_start_nor_spends_more_than_allowed() -> None:
    spent = []

    def cliff(x: Any) -> tuple[float, Any]:
        spent.append(1)
        return (math.inf, np.zeros(1)) if x[0] < 1 else (float(x[0]), np.ones(1))

    x, value = minimise(cliff, np.array([2.0]), 12)
    assert 1 <= x[0] <= 2
    assert value == x[0]
    assert len(spent) <= 12


def test_forgetting_damps_the_kernel_by_the_time_between() -> None:
    """Against the matrix written out; and with its gradient."""
    rng = np.random.default_rng(4)
    points = np.column_stack([rng.random((9, 2)), rng.integers(0, 6, 9)])
    targets = rng.standard_normal(9)
    process = GaussianProcess([0, 1], forgetting=0.2)
    process.condition(points, targets)
    weights = np.exp(process.theta[:-1])
    noise = math.exp(process.theta[-1]) + LEAST_NOISE

    def kernel(a: Any, b: Any) -> Any:
        return plain_kernel(a[:, :2], b[:, :2], weights) * 0.8 ** (np.abs(a[:, 2:] - b[:, 2]) / 2)

    inverse = np.linalg.inv(kernel(points, points) + noise * np.eye(9))
    new = np.column_stack([rng.random((4, 2)), [0.0, 3.0, 6.0, 60.0]])
    mean = process.coefficients[0]
    found, sd = process.predict(new)
    assert found == pytest.approx(mean + kernel(new, points) @ inverse @ (targets - mean), abs=1e-8)
    assert sd[3] == pytest.approx(math.sqrt(process.scale), rel=1e-3)  # long after, nothing is known
    basis = np.ones((9, 1))
    _, gradient = process._negative_log_posterior(process.theta, points, targets, basis)
    for k in range(3):
        step = np.zeros(3)
        step[k] = 1e-5
        above = process._negative_log_posterior(process.theta + step, points, targets, basis)[0]
        below = process._negative_log_posterior(process.theta - step, points, targets, basis)[0]
        assert gradient[k] == pytest.approx((above - below) / 2e-5, rel=1e-3, abs=1e-4)


def test_without_forgetting_the_time_means_nothing() -> None:
    points, targets = sample(12)
    plain, timed = GaussianProcess(GROUPS), GaussianProcess(GROUPS, forgetting=0.0)
    stamped = np.column_stack([points, np.arange(12.0)])
    plain.fit(points, targets)
    timed.fit(stamped, targets)
    assert timed.theta == pytest.approx(plain.theta)
    assert timed.predict(stamped)[0] == pytest.approx(plain.predict(points)[0])
