"""An experiment without machine learning: which solver keeps a comet on its orbit, and
at what price?

Each trial follows a comet around the sun for up to 50 orbits, with one integration
method and one step size. It reports after each orbit how much energy the method has
invented or lost, and is stopped when the orbit is wrecked.
"""

import math

import tune_core as tune

ORBITS = 50
ECCENTRICITY = 0.5


def pull(x, y):
    cube = math.hypot(x, y) ** 3
    return -x / cube, -y / cube


def euler(x, y, u, v, h):
    a, b = pull(x, y)
    return x + h * u, y + h * v, u + h * a, v + h * b


def leapfrog(x, y, u, v, h):
    a, b = pull(x, y)
    u, v = u + h / 2 * a, v + h / 2 * b
    x, y = x + h * u, y + h * v
    a, b = pull(x, y)
    return x, y, u + h / 2 * a, v + h / 2 * b


def runge_kutta(x, y, u, v, h):
    def slope(x, y, u, v):
        return (u, v, *pull(x, y))

    state = (x, y, u, v)
    k1 = slope(*state)
    k2 = slope(*(s + h / 2 * k for s, k in zip(state, k1)))
    k3 = slope(*(s + h / 2 * k for s, k in zip(state, k2)))
    k4 = slope(*(s + h * k for s, k in zip(state, k3)))
    return tuple(
        s + h / 6 * (a + 2 * b + 2 * c + d)
        for s, a, b, c, d in zip(state, k1, k2, k3, k4)
    )


METHODS = {
    "euler": (euler, 1),
    "leapfrog": (leapfrog, 2),
    "runge_kutta": (runge_kutta, 4),
}  # forces a step


def follow(config):
    step, forces = METHODS[config["method"]]
    steps = config["forces_per_orbit"] // forces  # the same price for each method
    h = 2 * math.pi / steps
    state = (
        1 - ECCENTRICITY,
        0.0,
        0.0,
        math.sqrt((1 + ECCENTRICITY) / (1 - ECCENTRICITY)),
    )
    for orbit in range(1, ORBITS + 1):
        for _ in range(steps):
            state = step(*state, h)
        x, y, u, v = state
        energy = (u * u + v * v) / 2 - 1 / math.hypot(x, y)  # exactly -1/2 at the start
        tune.report({"drift": abs(energy + 0.5) / 0.5, "orbits": orbit})


def wrecked(trial_id, result):
    return result["drift"] > 0.5


results = tune.Tuner(
    follow,
    param_space={
        "method": tune.grid_search(list(METHODS)),
        "forces_per_orbit": tune.grid_search([200, 400, 800, 1600]),
    },
    tune_config=tune.TuneConfig(metric="drift", mode="min"),
    run_config=tune.RunConfig(stop=wrecked, verbose=0),
).fit()

print(
    f"Energy error after {ORBITS} orbits\n\n{'forces an orbit':>16}"
    + "".join(f"{name:>15}" for name in METHODS)
)
table = {(r.config["forces_per_orbit"], r.config["method"]): r.metrics for r in results}
for forces in sorted({forces for forces, _ in table}):
    cells = []
    for name in METHODS:
        end = table[forces, name]
        cells.append(
            f"{end['drift']:.1e}"
            if end["orbits"] == ORBITS
            else f"lost, orbit {end['orbits']}"
        )
    print(f"{forces:>16}" + "".join(f"{cell:>15}" for cell in cells))
best = results.get_best_result()
print(
    f"\nBest: {best.config['method']} with {best.config['forces_per_orbit']} forces "
    "an orbit"
)
