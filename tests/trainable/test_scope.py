"""What an objective starts belongs to its trial, what it leaves behind to none; trials side by side stay apart."""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune

ROUNDS = int(os.environ.get("TUNE_CORE_THREAD_ROUNDS", "1"))
EXECUTORS = ["inline", "local"]
older_pool = ThreadPoolExecutor(1)


class Own(threading.Thread):
    """A thread that knows its work, as many libraries' do."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self.work = work

    def run(self) -> None:
        self.work()


def by_thread(work: Callable[[], Any]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def by_own_thread(work: Callable[[], Any]) -> None:
    thread = Own(work)
    thread.start()
    thread.join()


def by_thread_of_a_thread(work: Callable[[], Any]) -> None:
    by_thread(lambda: by_own_thread(work))


def by_timer(work: Callable[[], Any]) -> None:
    timer = threading.Timer(0.001, work)
    timer.start()
    timer.join()


def by_pool(work: Callable[[], Any]) -> None:
    with ThreadPoolExecutor(2) as pool:
        pool.submit(work).result()
        list(pool.map(lambda _: None, range(4)))


def by_older_pool(work: Callable[[], Any]) -> None:
    older_pool.submit(work).result()


def by_thread_pool(work: Callable[[], Any]) -> None:
    with ThreadPool(2) as pool:
        pool.apply(work)


def by_low_level_thread(work: Callable[[], Any]) -> None:
    done = threading.Event()
    _thread.start_new_thread(lambda: (work(), done.set()), ())
    assert done.wait(30)


def by_context(work: Callable[[], Any]) -> None:
    contextvars.copy_context().run(work)


def by_coroutine(work: Callable[[], Any]) -> None:
    async def main() -> None:
        async def task() -> None:
            await asyncio.sleep(0)
            work()

        await asyncio.gather(task())

    asyncio.run(main())


def by_thread_of_a_coroutine(work: Callable[[], Any]) -> None:
    async def main() -> None:
        await asyncio.to_thread(work)
        await asyncio.get_running_loop().run_in_executor(None, work)

    asyncio.run(main())


WAYS = [
    by_thread,
    by_own_thread,
    by_thread_of_a_thread,
    by_timer,
    by_pool,
    by_older_pool,
    by_thread_pool,
    by_low_level_thread,
    by_context,
    by_coroutine,
    by_thread_of_a_coroutine,
]


def run(
    objective: Any, folder: Path, name: str = "run", space: Any = None, executor: Any = "inline", **tuning: Any
) -> Any:
    run_config = tune.RunConfig(name=name, storage_path=str(folder), verbose=0, executor=executor)
    return tune.Tuner(
        objective, param_space=space or {}, run_config=run_config, tune_config=tune.TuneConfig(**tuning)
    ).fit()


def reports_by(config: dict[str, Any]) -> None:
    def work() -> None:
        tune.report({"of": config["of"], "id": tune.get_trial_id()})

    config["way"](work)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_an_objective_starts_reports_for_its_trial(tmp_path: Path, executor: str) -> None:
    space = {"way": tune.grid_search(WAYS), "of": tune.grid_search(["a", "b"])}
    results = run(reports_by, tmp_path, space=space, executor=executor)
    assert not results.errors
    for number, result in enumerate(results):
        expected = 2 if result.config["way"].__name__ == "by_thread_of_a_coroutine" else 1
        assert result.metrics["training_iteration"] == expected
        assert (result.metrics["of"], result.metrics["id"]) == (result.config["of"], f"{number:05d}")


def leaves_a_thread_behind(config: dict[str, Any]) -> None:
    def work() -> None:
        for i in range(10_000):
            if not tune.report({"of": config["of"], "i": i}, raise_on_stop=False):
                break
            time.sleep(0.001)

    tune.report({"of": config["of"], "i": -1})
    threading.Thread(target=work, daemon=True).start()
    time.sleep(0.05)


@pytest.mark.parametrize("executor", ["inline", tune.LocalExecutor(num_cpus=1)], ids=EXECUTORS)
def test_a_thread_left_behind_reports_into_no_other_trial_and_that_is_said_once(
    tmp_path: Path, executor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    results = run(leaves_a_thread_behind, tmp_path, space={"of": tune.grid_search([1, 2, 3])}, executor=executor)
    for result in results:
        assert set(result.metrics_dataframe["of"]) == {result.config["of"]}
    journal = Path(tmp_path, "run", "journal.jsonl").read_text()
    assert journal.count("trial 00000 left a thread behind") == 1
    if executor == "inline":
        assert caplog.text.count("trial 00000 left a thread behind") == 1


def test_a_run_leaves_no_trial_behind_in_the_process(tmp_path: Path) -> None:
    run(lambda config: {"loss": 1}, tmp_path)
    assert not tune.integration.in_session() and tune.report({"loss": 2}) is True
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(tune.get_trial_id).result() is None


def test_callbacks_of_the_driver_are_outside_of_the_trial(tmp_path: Path) -> None:
    seen = []

    class Looks(tune.Callback):
        def on_trial_result(self, **info: Any) -> None:
            seen.append(tune.get_trial_id())

    run_config = tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline", callbacks=[Looks()])
    tune.Tuner(lambda config: tune.report({"loss": 1}), run_config=run_config).fit()
    assert seen == [None]


def counts_up(config: dict[str, Any]) -> None:
    for i in range(5):
        tune.report({"value": config["run"] * 1000 + config["n"] * 10 + i})
        time.sleep(0.0005)


@pytest.mark.parametrize("count", [2, 8, 32])
def test_runs_side_by_side_in_threads_give_what_each_gives_alone(tmp_path: Path, count: int) -> None:
    for round_ in range(ROUNDS):
        found: dict[int, Any] = {}

        def go(number: int, found: dict[int, Any] = found, round_: int = round_) -> None:
            space = {"run": number, "n": tune.grid_search([1, 2, 3])}
            found[number] = run(counts_up, tmp_path, f"run{round_}_{number}", space)

        threads = [threading.Thread(target=go, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        for number in range(count):
            values = [list(result.metrics_dataframe["value"]) for result in found[number]]
            assert values == [[number * 1000 + n * 10 + i for i in range(5)] for n in (1, 2, 3)]


def test_threads_that_report_at_once_lose_nothing(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: tune.report({"i": i}), range(200)))

    result = run(objective, tmp_path, executor="local")[0]
    assert sorted(result.metrics_dataframe["i"]) == list(range(200))
    assert list(result.metrics_dataframe["training_iteration"]) == list(range(1, 201))


def test_a_stop_ends_the_thread_that_reported_without_a_traceback(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        def work() -> None:
            while True:
                tune.report({"loss": 1})

        by_thread(work)

    run_config = tune.RunConfig(name="run", storage_path=str(tmp_path), verbose=0, stop={"training_iteration": 3})
    result = tune.Tuner(objective, run_config=run_config).fit()[0]
    assert result.metrics["training_iteration"] == 3 and str(result.status) == "TERMINATED"
    log = Path(result.path, "output.log")
    assert not log.exists() or "Traceback" not in log.read_text()


def test_sharing_of_two_trials_in_one_process_is_refused(tmp_path: Path) -> None:
    from tune_core.trainable import session

    both = threading.Barrier(2, timeout=30)
    errors = []

    def objective(config: dict[str, Any]) -> None:
        both.wait()
        try:
            with lock:
                session.share()
        except tune.TuneError as error:
            errors.append(str(error))
        both.wait()
        tune.report({"loss": 1})

    lock = threading.Lock()
    threads = [threading.Thread(target=run, args=(objective, tmp_path, name)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 1 and 'executor="local"' in errors[0]
    assert session.SHARED not in os.environ
