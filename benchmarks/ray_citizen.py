"""What runs leave on a Ray cluster, how they share it, and what many actors cost.

    python benchmarks/ray_citizen.py leftovers [--kinds ...] [--ends ...]
    python benchmarks/ray_citizen.py sharing [--seconds 60]
    python benchmarks/ray_citizen.py many [--actors 64]

``leftovers`` starts a cluster and 30 drivers one after the other, of five kinds, that end in six ways. Behind each it
waits until Ray has nothing of it any more, 30 seconds at most, and counts what is left: actors, placement groups,
temporary folders, processes, bytes in the object store. ``sharing`` lets two and then four runs work at once and
counts what each gets; then each result is compared with that of a run alone. ``many`` keeps 64 actors busy.
"""

from __future__ import annotations

import argparse
import glob
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")

import ray

import tune_core as tune
from tune_core.core import events as ev
from tune_core.journal import reader
from tune_core.schedulers import PopulationBasedTraining

KINDS = ("function", "class", "checkpoints", "bundles", "pbt")
ENDS = ("normal", "failing", "crashing", "budget", "interrupted", "killed")
SETTLE_S = 30.0
MARK = os.environ.get("TUNE_CORE_BENCHMARK") or uuid.uuid4().hex
"""Tells the processes of this benchmark from others of this machine."""


# --- what runs there --------------------------------------------------------------------------------------------------


def steps(config: dict[str, Any]) -> None:
    """Ten results; with ``save``, each has a checkpoint of 1 MB."""
    for step in range(10):
        time.sleep(config["pace"])
        misbehave(config, step)
        if not config["save"]:
            tune.report({"loss": config["x"] / (step + 1)})
            continue
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "weights"), "wb") as file:
                file.write(b"w" * (1 << 20))
            tune.report({"loss": config["x"] / (step + 1)}, checkpoint=tune.Checkpoint(folder))


def misbehave(config: dict[str, Any], step: int) -> None:
    """What some trials of some runs do in the middle."""
    if step == 5 and config["x"] < 0.5:
        if config["end"] == "failing":
            raise ValueError("as asked")
        if config["end"] == "crashing":
            os._exit(1)


class Steps(tune.Trainable):
    """The same as a class."""

    def setup(self, config: dict[str, Any]) -> None:
        self.config = config

    def step(self) -> dict[str, Any]:
        time.sleep(self.config["pace"])
        misbehave(self.config, self.iteration)
        return {"loss": self.config["x"] / (self.iteration + 1)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        pass

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        pass


def spreads(config: dict[str, Any]) -> None:
    """A trial with tasks of its own in its second bundle."""

    @ray.remote(num_cpus=0.5)
    def part(x: float, step: int) -> float:
        return x / (step + 1)

    for step in range(10):
        time.sleep(config["pace"])
        misbehave(config, step)
        tune.report({"loss": ray.get(part.remote(config["x"], step))})


def drive(kind: str, end: str, storage: str, address: str) -> None:
    """One run, in a process of its own."""
    trainable: Any = {"class": Steps, "bundles": spreads}.get(kind, steps)
    resources: Any = {"cpu": 0.5}
    if kind == "bundles":
        resources = tune.PlacementGroupFactory([{"cpu": 0.5}, {"cpu": 0.5}])
    scheduler = None
    space: dict[str, Any] = {"x": tune.uniform(0, 1), "pace": 0.02, "save": kind in ("checkpoints", "pbt"), "end": end}
    if end in ("budget", "interrupted", "killed"):
        space["pace"] = 3.0 if end == "budget" else 0.3
    if kind == "pbt":
        scheduler = PopulationBasedTraining(
            perturbation_interval=2, hyperparam_mutations={"x": tune.uniform(0, 1)}, synch=False
        )
    tune.Tuner(
        tune.with_resources(trainable, resources),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            num_samples=4,
            seed=1,
            scheduler=scheduler,
            time_budget_s=12 if end == "budget" else None,
        ),
        run_config=tune.RunConfig(
            name=f"{kind}-{end}",
            storage_path=storage,
            verbose=0,
            executor=tune.RayExecutor(address=address, shared_storage=False),
            stop={"training_iteration": 10},
        ),
    ).fit()


# --- leftovers --------------------------------------------------------------------------------------------------------


