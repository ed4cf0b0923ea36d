"""Twenty-four functions over spaces of every kind, for ``search_quality.py``: half to develop on, half held out.

Each is a :class:`Problem`: a search space, and the true loss of a configuration. Noisy ones add noise to what a
searcher is told; what it found is judged by the true loss. Optima are shifted away from centres, corners and round
numbers. Formulas of the standard functions: Surjanovic and Bingham, "Virtual Library of Simulation Experiments"; the
mixed ones follow Ru et al., 2020, "Bayesian Optimisation over Multiple Continuous and Categorical Inputs", in form.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import tune_core as tune

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """A search space and its loss.

    Parameters
    ----------
    name, space
        What is tuned.
    loss
        The true loss of a configuration; lower is better.
    noise
        Standard deviation of what is added to the loss that a searcher is told.
    best
        The least loss; None: the best of all that was ever seen in the run (for those without a formula).
    """

    name: str
    space: Mapping[str, Any]
    loss: Callable[[Config], float]
    noise: float = 0.0
    best: float | None = None

    def told(self, config: Config, seed: int) -> float:
        """The loss with noise that depends on the configuration and the seed alone."""
        if not self.noise:
            return self.loss(config)
        rng = random.Random(zlib.crc32(f"{self.name}:{seed}:{sorted(config.items())}".encode()))
        return self.loss(config) + rng.gauss(0.0, self.noise)


def _cube(d: int, low: float, high: float) -> dict[str, Any]:
    return {f"x{i}": tune.uniform(low, high) for i in range(d)}


def _xs(c: Config, d: int) -> list[float]:
    return [float(c[f"x{i}"]) for i in range(d)]


def _draws(name: str, n: int) -> list[float]:
    rng = random.Random(name)
    return [rng.random() for _ in range(n)]


# --- formulas ---------------------------------------------------------------------------------------------------------


def branin(x: float, y: float) -> float:
    b, c, t = 5.1 / (4 * math.pi**2), 5 / math.pi, 1 / (8 * math.pi)
    return (y - b * x * x + c * x - 6) ** 2 + 10 * (1 - t) * math.cos(x) + 10


_H_ALPHA = (1.0, 1.2, 3.0, 3.2)
_H6_A = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
_H6_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)
_H3_A = ((3, 10, 30), (0.1, 10, 35), (3, 10, 30), (0.1, 10, 35))
_H3_P = (
    (0.3689, 0.1170, 0.2673),
    (0.4699, 0.4387, 0.7470),
    (0.1091, 0.8732, 0.5547),
    (0.0381, 0.5743, 0.8828),
)


def _hartmann(x: list[float], a: Any, p: Any) -> float:
    return -sum(
        alpha * math.exp(-sum(w * (v - m) ** 2 for w, v, m in zip(ws, x, ms, strict=True)))
        for alpha, ws, ms in zip(_H_ALPHA, a, p, strict=True)
    )


def hartmann6(x: list[float]) -> float:
    return _hartmann(x, _H6_A, _H6_P)


def hartmann3(x: list[float]) -> float:
    return _hartmann(x, _H3_A, _H3_P)


def ackley(x: list[float]) -> float:
    square = sum(v * v for v in x) / len(x)
    wave = sum(math.cos(2 * math.pi * v) for v in x) / len(x)
    return -20 * math.exp(-0.2 * math.sqrt(square)) - math.exp(wave) + 20 + math.e


def rosenbrock(x: list[float]) -> float:
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1))


def levy(x: list[float]) -> float:
    w = [1 + (v - 1) / 4 for v in x]
    middle = sum((v - 1) ** 2 * (1 + 10 * math.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    last = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return math.sin(math.pi * w[0]) ** 2 + middle + last


def rastrigin(x: list[float], height: float) -> float:
    return sum(v * v + height * (1 - math.cos(2 * math.pi * v)) for v in x)


def six_hump_camel(x: float, y: float) -> float:
    return (4 - 2.1 * x * x + x**4 / 3) * x * x + x * y + (4 * y * y - 4) * y * y


def goldstein_price(x: float, y: float) -> float:
    a = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x * x - 14 * y + 6 * x * y + 3 * y * y)
    b = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x * x + 48 * y - 36 * x * y + 27 * y * y)
    return a * b


_SHEKEL_C = (
    (4, 4, 4, 4),
    (1, 1, 1, 1),
    (8, 8, 8, 8),
    (6, 6, 6, 6),
    (3, 7, 3, 7),
    (2, 9, 2, 9),
    (5, 5, 3, 3),
    (8, 1, 8, 1),
    (6, 2, 6, 2),
    (7, 3.6, 7, 3.6),
)
_SHEKEL_B = (0.1, 0.2, 0.2, 0.4, 0.4, 0.6, 0.3, 0.7, 0.5, 0.5)


def shekel(x: list[float]) -> float:
    return -sum(
        1 / (sum((v - m) ** 2 for v, m in zip(x, c, strict=True)) + b)
        for c, b in zip(_SHEKEL_C, _SHEKEL_B, strict=True)
    )


def styblinski_tang(x: list[float]) -> float:
    return sum(v**4 - 16 * v * v + 5 * v for v in x) / 2


# --- half to develop on -----------------------------------------------------------------------------------------------


def _svm(c: Config) -> float:
    """A valley in two logarithms, as a support vector machine's C and gamma have it, and a third that matters less."""
    a, b, t = math.log10(c["C"]), math.log10(c["gamma"]), math.log10(c["tol"])
    ridge = (a + 1.2 * b + 1.1) ** 2
    return 1 - math.exp(-0.3 * ridge) * math.exp(-0.04 * (a - 1.3) ** 2) + 0.01 * max(0.0, t + 2.2) ** 2


