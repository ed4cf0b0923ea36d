"""What the tuner itself costs, beside Ray Tune and Optuna, in one table: `python benchmarks/overhead.py`.

Trials do next to nothing, so that what is left is overhead. Each figure is the median of several rounds; in each round
every tuner is measured once, in a process of its own, so that whatever else the machine does falls on all of them.
Peers that are not installed are left out. See `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import atexit
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

WORKLOADS = Path(__file__).with_name("workloads.py")
LIMIT_S = 600  # for one measurement
PEERS = {"ours": "tune-core", "ray": "Ray Tune", "optuna": "Optuna"}
NEEDS = {"ours": [], "ray": ["ray", "pandas", "pyarrow", "tensorboardX", "requests"], "optuna": ["optuna"]}
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "",  # else each process compiles each module, and that is what would be measured
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_worker_niceness": str(os.nice(0)),  # Ray's workers would give way to all else on a busy machine
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
}

QUICKSTART = """
{imports}

def objective(config):
    return {{"score": config["a"] ** 2 + config["b"]}}

results = tune.Tuner(
    objective,
    param_space={{"a": tune.grid_search([0.001, 0.01, 0.1, 1.0]), "b": tune.choice([1, 2, 3])}},
    tune_config=tune.TuneConfig(metric="score", mode="min"),
    run_config=tune.RunConfig(storage_path={folder!r}, name="run"),
).fit()
print(results.get_best_result().config)
"""
IMPORTS = {"ours": "import tune_core as tune", "ray": "from ray import tune"}
MODULES = {"ours": ("tune_core", "Tuner"), "ray": ("ray.tune", "Tuner"), "optuna": ("optuna", "create_study")}


@dataclass
class Line:
    """One line of the table: a figure of every tuner, and what ours should be."""

    part: str
    what: str
    unit: str
    key: str
    goal: Callable[[float, dict[str, float]], bool]
    goal_text: str
    higher_is_better: bool = False
    baseline: str = ""  # key of a figure to divide by, instead of comparing with the peers
    samples: dict[str, list[float]] = field(default_factory=dict)

    def medians(self) -> dict[str, float]:
        return {peer: statistics.median(values) for peer, values in self.samples.items()}


def at_most(limit: float) -> Callable[[float, dict[str, float]], bool]:
    return lambda ours, medians: ours <= limit


def at_least(limit: float) -> Callable[[float, dict[str, float]], bool]:
    return lambda ours, medians: ours >= limit


def no_goal(ours: float, medians: dict[str, float]) -> bool:
    return True


def quick_enough(ours: float, medians: dict[str, float]) -> bool:
    return ours < 1 and ("ray" not in medians or medians["ray"] >= 20 * ours)


LINES = [
    Line("import", "import, over a bare interpreter", "s", "s", at_most(0.15), "≤ 0.15"),
    Line("import", "  with `Tuner` (Optuna: `create_study`)", "s", "s_tuner", no_goal, ""),
    Line("quickstart", "quickstart of 4 trials, whole process", "s", "s", quick_enough, "< 1, 20× Ray Tune"),
    Line("trials", "trivial trials a second", "/s", "per_s", at_least(3000), "≥ 3,000", True),
    Line("trials", "  processor time of a trial, without its worker", "µs", "cpu_us", no_goal, ""),
    Line("reports", "reports a second, FIFO", "/s", "per_s", at_least(50_000), "≥ 50,000", True),
    Line("asha", "reports a second, ASHA", "/s", "per_s", at_least(50_000), "≥ 50,000", True),
    Line("restore", "restore of 10,000 trials × 10 reports", "s", "s", at_most(2), "< 2"),
    Line("restore", "  processor time of it", "s", "cpu_s", no_goal, ""),
    Line("growth", "driver at 100,000 trials", "MB", "mb", at_most(400), "≤ 400"),
    Line("growth", "  and after a million more reports", "MB more", "mb_more", at_most(20), "≤ 20"),
    Line("growth", "driver's time for a trial at 1,000", "µs", "us_at_1000", no_goal, ""),
    Line("growth", "driver's time for a trial at 10,000", "µs", "us_at_10000", no_goal, ""),
    Line("growth", "driver's time for a trial at 100,000", "µs", "us_at_100000", no_goal, ""),
    Line("growth", "  as a multiple of that at 1,000", "×", "growth", at_most(1.2), "≤ 1.2"),
]
PARTS = list(dict.fromkeys(line.part for line in LINES))

# (peer, part): how much to do; what is not here is not measured
SIZES = {
    ("ours", "trials"): 10_000,
    ("ray", "trials"): 60,
    ("optuna", "trials"): 400,
    ("ours", "reports"): 400_000,
    ("ray", "reports"): 1_000,
    ("optuna", "reports"): 1_000,
    ("ours", "asha"): 400_000,
    ("ray", "asha"): 1_000,
    ("optuna", "asha"): 1_000,
    ("ours", "restore"): 10_000,
    ("optuna", "restore"): 10_000,
    ("ours", "growth"): 100_000,
}
WHOLE_PROCESS = {
    ("ours", "import"),
    ("ray", "import"),
    ("optuna", "import"),
    ("ours", "quickstart"),
    ("ray", "quickstart"),
}


def timed(command: list[str], peer: str = "ours") -> float:
    began = time.perf_counter()
    run(command, peer)
    return time.perf_counter() - began


def over_bare(statement: str, times: int = 3) -> float:
    """Seconds that a process takes longer for a statement: the least of a few, since all else only adds."""
    least = [min(timed([sys.executable, "-c", code]) for _ in range(times)) for code in (statement, "pass")]
    return max(0.0, least[0] - least[1])


def run(command: list[str], peer: str) -> str:
    """What a command prints. Ray Tune gets a Ray of its own, also where there is one already."""
    environment = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "TUNE_CORE_EXECUTOR")}
    environment |= ENVIRONMENT | ({"RAY_ADDRESS": "local"} if peer == "ray" else {})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def measure(peer: str, part: str, scale: float, base: str) -> dict[str, float]:
    """One measurement in a fresh process and a fresh folder below ``base``.

    The folder is left to be deleted when all is measured: for minutes after many folders were deleted, ext4 takes
    three to eight times as long to make one, and a trial has one.
    """
    if part == "import":
        return {
            "s": over_bare(f"import {MODULES[peer][0]}"),
            "s_tuner": over_bare(f"from {' import '.join(MODULES[peer])}"),
        }
    folder = tempfile.mkdtemp(dir=base)
    if part == "quickstart":
        script = Path(folder, "quickstart.py")
        script.write_text(QUICKSTART.format(imports=IMPORTS[peer], folder=folder))
        return {"s": timed([sys.executable, str(script)], peer)}
    size = max(8, int(SIZES[peer, part] * scale))
    figures: dict[str, float] = json.loads(
        run([sys.executable, str(WORKLOADS), peer, part, str(size), folder], peer).splitlines()[-1]
    )
    if part == "growth":
        figures["mb_more"] = figures["mb_later"] - figures["mb"]
        if "us_at_100000" in figures:
            figures["growth"] = figures["us_at_100000"] / figures["us_at_1000"]
    return figures


def plan(parts: list[str], peers: list[str], rounds: int) -> Iterator[tuple[str, str, int]]:
    """What to measure, in an order that spreads a disturbance over all: (part, peer, round)."""
    for part in parts:
        for number in range(rounds):
            for peer in peers if number % 2 == 0 else peers[::-1]:
                if (peer, part) in SIZES or (peer, part) in WHOLE_PROCESS:
                    yield part, peer, number


def missing(peer: str) -> list[str]:
    absent = []
    for package in NEEDS[peer]:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            absent.append(package)
    return absent


# --- the table --------------------------------------------------------------------------------------------------------


def show(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "/s" or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if unit == "s" else f"{value:.1f}" if unit != "×" else f"{value:.2f}"


def ratio(line: Line, medians: dict[str, float], peer: str) -> str:
    ours, theirs = medians.get("ours"), medians.get(peer)
    if not ours or not theirs:
        return ""
    factor = ours / theirs if line.higher_is_better else theirs / ours
    return f"{factor:,.0f}×" if factor >= 10 else f"{factor:.1f}×"


def table(lines: list[Line], peers: list[str]) -> str:
    """The figures in Markdown, which reads well in a terminal too."""
    others = [peer for peer in peers if peer != "ours"]
    head = ["", "tune-core", *(cell for p in others for cell in (PEERS[p], "ratio")), "goal", "met"]
    rows = []
    for line in lines:
        medians = line.medians()
        if not medians:
            continue
        ours = medians.get("ours")
        cells = [f"{line.what} ({line.unit})", show(ours, line.unit)]
        for peer in others:
            cells += [show(medians.get(peer), line.unit), ratio(line, medians, peer)]
        met = "" if ours is None or not line.goal_text else "yes" if line.goal(ours, medians) else "NO"
        rows.append([*cells, line.goal_text, met])
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    rule = ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]

    def text(row: list[str]) -> str:
        return (
            "| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) + " |"
        )

    return "\n".join(map(text, [head, rule, *rows]))


def machine(peers: list[str]) -> str:
    packages = {"ours": "tune-core", "ray": "ray", "optuna": "optuna"}
    versions = []
    for peer in peers:
        try:
            versions.append(f"{packages[peer]} {importlib.metadata.version(packages[peer])}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{packages[peer]} from this folder")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    cpus = len(os.sched_getaffinity(0))
    return f"Python {platform.python_version()}, {', '.join(versions)}; {cpus} CPUs, load of the last minutes {load}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS), metavar="PEER")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on all sizes, e.g. 0.01 to try the script")
    arguments = parser.parse_args()
    peers = []
    for peer in PEERS:
        absent = missing(peer)
        if peer in arguments.peers and absent:
            print(f"{PEERS[peer]} is left out: {', '.join(absent)} not installed", file=sys.stderr)
        elif peer in arguments.peers:
            peers.append(peer)
    print(machine(peers), flush=True)
    began, failures = time.monotonic(), 0
    base = tempfile.mkdtemp(prefix="overhead-")
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    for part, peer, number in plan(arguments.only or PARTS, peers, arguments.rounds):
        try:
            figures = measure(peer, part, arguments.scale, base)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"{part}, {PEERS[peer]}: {error}", file=sys.stderr)
            failures += 1
            continue
        except KeyboardInterrupt:  # what has been measured is shown
            failures += 1
            break
        print(f"{time.monotonic() - began:6.0f} s  {part}, {PEERS[peer]}, round {number + 1}", file=sys.stderr)
        for line in LINES:
            if line.part == part and line.key in figures:
                line.samples.setdefault(peer, []).append(figures[line.key])
    print(f"\n{table(LINES, peers)}\n\n{machine(peers)}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