def left(before: dict[str, Any]) -> dict[str, float]:
    """What there is now, beyond what there was before the first run."""
    now = there()
    return {
        "actors": len(now["actors"] - before["actors"]),
        "groups": len(now["groups"] - before["groups"]),
        "folders": len(now["folders"] - before["folders"]),
        "processes": len(now["processes"] - before["processes"]),
        "object store MB": max(0.0, round((now["stored"] - before["stored"]) / 1e6, 1)),
    }


def there() -> dict[str, Any]:
    """Actors, placement groups, folders, processes and stored bytes that are there now."""
    from ray._private.internal_api import node_stats
    from ray._private.state import actors

    stats = node_stats(ray.nodes()[0]["NodeManagerAddress"], ray.nodes()[0]["NodeManagerPort"])
    processes = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file, open(f"/proc/{entry}/environ", "rb") as others:
                    said, ours = file.read(), MARK.encode() in others.read()
            except OSError:
                continue
            if ours and (b"ray::" in said or b"tune_core" in said or b"ray_citizen.py" in said or b"tune-core" in said):
                processes.add(int(entry))
    return {
        "actors": {name for name, actor in actors().items() if actor["State"] != "DEAD"},
        "groups": {name for name, group in ray.util.placement_group_table().items() if group["state"] != "REMOVED"},
        "folders": set(glob.glob(os.path.join(tempfile.gettempdir(), "tune-core-*"))),
        "processes": processes,
        "stored": stats.store_stats.object_store_bytes_used,
    }


def start_driver(kind: str, end: str, storage: str, address: str) -> int:
    """Run a driver and end it as asked; its exit status."""
    command = [sys.executable, os.path.abspath(__file__), "drive", kind, end, storage, address]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    if end in ("interrupted", "killed"):
        journal = os.path.join(storage, f"{kind}-{end}", "journal.jsonl")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with open(journal, "rb") as file:
                    if file.read().count(b'"e":"report"') >= 2:
                        break
            except OSError:
                pass
            time.sleep(0.1)
        process.send_signal(signal.SIGINT if end == "interrupted" else signal.SIGKILL)
    _, said = process.communicate(timeout=240)
    if process.returncode not in (0, -9):
        print(said.decode()[-2000:])
    return process.returncode


def leftovers(kinds: list[str], ends: list[str]) -> None:
    """A table: what each run left."""
    own_folder = tempfile.mkdtemp(prefix="citizen-")
    os.environ.update(TMPDIR=own_folder, TUNE_CORE_BENCHMARK=MARK)  # of all that is started here
    tempfile.tempdir = None
    context = ray.init(num_cpus=4, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    address = context.address_info["address"]
    before = there()
    totals: dict[str, float] = {}
    print(f"{'run':24}{'exit':>6}{'trials':>8}{'settled after s':>17}   left")
    with tempfile.TemporaryDirectory() as storage:
        for kind in kinds:
            for end in ends:
                status = start_driver(kind, end, storage, address)
                ended = time.monotonic()
                while any((rest := left(before)).values()) and time.monotonic() - ended < SETTLE_S:
                    time.sleep(0.25)
                grid = tune.ResultGrid.from_path(os.path.join(storage, f"{kind}-{end}"))
                took = time.monotonic() - ended
                print(f"{kind + ', ' + end:24}{status:>6}{len(grid):>8}{took:>17.1f}   {rest}", flush=True)
                for what, number in rest.items():
                    totals[what] = totals.get(what, 0) + number
    print("in all:", totals)
    ray.shutdown()
    shutil.rmtree(own_folder, ignore_errors=True)


# --- sharing ----------------------------------------------------------------------------------------------------------


def short(config: dict[str, Any]) -> dict[str, Any]:
    """A trial of a fifth of a second."""
    time.sleep(0.2)
    return {"loss": (config["x"] - 0.3) ** 2}


def one_of_several(number: int, storage: str, seconds: float | None, samples: int = -1) -> Any:
    """A run on the cluster that this process has joined."""
    return tune.Tuner(
        short,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples, seed=number, time_budget_s=seconds),
        run_config=tune.RunConfig(name=f"run{number}", storage_path=storage, verbose=0, executor=tune.RayExecutor()),
    ).fit()