def _integers(c: Config) -> float:
    x = [(c[f"n{i}"] - m) / s for i, (m, s) in enumerate(((7, 5), (23, 9), (61, 40), (140, 90)))]
    return sum(v * v for v in x) + 0.8 * abs(x[0] * x[1]) + 0.4 * sum(1 - math.cos(5 * v) for v in x)


def _mixed2(c: Config) -> float:
    """Each pair of categories has its own mixture of two functions of the two numbers."""
    x, y = c["x0"], c["x1"]
    first = {
        "rosenbrock": rosenbrock([x, y]) / 300,
        "camel": six_hump_camel(x, y) / 10,
        "beale": ackley([x - 0.6, y + 0.4]) / 4,
    }
    second = {
        "none": 0.0,
        "bowl": (x - 0.3) ** 2 + (y + 0.6) ** 2 - 0.4,
        "wave": math.sin(3 * x) * 0.3,
        "tilt": 0.2 * (x - y),
        "step": 0.5 if x > 0 else 0.0,
    }
    return first[c["kind"]] + second[c["extra"]]


def _pairs(name: str, c: Config, keys: list[str], sizes: list[int]) -> float:
    """Random effects of each category and of pairs of neighbours."""
    single = {(k, i): _draws(f"{name}:{k}:{i}", 1)[0] for k, n in zip(keys, sizes, strict=True) for i in range(n)}
    total = sum(single[k, int(c[k][1:])] for k in keys)
    for a, b in pairwise(keys):
        total += 0.7 * _draws(f"{name}:{a}:{b}:{c[a]}:{c[b]}", 1)[0]
    return total


def _categories(n: int) -> Any:
    return tune.choice([f"c{i}" for i in range(n)])


_CATEGORIES = {f"k{i}": _categories(n) for i, n in enumerate((3, 4, 5, 4, 3, 6))}


def _classifier(c: Config) -> float:
    m = c["model"]
    if m["kind"] == "svm":
        a, b = math.log10(m["C"]), math.log10(m["gamma"])
        return 0.12 + 0.6 * (1 - math.exp(-0.15 * (a - 1.7) ** 2 - 0.2 * (a + b - 0.4) ** 2))
    if m["kind"] == "boosting":
        a = math.log10(m["rate"])
        return 0.08 + 0.4 * (1 - math.exp(-0.8 * (a + 1.1) ** 2 - 0.06 * (m["depth"] - 6) ** 2)) + 0.1 * m["drop"] ** 2
    return 0.2 + 0.02 * abs(m["neighbours"] - 7) ** 0.7


_CLASSIFIER = {
    "model": tune.choice(
        [
            {"kind": "svm", "C": tune.loguniform(1e-3, 1e4), "gamma": tune.loguniform(1e-5, 10)},
            {
                "kind": "boosting",
                "rate": tune.loguniform(1e-3, 1),
                "depth": tune.randint(1, 16),
                "drop": tune.uniform(0, 0.9),
            },
            {"kind": "neighbours", "neighbours": tune.randint(1, 51)},
        ]
    )
}


