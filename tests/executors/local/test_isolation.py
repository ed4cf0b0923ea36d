"""What a trial changes or leaves behind does not reach the next one on its worker."""

from __future__ import annotations

import faulthandler
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.testing.executors import is_alive

RUNS = int(os.environ.get("TUNE_CORE_ISOLATION_RUNS", "3"))


def run(objective: Any, folder: Path, space: Any = None, executor: Any = None, run: Any = None, **tuning: Any) -> Any:
    run_config = tune.RunConfig(
        **{"name": "run", "storage_path": str(folder), "verbose": 0},
        executor=executor or tune.LocalExecutor(num_cpus=1),
        **(run or {}),
    )
    config = tune.TuneConfig(**tuning)
    return tune.Tuner(objective, param_space=space or {}, run_config=run_config, tune_config=config).fit()


ORDER = {"a": tune.grid_search([1, 2, 3])}


def test_each_trial_works_in_its_own_folder(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        Path("mine.txt").write_text(str(config["a"]))
        return {"folder": os.getcwd(), "own": tune.get_trial_dir(), "home": os.environ["TUNE_ORIG_WORKING_DIR"]}

    for result in run(objective, tmp_path, ORDER):
        assert result.metrics["folder"] == result.metrics["own"] == result.path
        assert result.metrics["home"] == os.getcwd()
        assert Path(result.path, "mine.txt").read_text() == str(result.config["a"])


@pytest.mark.parametrize("way", ["setting", "variable", "inline"])
def test_own_folders_can_be_turned_off(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "variable":
        monkeypatch.setenv("RAY_CHDIR_TO_TRIAL_DIR", "0")
    result = run(
        lambda config: {"folder": os.getcwd()},
        tmp_path,
        executor="inline" if way == "inline" else None,
        chdir_to_trial_dir=way != "setting",
    )[0]
    assert result.metrics["folder"] == os.getcwd()


@pytest.mark.parametrize("way", ["open", "text"])
def test_a_relative_path_to_the_users_data_is_explained(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.csv").write_text("x")
    monkeypatch.chdir(tmp_path)

    def objective(config: dict[str, Any]) -> None:
        if way == "text":  # as many libraries say it
            raise ValueError("no data in 'data.csv'")
        open("data.csv")  # noqa: SIM115

    error = str(run(objective, tmp_path / "runs").errors[0])
    assert str(tmp_path) in error and "TUNE_ORIG_WORKING_DIR" in error and "chdir_to_trial_dir=False" in error


def test_a_missing_file_that_is_nowhere_gets_no_advice(tmp_path: Path) -> None:
    error = str(run(lambda config: Path("nowhere.csv").read_text(), tmp_path).errors[0])
    assert "nowhere.csv" in error and "TUNE_ORIG_WORKING_DIR" not in error


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_folder_environment_and_module_path_are_put_back(tmp_path: Path, executor: str) -> None:
    os.environ["TUNE_TEST_KEPT"] = "kept"

    def objective(config: dict[str, Any]) -> dict[str, Any]:
        found = [
            os.getcwd() == "/",
            os.environ.get("TUNE_TEST_LEFT"),
            os.environ.get("TUNE_TEST_KEPT"),
            "/left" in sys.path,
        ]
        os.chdir("/")
        os.environ["TUNE_TEST_LEFT"] = "left"
        os.environ.pop("TUNE_TEST_KEPT")
        sys.path.append("/left")
        return {"found": found}

    try:
        results = run(objective, tmp_path, ORDER, "inline" if executor == "inline" else None)
        assert [result.metrics["found"] for result in results] == [[False, None, "kept", False]] * 3
        assert (os.getcwd() != "/", os.environ.get("TUNE_TEST_LEFT"), "/left" in sys.path) == (True, None, False)
    finally:
        del os.environ["TUNE_TEST_KEPT"]


def test_each_trial_logs_to_its_own_file(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        logging.basicConfig(filename="train.log", level=logging.INFO, force=True)
        mine = logging.getLogger("of the objective")
        mine.addHandler(logging.FileHandler("mine.log"))
        mine.info("trial %s", config["a"])
        return {"loss": 1}

    for result in run(objective, tmp_path, ORDER):
        said = f"trial {result.config['a']}\n"
        assert Path(result.path, "train.log").read_text() == f"INFO:of the objective:{said}"
        assert Path(result.path, "mine.log").read_text() == said


def test_umask_signal_handlers_and_logging_are_put_back(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        umask = os.umask(0o777)
        found = [
            umask,
            signal.getsignal(signal.SIGTERM) is signal.SIG_IGN,
            callable(signal.getsignal(signal.SIGUSR1)),
            logging.root.level,
            logging.root.manager.disable,
            len(logging.root.handlers),
        ]
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda *of: None)
        logging.basicConfig(level=1)
        logging.disable(logging.ERROR)
        return {"found": found}

    first, *others = [result.metrics["found"] for result in run(objective, tmp_path, ORDER)]
    assert others == [first, first]


def test_a_folder_that_a_trial_deletes_is_no_trap(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        os.rmdir(os.getcwd())
        return {"loss": 1}

    assert [result.metrics["loss"] for result in run(objective, tmp_path, ORDER)] == [1, 1, 1]


def starts_processes(config: dict[str, Any]) -> dict[str, Any]:
    """Leave processes behind in one of several ways; tell which of the trial before still run."""
    file = Path(config["folder"], "left")
    before = [int(pid) for pid in file.read_text().split()] if file.exists() else []
    alive = [pid for pid in before if is_alive(pid)]
    if config["way"] == "plain":
        pids = [subprocess.Popen(["sleep", "1000"]).pid]
    elif config["way"] == "deaf":
        code = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(999)"
        )
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        pids = [child.pid]
    elif config["way"] == "daemon":  # its parent has ended, and it leads a session of its own
        shell = "setsid sh -c 'echo $$; exec sleep 1000' & wait -n 2>/dev/null; exit 0"
        done = subprocess.Popen(["sh", "-c", f"({shell}) </dev/null"], stdout=subprocess.PIPE, text=True)
        assert done.stdout is not None
        pids = [int(done.stdout.readline())]
    else:
        process = multiprocessing.get_context(config["way"]).Process(target=time.sleep, args=(1000,))
        process.start()
        pids = [process.pid or 0]
    file.write_text(" ".join(map(str, pids)))
    return {"alive": alive, "count": len(pids)}


WAYS = ["plain", "deaf", "fork", "spawn", "forkserver"]


@pytest.mark.parametrize("way", WAYS if sys.platform != "linux" else [*WAYS, "daemon"])
def test_processes_that_a_trial_leaves_are_ended(tmp_path: Path, way: str) -> None:
    space = {**ORDER, "way": way, "folder": str(tmp_path)}
    results = run(starts_processes, tmp_path, space)
    assert not results.errors
    assert [result.metrics["alive"] for result in results] == [[], [], []]


def test_streams_that_a_trial_closes_are_there_for_the_next(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        print("trial", config["a"])
        if config["a"] == 1:
            sys.stdout.close()
            sys.stdout = None  # type: ignore[assignment]
            os.close(1)
        return {"loss": 1}

    results = run(objective, tmp_path, ORDER)
    assert [Path(result.path, "output.log").read_text() for result in results] == [f"trial {a}\n" for a in (1, 2, 3)]


def test_an_alarm_that_a_trial_has_set_does_not_ring_in_the_next(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        left = signal.alarm(0)
        signal.alarm(1)
        return {"left": left}

    assert [result.metrics["left"] for result in run(objective, tmp_path, ORDER)] == [0, 0, 0]


def test_much_output_is_kept_once(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        for _ in range(300):
            print("x" * 99_999)
        sys.stdout.flush()
        deadline = time.monotonic() + 30
        log = Path("output.log")
        while (not log.exists() or log.stat().st_size < 30_000_000) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        return {"held": os.fstat(1).st_blocks * 512, "written": os.fstat(1).st_size}

    result = run(objective, tmp_path)[0]
    assert result.error is None
    assert Path(result.path, "output.log").stat().st_size == 30_000_000
    if sys.platform == "linux":
        assert result.metrics["written"] >= 30_000_000 and result.metrics["held"] < 3_000_000


def test_last_lines_of_an_error_show_a_progress_bars_last_state(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        print("loading")
        for i in range(200):
            print(f"\r{i}/200 |{'#' * 60}", end="")
        print()
        raise ValueError("no luck")

    error = str(run(objective, tmp_path).errors[0])
    assert "199/200" in error and "198/200" not in error and "loading" in error


def test_last_lines_hold_what_the_trial_printed_and_the_trace_of_the_thread_that_crashed(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        if config["crashes"] == "child":  # whose trace is among what the trial printed
            subprocess.run([sys.executable, "-X", "faulthandler", "-c", "import os; os.abort()"])
        faulthandler.enable()
        for line in range(30):
            print("line", line, flush=True)
        for _ in range(8):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        if config["crashes"] == "trial":
            os.abort()
        raise ValueError("no luck")

    crashed, raised = (
        str(result.error) for result in run(objective, tmp_path, {"crashes": tune.grid_search(["trial", "child"])})
    )
    assert "line 10\nline 11\n" in crashed and "line 29\nFatal Python error: Aborted\nCurrent thread" in crashed
    assert "line 9\n" not in crashed and "in objective" in crashed and "\nThread 0x" not in crashed
    assert raised.rstrip().endswith("line 29") and "line 10\n" in raised and "Fatal Python error" not in raised


def test_output_that_cannot_be_kept_fails_nothing(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        os.mkdir("output.log")  # nobody can write there now
        print("lost")
        return {"loss": 1}

    assert run(objective, tmp_path)[0].metrics["loss"] == 1


def test_logging_of_the_script_holds_in_its_trials(tmp_path: Path) -> None:
    root, own = logging.getLogger(), logging.getLogger("tune_test_logger")
    before, handler = root.level, logging.StreamHandler()
    handler.setFormatter(logging.Formatter("<%(message)s>"))
    root.handlers.insert(0, handler)
    root.setLevel(logging.INFO)
    own.setLevel(logging.DEBUG)

    def objective(config: dict[str, Any]) -> dict[str, Any]:
        logging.debug("too small")
        logging.info("to be seen")
        logging.getLogger("tune_test_logger").debug("of its own")
        return {"loss": 1}

    try:
        text = Path(run(objective, tmp_path)[0].path, "output.log").read_text()
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        own.setLevel(logging.NOTSET)
    assert text == "<to be seen>\n<of its own>\n"


def test_trials_folder_is_there_before_callbacks_are_told_of_it(tmp_path: Path) -> None:
    seen = []

    class Writes(tune.Callback):
        def on_trial_start(self, trial: Any, **info: Any) -> None:
            seen.append(os.path.isdir(trial.path))

    run(lambda config: {"loss": 1}, tmp_path, ORDER, run={"callbacks": [Writes()]})
    assert seen == [True] * 3


def mischief(config: dict[str, Any]) -> None:
    """Do all at once that could reach another trial, from a seed."""
    chance = random.Random(config["seed"] * 100 + config["n"])
    me = [config["seed"], config["n"]]
    dirty = [os.environ.get("TUNE_TEST_MARK"), os.getcwd() != tune.get_trial_dir(), os.path.exists("mark")]

    def stray() -> None:
        for _ in range(1000):
            if not tune.report({"who": me, "dirty": dirty}, raise_on_stop=False):
                return
            time.sleep(0.002)

    for _ in range(chance.randrange(4)):
        threading.Thread(target=stray, daemon=True).start()
    if chance.random() < 0.3:
        subprocess.Popen(["sleep", "100"])
    for _ in range(chance.randrange(1, 6)):
        tune.report({"who": me, "dirty": dirty})
        time.sleep(chance.random() * 0.005)
    os.environ["TUNE_TEST_MARK"] = str(me)
    Path("mark").touch()
    if chance.random() < 0.5:
        os.chdir("/")
    if chance.random() < 0.2:
        raise ValueError("chance")


def test_no_result_is_in_the_wrong_trial_whatever_trials_do(tmp_path: Path) -> None:
    for seed in range(RUNS):
        space = {"seed": seed, "n": tune.grid_search(list(range(6)))}
        results = run(mischief, tmp_path / str(seed), space, tune.LocalExecutor(num_cpus=2))
        for result in results:
            frame = result.metrics_dataframe
            assert {tuple(who) for who in frame["who"]} == {(seed, result.config["n"])}
            assert all(list(dirty) == [None, False, False] for dirty in frame["dirty"])