def sharing(seconds: float) -> None:
    """Runs at once: trials that each ended within the time, and whether its results are those of a run alone."""
    ray.init(num_cpus=4, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    for runs in (2, 4):
        with tempfile.TemporaryDirectory() as storage, tempfile.TemporaryDirectory() as alone:
            grids: dict[int, Any] = {}

            def work(number: int, storage: str = storage, grids: dict[int, Any] = grids) -> None:
                grids[number] = one_of_several(number, storage, seconds)

            threads = [threading.Thread(target=work, args=(number,)) for number in range(runs)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            done = [sum("loss" in (result.metrics or {}) for result in grids[number]) for number in range(runs)]
            equal = 0
            for number in range(runs):
                few = min(60, done[number])
                own = one_of_several(number, alone, None, few)
                equal += [(r.config, r.metrics["loss"]) for r in own] == [
                    (r.config, r.metrics["loss"]) for r in list(grids[number])[:few]
                ]
            share = min(done) / max(done)
            print(
                f"{runs} runs, {seconds:g} s: trials of each {done}, least over most {share:.2f}, "
                f"sum {sum(done)} of {4 * seconds / 0.2:.0f} possible; first results as alone: {equal} of {runs}",
                flush=True,
            )
    ray.shutdown()


# --- many actors ------------------------------------------------------------------------------------------------------


def waits(config: dict[str, Any]) -> None:
    """A trial of six seconds that costs next to nothing."""
    for step in range(6):
        time.sleep(1.0)
        tune.report({"loss": config["x"] / (step + 1)})


def own_memory_mb() -> float:
    """What this process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory_of_actors_mb() -> list[float]:
    """What each actor of a run holds in memory that it shares with nobody, and its part of what it shares."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and b"TrialHost" in (process / "cmdline").read_bytes():
                lines = (process / "smaps_rollup").read_text().splitlines()
                found.append(next(int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")))
        except OSError:
            continue
    return found


def many(actors: int) -> None:
    """How busy many actors are kept, and what the driver needs for it."""
    ray.init(num_cpus=actors, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    memory: list[float] = []
    threading.Timer(30.0, lambda: memory.extend(memory_of_actors_mb())).start()
    with tempfile.TemporaryDirectory() as storage:
        cpu, began = time.process_time(), time.monotonic()
        grid = tune.Tuner(
            waits,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=actors * 8, seed=1),
            run_config=tune.RunConfig(name="many", storage_path=storage, verbose=0, executor=tune.RayExecutor()),
        ).fit()
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        events = list(reader.read(os.path.join(storage, "many")).events)
        starts = {event.trial: event.at for event in events if type(event) is ev.Launched}
        ends = {event.trial: event.at for event in events if type(event) is ev.Ended}
        workers: dict[str, list[tuple[float, float]]] = {}
        for event in events:
            if type(event) is ev.Launched:
                workers.setdefault(event.worker, []).append((starts[event.trial], ends[event.trial]))
        full = max(min(begin for begin, _ in spans) for spans in workers.values())
        last = min(max(end for _, end in spans) for spans in workers.values())
        busy = sum(max(0.0, min(end, last) - max(begin, full)) for spans in workers.values() for begin, end in spans)
        print(
            f"{len(workers)} actors, {len(grid)} trials, {grid.num_errors} errors: {took:.1f} s in all; from the last "
            f"actor's first trial to the first actor's end {last - full:.1f} s, busy "
            f"{100 * busy / (len(workers) * (last - full)):.1f} %; driver {own_memory_mb():.0f} MB, {cpu:.1f} s CPU "
            f"({1e3 * cpu / (len(grid) * 6):.2f} ms a result)"
        )
        if memory:
            print(f"an actor: {statistics.median(memory):.0f} MB of its own (median)")
    ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("leftovers")
    part.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    part.add_argument("--ends", nargs="+", default=list(ENDS), choices=ENDS)
    parts.add_parser("sharing").add_argument("--seconds", type=float, default=60.0)
    parts.add_parser("many").add_argument("--actors", type=int, default=64)
    part = parts.add_parser("drive")
    for name in ("kind", "end", "storage", "address"):
        part.add_argument(name)
    options = vars(parser.parse_args())
    globals()[options.pop("part")](**options)


if __name__ == "__main__":
    main()