def _network(c: Config) -> float:
    """A training that diverges at high rates: the loss is flat and large there."""
    rate, width, decay = math.log10(c["rate"]), math.log2(c["width"]), math.log10(c["decay"])
    limit = -0.6 - 0.25 * (width - 4) + (0.4 if c["optimiser"] == "adam" else 0.9)
    if rate > limit:
        return 2.3
    good = {"adam": 0.0, "sgd": 0.03, "rmsprop": 0.05}[c["optimiser"]]
    fit = 0.25 * math.exp(-0.5 * (width - 3)) + 0.06 * (rate - limit + 0.8) ** 2
    return 0.15 + good + fit + 0.01 * (decay + 4) ** 2 + 0.002 * (c["layers"] - 3) ** 2


_NETWORK = {
    "rate": tune.loguniform(1e-5, 10),
    "width": tune.lograndint(8, 1025),
    "decay": tune.loguniform(1e-7, 1e-1),
    "layers": tune.randint(1, 9),
    "optimiser": tune.choice(["adam", "sgd", "rmsprop"]),
}

DEVELOPMENT: list[Problem] = [
    Problem(
        "branin", {"x": tune.uniform(-5, 10), "y": tune.uniform(0, 15)}, lambda c: branin(c["x"], c["y"]), 0.0, 0.397887
    ),
    Problem("hartmann6", _cube(6, 0, 1), lambda c: hartmann6(_xs(c, 6)), 0.0, -3.32237),
    Problem("ackley5", _cube(5, -10, 15), lambda c: ackley([v - 1.7 + 0.9 * i for i, v in enumerate(_xs(c, 5))]), 0, 0),
    Problem("rosenbrock4", _cube(4, -2, 2), lambda c: math.log1p(rosenbrock(_xs(c, 4))), 0.0, 0.0),
    Problem(
        "svm valley",
        {"C": tune.loguniform(1e-4, 1e5), "gamma": tune.loguniform(1e-6, 1e2), "tol": tune.loguniform(1e-5, 1e-1)},
        _svm,
        0.0,
        0.0,
    ),
    Problem(
        "integers",
        {"n0": tune.randint(0, 32), "n1": tune.randint(0, 64), "n2": tune.randint(0, 257), "n3": tune.randint(0, 600)},
        _integers,
        0.0,
        0.0,
    ),
    Problem(
        "2 kinds x 2 numbers",
        {
            "kind": tune.choice(["rosenbrock", "camel", "beale"]),
            "extra": tune.choice(["none", "bowl", "wave", "tilt", "step"]),
            **_cube(2, -2, 2),
        },
        _mixed2,
    ),
    Problem(
        "6 choices", _CATEGORIES, lambda c: _pairs("six", c, list(_CATEGORIES), [len(d) for d in _CATEGORIES.values()])
    ),
    Problem("which classifier", _CLASSIFIER, _classifier, 0.0, 0.08),
    Problem(
        "branin, noisy",
        {"x": tune.uniform(-5, 10), "y": tune.uniform(0, 15)},
        lambda c: branin(c["x"], c["y"]),
        8.0,
        0.397887,
    ),
    Problem("hartmann6 in 20", _cube(20, 0, 1), lambda c: hartmann6([*_xs(c, 20)[3:18:3], c["x19"]]), 0.0, -3.32237),
    Problem("diverging network, noisy", _NETWORK, _network, 0.01),
]

# --- flags only -------------------------------------------------------------------------------------------------------


def _flags(n: int) -> dict[str, Any]:
    return {f"b{i:02d}": tune.choice([False, True]) for i in range(n)}


def _bits(c: Config) -> list[int]:
    return [int(c[name]) for name in sorted(c)]


def _autocorrelations(c: Config) -> float:
    """Low autocorrelation of a binary sequence (Packebusch and Mertens, 2016): rugged, and the same from both ends."""
    s = [2 * bit - 1 for bit in _bits(c)]
    energy = sum(sum(s[i] * s[i + k] for i in range(len(s) - k)) ** 2 for k in range(1, len(s)))
    return -(len(s) ** 2) / (2 * energy)


def _landscape(c: Config) -> float:
    """An NK landscape (Kauffman, 1993) with K = 2: each flag's worth depends on two others."""
    bits, total = _bits(c), 0.0
    for i in range(len(bits)):
        worth = _draws(f"NK {i}", 8)
        total += worth[4 * bits[i] + 2 * bits[(3 * i + 1) % len(bits)] + bits[(5 * i + 2) % len(bits)]]
    return total / len(bits)


def _spins(c: Config) -> float:
    """Spins on a ring, with couplings of both signs to the next two."""
    s = [2 * bit - 1 for bit in _bits(c)]
    n, weight = len(s), _draws("spins", 2 * len(s))
    return sum((weight[2 * i + k] - 0.5) * s[i] * s[(i + 1 + k) % n] for i in range(n) for k in (0, 1))


def _traps(c: Config) -> float:
    """Blocks of four flags (Deb and Goldberg, 1993): all on is best, and all off is where each single change leads."""
    bits = _bits(c)
    blocks = [sum(bits[i : i + 4]) for i in range(0, len(bits), 4)]
    return sum(0.0 if on == 4 else 0.4 + 0.2 * on for on in blocks)


def _features(c: Config) -> float:
    """Which columns to train on: some help, some hurt, two help only together, each costs a little."""
    bits, worth = _bits(c), _draws("columns", 20)
    gain = sum(bit * (w - 0.45) ** 3 * 8 for bit, w in zip(bits, worth, strict=True))
    return -gain - 0.6 * bits[3] * bits[11] + 0.3 * (bits[3] + bits[11]) + 0.02 * sum(bits)


FLAGS: list[Problem] = [
    Problem("9 flags, rugged", _flags(9), _autocorrelations),
    Problem("18 flags, rugged", _flags(18), _autocorrelations),
    Problem("16 flags, threes", _flags(16), _landscape),
    Problem("24 flags, spins", _flags(24), _spins),
    Problem("12 flags, traps", _flags(12), _traps, 0.0, 0.0),
    Problem("20 flags, columns", _flags(20), _features),
]

# --- held out ---------------------------------------------------------------------------------------------------------


def _forest(c: Config) -> float:
    """Whole numbers on logarithmic scales and an ordered choice; the optimum lies near one bound."""
    trees, leaf, depth = math.log(c["trees"]), math.log(c["leaf"]), c["depth"]
    share = {0.1: 0.05, 0.2: 0.02, 0.35: 0.0, 0.5: 0.01, 0.8: 0.03, 1.0: 0.06}[c["share"]]
    return 0.3 / trees + 0.02 * (leaf - 0.7) ** 2 + 0.1 * math.exp(-0.25 * depth) + share + 0.002 * depth


def _mixed3(c: Config) -> float:
    x = [c["x0"], c["x1"], c["x2"]]
    base = {"a": 0.0, "b": 0.35, "c": -0.25, "d": 0.1}[c["kind"]]
    turn = {"a": 1.0, "b": -1.0, "c": 2.2, "d": 0.4}[c["kind"]]
    scale = {False: 1.0, True: 1.6}[c["scaled"]]
    bowl = sum((v - 0.25 * turn * (i - 1)) ** 2 for i, v in enumerate(x))
    return (
        base + scale * bowl + 0.15 * math.sin(6 * x[0] * turn) + {"l1": 0.1, "l2": 0.0, "none": 0.2}[c["norm"]] * x[1]
    )


def _autocorrelation(c: Config) -> float:
    """Low autocorrelation of a binary sequence (Packebusch and Mertens, 2016): a rugged function of fourteen flags."""
    s = [1 if c[f"b{i:02d}"] else -1 for i in range(14)]
    energy = sum(sum(s[i] * s[i + k] for i in range(14 - k)) ** 2 for k in range(1, 14))
    return -(len(s) ** 2) / (2 * energy)


def _pipeline(c: Config) -> float:
    """A choice within a choice, and numbers that exist only under some of them."""
    scale, model = c["scale"], c["model"]
    loss = 0.1 if scale == "none" else 0.0 if scale == "standard" else 0.03
    if model["kind"] == "linear":
        return loss + 0.3 + 0.02 * (math.log10(model["alpha"]) + 1.6) ** 2
    inner = model["optimiser"]
    loss += 0.2 + 0.08 / model["layers"] + 0.01 * model["layers"]
    if inner["name"] == "sgd":
        return loss + 0.05 * (math.log10(inner["rate"]) + 1.3) ** 2 + 0.2 * (inner["momentum"] - 0.88) ** 2 - 0.02
    return loss + 0.06 * (math.log10(inner["rate"]) + 2.8) ** 2


_PIPELINE = {
    "scale": tune.choice(["none", "standard", "range"]),
    "model": tune.choice(
        [
            {"kind": "linear", "alpha": tune.loguniform(1e-5, 1e3)},
            {
                "kind": "network",
                "layers": tune.randint(1, 9),
                "optimiser": tune.choice(
                    [
                        {"name": "sgd", "rate": tune.loguniform(1e-5, 10), "momentum": tune.uniform(0, 0.999)},
                        {"name": "adam", "rate": tune.loguniform(1e-6, 1)},
                    ]
                ),
            },
        ]
    ),
}


def _boosting(c: Config) -> float:
    """Fifteen parameters of all kinds, of which six matter, as boosting's do."""
    rate, rounds = math.log10(c["rate"]), math.log10(c["rounds"])
    loss = 0.08 * (rate + rounds - 1.2) ** 2 + 0.01 * (rate + 1.4) ** 2
    loss += 0.004 * (c["depth"] - 5) ** 2 + 0.1 * (c["rows"] - 0.75) ** 2 + 0.05 * (c["columns"] - 0.6) ** 2
    loss += {"gbdt": 0.0, "dart": 0.05, "goss": 0.02}[c["kind"]]
    loss += 0.003 * sum(abs(math.log10(c[f"l{i}"]) + 2) for i in range(4))
    return loss + 0.002 * sum(c[f"f{i}"] for i in range(4)) - 0.01 * c["bins"] / 255


_BOOSTING = {
    "rate": tune.loguniform(1e-4, 1),
    "rounds": tune.lograndint(10, 5001),
    "depth": tune.randint(1, 13),
    "rows": tune.uniform(0.2, 1),
    "columns": tune.uniform(0.2, 1),
    "kind": tune.choice(["gbdt", "dart", "goss"]),
    **{f"l{i}": tune.loguniform(1e-6, 10) for i in range(4)},
    **{f"f{i}": tune.choice([False, True]) for i in range(4)},
    "bins": tune.choice([31, 63, 127, 255]),
}
_SHARES = tune.choice([0.1, 0.2, 0.35, 0.5, 0.8, 1.0])
_MIXED3 = {
    "kind": tune.choice(list("abcd")),
    "scaled": tune.choice([False, True]),
    "norm": tune.choice(["l1", "l2", "none"]),
    **_cube(3, -1, 1),
}

HELD_OUT: list[Problem] = [
    Problem(
        "goldstein-price",
        _cube(2, -2, 2),
        lambda c: math.log(goldstein_price(c["x0"], c["x1"])),
        0.0,
        math.log(3.0),
    ),
    Problem("shekel4", _cube(4, 0, 10), lambda c: shekel(_xs(c, 4)), 0.0, -10.5363),
    Problem("styblinski-tang5", _cube(5, -5, 5), lambda c: styblinski_tang(_xs(c, 5)), 0.0, -39.16617 * 5),
    Problem("levy10", _cube(10, -10, 10), lambda c: levy([v - 0.7 for v in _xs(c, 10)]), 0.0, 0.0),
    Problem(
        "forest",
        {
            "trees": tune.lograndint(5, 2001),
            "leaf": tune.lograndint(1, 65),
            "depth": tune.randint(1, 33),
            "share": _SHARES,
        },
        _forest,
    ),
    Problem("3 kinds x 3 numbers", _MIXED3, _mixed3),
    Problem("14 flags", {f"b{i:02d}": tune.choice([False, True]) for i in range(14)}, _autocorrelation),
    Problem("pipeline", _PIPELINE, _pipeline),
    Problem("hartmann3, noisy", _cube(3, 0, 1), lambda c: hartmann3(_xs(c, 3)), 0.3, -3.86278),
    Problem(
        "steps of a tenth",
        {f"x{i}": tune.quniform(-5, 5, 0.1) for i in range(4)},
        lambda c: rastrigin([v - 1.3 for v in _xs(c, 4)], 2.0),
        0.0,
        0.0,
    ),
    Problem("boosting", _BOOSTING, _boosting),
    Problem("ackley20, noisy", _cube(20, -5, 10), lambda c: ackley([v - 1.1 for v in _xs(c, 20)]), 0.5, 0.0),
]
