"""The contract of executors, as tests that any executor can be put to, yours included.

In a test module::

    from tune_core.testing.executors import ExecutorSuite

    class TestMyExecutor(ExecutorSuite):
        def make(self, **options):
            return MyExecutor(**options)

pytest then runs each test against it. An executor that runs trials in the driver's own process sets
``isolated = False``; one that runs one at a time sets ``concurrent = False``; each skips what it cannot do.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tune_core.checkpoint import Checkpoint
from tune_core.core import events as ev
from tune_core.core.paths import trial_folder
from tune_core.core.values import Config, ConfigView, ResultDict
from tune_core.errors import SerializationError
from tune_core.executors.base import Executor, RunSpec
from tune_core.executors.local.output import OUTPUT_FILE
from tune_core.trainable import Trainable, prepare, session, with_parameters

DEADLINE_S = 60.0
"""How long a test waits for what must come."""
CPU: dict[str, float] = {"cpu": 1}

Verdict = tuple[str, Any] | tuple[str, str, str]


class ExecutorDriver:
    """Stands in for the loop: launches trials, gathers their events, and answers those that wait.

    Parameters
    ----------
    executor
        Under test.
    folder
        The experiment's folder.
    objective
        What a trial runs.
    verdict
        For a report that waits: ``("extend", lease)`` or ``("halt", how, why)``.
    **spec
        Further fields of :class:`RunSpec`.
    """

    def __init__(
        self,
        executor: Any,
        folder: Path,
        objective: Any,
        verdict: Callable[[ev.Reported], Verdict] | None = None,
        **spec: Any,
    ) -> None:
        self.executor: Executor = executor
        self.folder = str(folder)
        self.events: list[object] = []
        self._jobs: dict[int, ev.Launch] = {}
        self._again: list[ev.Launch] = []  # handed back before they began
        self.on_report: Callable[[ev.Reported], None] | None = None
        self._verdict = verdict or (lambda event: ("extend", ev.Lease()))
        prepared = prepare(objective)
        payload = executor.pack(prepared)
        run = RunSpec("suite", self.folder, payload, trainable_name=prepared.__name__, **spec)
        executor.start(run, self.take)

    def take(self, batches: list[ev.Batch]) -> None:
        """Gather events; a batch's lines are those events, and nothing else."""
        for batch in batches:
            assert ev.decode_lines(batch.lines) == batch.events
            for event in batch.events:
                if type(event) is ev.Ended and event.how == "returned":
                    self._again.append(self._jobs[event.trial])
                    continue
                self.events.append(event)
                if type(event) is ev.Reported:
                    if self.on_report is not None:
                        self.on_report(event)
                    if event.waiting:
                        kind, *rest = self._verdict(event)
                        getattr(self.executor, kind)(event.trial, *rest)

    def poll(self) -> None:
        """One turn."""
        while self._again and (worker := self.executor.reserve(self._again[0].resources)):
            self.executor.launch(worker, self._again.pop(0))
        self.take(self.executor.poll(0.2))

    def until(self, condition: Callable[[], Any]) -> Any:
        """Turn until something is true."""
        deadline = time.monotonic() + DEADLINE_S
        while not (answer := condition()):
            assert time.monotonic() < deadline, f"in vain; so far: {self.events}"
            self.poll()
        return answer

    def launch(self, trial: int, config: ConfigView | None = None, resources: Any = CPU, **job: Any) -> str:
        """Launch a trial as soon as there is a place; the worker's name."""
        worker: str = self.until(lambda: self.executor.reserve(resources))
        launch = ev.Launch(trial, dict(config or {}), job.pop("lease", ev.Lease()), resources, **job)
        self._jobs[trial] = launch
        self.executor.launch(worker, launch)
        return worker

    def ended(self, trial: int, attempt: int = 1) -> ev.Ended | None:
        """How an attempt at a trial ended; None if it has not."""
        for event in self.events:
            if type(event) is ev.Ended and event.trial == trial and event.attempt in (0, attempt):
                return event
        return None

    def run(self, trial: int, config: ConfigView | None = None, **job: Any) -> ev.Ended:
        """Launch a trial and wait for its end."""
        attempt = job.get("attempt", 1)
        before = len(self.events)
        self.launch(trial, config, **job)
        assert not [e for e in self.events[:before] if type(e) is ev.Ended and (e.trial, e.attempt) == (trial, attempt)]
        end: ev.Ended = self.until(lambda: self.ended(trial, attempt))
        return end

    def reports(self, trial: int, attempt: int = 1) -> list[ev.Reported]:
        """What an attempt at a trial reported."""
        return [e for e in self.events if type(e) is ev.Reported and (e.trial, e.attempt) == (trial, attempt)]

    def metric(self, trial: int, name: str, attempt: int = 1) -> Any:
        """A metric of the last report."""
        return self.reports(trial, attempt)[-1].metrics[name]


class ExecutorSuite:
    """What an executor must do. Define :meth:`make`."""

    isolated = True
    """Whether trials run in processes of their own, which can crash and be killed."""
    concurrent = True
    """Whether two trials of one CPU each run at once."""
    prompt = True
    """Whether a report with a checkpoint has left its process when it returns, whatever happens then."""

    def make(self, **options: Any) -> Any:
        """A new executor for at least two CPUs. Options that may come: ``num_gpus``."""
        raise NotImplementedError

    @contextlib.contextmanager
    def drive(
        self, folder: Path, objective: Any, options: Mapping[str, Any] | None = None, **spec: Any
    ) -> Iterator[ExecutorDriver]:
        """A driver of a new executor, closed at the end."""
        executor = self.make(**(options or {}))
        try:
            yield ExecutorDriver(executor, folder, objective, **spec)
        finally:
            executor.close(5.0)

    # --- results ------------------------------------------------------------------------------------------------------

    def test_returned_dict_is_the_result(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, returns) as driver:
            end = driver.run(0, {"x": 3})
            assert (end.how, end.error) == ("completed", "")
            assert [report.metrics for report in driver.reports(0)] == [{"loss": 3}]

    def test_reports_come_in_order_and_none_is_missing(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, counts) as driver:
            driver.run(0, {"n": 5000})
            assert [report.metrics["step"] for report in driver.reports(0)] == list(range(5000))
            assert [report.iteration for report in driver.reports(0)] == list(range(1, 5001))

    def test_reports_of_a_running_trial_arrive_while_it_runs(self, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        with self.drive(tmp_path, waits_for_gate, verdict=lambda event: ("extend", None)) as driver:
            if self.isolated:
                driver.launch(0, {"gate": str(gate)})
                driver.until(lambda: driver.reports(0))
                assert driver.ended(0) is None
                gate.touch()
                driver.until(lambda: driver.ended(0))

    def test_many_trials_one_after_another_on_a_reused_worker(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, tells_pid) as driver:
            for trial in range(20):
                driver.run(trial, {"x": trial})
            assert len({driver.metric(trial, "pid") for trial in range(20)}) <= 4

    def test_worker_is_not_reused_if_that_is_asked(self, tmp_path: Path) -> None:
        if not self.isolated:
            pytest.skip("runs trials in this process")
        with self.drive(tmp_path, tells_pid, reuse=False) as driver:
            for trial in range(3):
                driver.run(trial)
            assert len({driver.metric(trial, "pid") for trial in range(3)}) == 3

    def test_two_trials_run_at_once(self, tmp_path: Path) -> None:
        if not self.concurrent:
            pytest.skip("runs one trial at a time")
        with self.drive(tmp_path, meets) as driver:
            driver.launch(0, {"me": "a", "other": "b", "folder": str(tmp_path)})
            driver.launch(1, {"me": "b", "other": "a", "folder": str(tmp_path)})
            driver.until(lambda: driver.ended(0) and driver.ended(1))
            assert driver.metric(0, "met") and driver.metric(1, "met")

    # --- verdicts -----------------------------------------------------------------------------------------------------

    def test_trial_waits_at_the_end_of_its_lease_and_goes_on_under_the_next(self, tmp_path: Path) -> None:
        def verdict(event: ev.Reported) -> Verdict:
            return (
                ("extend", ev.Lease(until=event.iteration + 2))
                if event.iteration < 6
                else ("halt", "stopped", "enough")
            )

        with self.drive(tmp_path, counts, verdict=verdict) as driver:
            end = driver.run(0, {"n": 100}, lease=ev.Lease(until=2))
            assert [report.iteration for report in driver.reports(0) if report.waiting] == [2, 4, 6]
            assert (end.how, end.why) == ("stopped", "enough")

    def test_objective_hears_the_schedulers_advice_until_its_next_report(self, tmp_path: Path) -> None:
        def verdict(event: ev.Reported) -> Verdict:
            return ("extend", ev.Lease(steps=2, advice="slower" if event.iteration == 1 else ""))

        with self.drive(tmp_path, repeats_advice, verdict=verdict) as driver:
            driver.run(0, {"n": 4}, lease=ev.Lease(steps=1))
            assert [report.metrics["heard"] for report in driver.reports(0)] == ["", "slower", "", ""]

    def test_paused_trial_answers_that_it_let_go(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, counts, verdict=lambda event: ("halt", "paused", "later")) as driver:
            assert driver.run(0, {"n": 100}, lease=ev.Lease(until=3)).how == "paused"
            assert len(driver.reports(0)) == 3

    def test_stop_condition_is_met_in_the_worker(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, counts, stop={"step": 7}) as driver:
            end = driver.run(0, {"n": 100})
            assert end.how == "stopped" and "step = 7" in end.why
            assert driver.metric(0, "step") == 7

    def test_revoked_trial_ends_at_its_next_report(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, reports_for_ever) as driver:
            revoked: list[int] = []

            def revoke_once(event: ev.Reported) -> None:
                if not revoked:
                    revoked.append(event.trial)
                    driver.executor.revoke(event.trial, "the budget is used up")

            driver.on_report = revoke_once
            end = driver.run(0)
            assert (end.how, end.why) == ("revoked", "the budget is used up")

    def test_revoked_trial_ends_though_it_saves_a_checkpoint_with_each_report(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, saves) as driver:
            driver.on_report = lambda event: (
                driver.executor.revoke(event.trial, "enough") if event.iteration == 1 else None
            )
            assert driver.run(0, {"n": 1_000_000}).how == "revoked"

    def test_answer_to_an_attempt_that_is_over_does_not_reach_the_next(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, counts) as driver:
            driver.run(0, {"n": 3})
            driver.executor.revoke(0, "late")
            driver.executor.extend(0, ev.Lease())
            assert driver.run(0, {"n": 3}, attempt=2).how == "completed"

    def test_killed_trial_ends_though_it_never_reports(self, tmp_path: Path) -> None:
        if not self.isolated:
            pytest.skip("runs trials in this process")
        with self.drive(tmp_path, hangs) as driver:
            driver.launch(0, {"hang": True})
            driver.until(lambda: driver.reports(0))
            driver.executor.kill(0, "stopped", "too slow")
            end = driver.until(lambda: driver.ended(0))
            assert (end.how, end.why, end.error) == ("stopped", "too slow", "")
            assert driver.run(1, {"hang": False}).how == "completed"

    def test_trial_past_its_time_limit_is_ended(self, tmp_path: Path) -> None:
        if not self.isolated:
            pytest.skip("runs trials in this process")
        with self.drive(tmp_path, hangs, trial_timeout_s=1.0) as driver:
            end = driver.run(0, {"hang": True})
            assert end.how == "timeout" and "trial_timeout_s=1.0" in end.error

    def test_wake_from_another_thread_ends_the_wait(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, returns) as driver:
            driver.run(0, {"x": 1})
            thread = threading.Thread(target=driver.executor.wake)
            thread.start()
            assert driver.executor.poll(DEADLINE_S) == []
            thread.join()

    # --- failures -----------------------------------------------------------------------------------------------------

    def test_exception_is_told_with_the_users_own_frames_only(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, as_a_users(RAISES)) as driver:
            end = driver.run(0)
            assert end.how == "errored"
            assert "ValueError: no such luck" in end.error and "a_users_module.py" in end.error
            assert "worker.py" not in end.error

    def test_last_lines_of_output_are_in_the_error_and_all_of_it_in_the_trials_file(self, tmp_path: Path) -> None:
        if not self.isolated:
            pytest.skip("output goes to the terminal")
        with self.drive(tmp_path, as_a_users(RAISES)) as driver:
            end = driver.run(0, {"lines": 50})
            assert "line 49" in end.error and "line 0\n" not in end.error
            file = Path(trial_folder(driver.folder, 0), OUTPUT_FILE)
            driver.until(lambda: file.exists() and "line 49" in file.read_text())
            assert file.read_text().splitlines()[0] == "line 0"

    @pytest.mark.parametrize("way", ["exit", "segfault", "kill", "sys.exit", "memory", "interrupt"])
    def test_trial_that_dies_ends_badly_and_the_next_one_runs(self, tmp_path: Path, way: str) -> None:
        if not self.isolated:
            pytest.skip("runs trials in this process")
        with self.drive(tmp_path, dies) as driver:
            end = driver.run(0, {"way": way})
            assert end.how == ("crashed" if way in ("exit", "segfault", "kill") else "errored"), end
            assert end.error
            if way == "sys.exit":
                assert "sys.exit(3)" in end.error
            if way == "memory":
                assert "MemoryError" in end.error
            assert [report.metrics["step"] for report in driver.reports(0)] == [0]
            assert driver.run(1, {"way": ""}).how == "completed"

    def test_objective_that_cannot_travel_is_refused_by_name_of_what_it_holds(self, tmp_path: Path) -> None:
        if not self.isolated:
            pytest.skip("runs trials in this process")
        lock = threading.Lock()

        def objective(config: Config) -> float:
            with lock:
                return 1.0

        executor = self.make()
        try:
            with pytest.raises(SerializationError, match="'lock'"):
                executor.pack(prepare(objective))
        finally:
            executor.close(0.0)

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def test_checkpoint_is_in_the_folder_before_the_report_that_names_it(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, saves) as driver:

            def look(event: ev.Reported) -> None:
                assert event.checkpoint is not None
                folder = Path(trial_folder(driver.folder, event.trial), event.checkpoint)
                assert (folder / "deep" / "step").read_text() == str(event.metrics["step"])

            driver.on_report = look
            driver.run(0, {"n": 5})
            assert len({report.checkpoint for report in driver.reports(0)}) == 5

    def test_checkpoint_is_known_though_the_trial_dies_right_after_its_report(self, tmp_path: Path) -> None:
        if not self.isolated or not self.prompt:
            pytest.skip("runs trials in this process, or sends a moment later")
        with self.drive(tmp_path, saves) as driver:
            end = driver.run(0, {"n": 3, "dies": True})
            assert end.how == "crashed"
            assert [report.metrics["step"] for report in driver.reports(0)] == [0, 1, 2]

    def test_trial_goes_on_from_a_checkpoint_also_from_another_trials(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, saves) as driver:
            driver.run(0, {"n": 5})
            name = driver.reports(0)[-1].checkpoint
            driver.run(1, {"n": 8}, checkpoint=(0, name), iteration=5, attempt=2)
            assert [report.metrics["step"] for report in driver.reports(1, attempt=2)] == [5, 6, 7]
            assert driver.reports(1, attempt=2)[0].iteration == 6

    def test_checkpoint_holds_what_was_there_when_it_was_reported(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, overwrites) as driver:
            driver.run(0, {"size": 300_000})
            for report in driver.reports(0):
                assert report.checkpoint is not None
                data = Path(trial_folder(driver.folder, 0), report.checkpoint, "big").read_bytes()
                assert data == bytes([report.metrics["step"]]) * 300_000

    def test_class_trainable_saves_at_its_end_and_resumes(self, tmp_path: Path) -> None:
        with self.drive(tmp_path, Counts, checkpoint_at_end=True, stop={"training_iteration": 4}) as driver:
            driver.run(0)
            saved = [e for e in driver.events if type(e) is ev.Saved]
            names = [e.checkpoint for e in saved] + [r.checkpoint for r in driver.reports(0) if r.checkpoint]
            driver.run(1, checkpoint=(0, names[-1]), iteration=2)
            assert driver.metric(1, "total") > 4

    # --- places -------------------------------------------------------------------------------------------------------

    def test_impossible_request_is_refused_and_says_why(self) -> None:
        if not self.isolated:
            pytest.skip("takes any request")
        executor = self.make()
        try:
            assert executor.refuse({"cpu": 1}) is None
            assert "10000 cpu" in (executor.refuse({"cpu": 10_000}) or "")
            assert "no_such_thing" in (executor.refuse({"cpu": 1, "no_such_thing": 1}) or "")
        finally:
            executor.close(0.0)

    def test_gpu_fractions_share_devices_and_each_trial_sees_one(self, tmp_path: Path) -> None:
        if not self.isolated:
            pytest.skip("takes any request")
        request = {"cpu": 0.1, "gpu": 0.5}
        with self.drive(tmp_path, tells_gpus, {"num_gpus": 2}) as driver:
            for trial in range(4):
                driver.launch(trial, {"gate": str(tmp_path / "gate")}, request)
            driver.until(lambda: all(driver.reports(trial) for trial in range(4)))
            seen = sorted(driver.metric(trial, "gpus") for trial in range(4))
            assert len(set(seen)) == 2 and seen[0] == seen[1] and seen[2] == seen[3]
            assert driver.executor.reserve(request) is None
            (tmp_path / "gate").touch()
            driver.until(lambda: all(driver.ended(trial) for trial in range(4)))

    def test_trial_that_asks_for_no_gpu_sees_none(self, tmp_path: Path) -> None:
        if not self.isolated:
            pytest.skip("takes any request")
        (tmp_path / "gate").touch()
        with self.drive(tmp_path, tells_gpus, {"num_gpus": 2}) as driver:
            driver.run(0, {"gate": str(tmp_path / "gate")})
            assert driver.metric(0, "gpus") == ""

    def test_bound_array_is_shared_and_read_only(self, tmp_path: Path) -> None:
        if not self.isolated:
            pytest.skip("runs trials in this process")
        numpy = pytest.importorskip("numpy")
        bound = with_parameters(looks_at_array, array=numpy.arange(1_000_000))
        with self.drive(tmp_path, bound) as driver:
            driver.run(0)
            assert driver.metric(0, "total") == 499999500000
            assert not driver.metric(0, "writeable") and not driver.metric(0, "owns_data")

    def test_no_process_is_left_after_close(self, tmp_path: Path) -> None:
        if not self.isolated:
            pytest.skip("runs trials in this process")
        with self.drive(tmp_path, hangs) as driver:
            driver.launch(0, {"hang": True})
            driver.run(1, {"hang": False})
            driver.until(lambda: driver.reports(0))
            pids = {driver.metric(trial, "pid") for trial in (0, 1)}
        deadline = time.monotonic() + DEADLINE_S
        while any(map(is_alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [pid for pid in pids if is_alive(pid)]


def is_alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and was not yet collected does not)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


# --- objectives -------------------------------------------------------------------------------------------------------


def returns(config: Config) -> ResultDict:
    """Return a result."""
    return {"loss": config["x"]}


def counts(config: Config) -> None:
    """Report ``n`` times."""
    for step in range(config["n"]):
        session.report({"step": step})


def repeats_advice(config: Config) -> None:
    """Report what the scheduler had to say to the report before."""
    for step in range(1, config["n"] + 1):
        session.report({"step": step, "heard": session.advice()})


def reports_for_ever(config: Config) -> None:
    """Report until stopped."""
    step = 0
    while True:
        step += 1
        session.report({"step": step})


def tells_pid(config: Config) -> ResultDict:
    """Tell in which process it runs."""
    return {"pid": os.getpid()}


def waits_for_gate(config: Config) -> None:
    """Report, and wait for a file to appear."""
    session.report({"waits": True, "pid": os.getpid()})
    _wait(lambda: os.path.exists(config["gate"]))


def tells_gpus(config: Config) -> None:
    """Tell which GPUs it sees, and wait for a file to appear."""
    session.report({"gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "all")})
    _wait(lambda: os.path.exists(config["gate"]))


def meets(config: Config) -> ResultDict:
    """Wait for the other trial to be there too."""
    Path(config["folder"], config["me"]).touch()
    return {"met": _wait(lambda: os.path.exists(os.path.join(config["folder"], config["other"])))}


def hangs(config: Config) -> None:
    """Report, and then hang if asked to."""
    session.report({"pid": os.getpid()})
    if config["hang"]:
        threading.Event().wait()


def as_a_users(source: str) -> object:
    """A function of a module that is not tune-core's, nor one that a worker could import."""
    scope: dict[str, object] = {"__name__": "a_users_module"}
    exec(compile(source, "a_users_module.py", "exec"), scope)
    return scope["objective"]


RAISES = """
def objective(config):
    for line in range(config.get("lines", 1)):
        print("line", line)
    raise ValueError("no such luck")
"""


def dies(config: Config) -> None:
    """Report, and die in one of many ways."""
    session.report({"step": 0})
    _wait(lambda: False, 0.3)  # what was reported leaves within this time, whatever happens then
    deaths: dict[str, Callable[[], object]] = {
        "exit": functools.partial(os._exit, 3),
        "segfault": _segfault,
        "kill": lambda: os.kill(os.getpid(), 9),
        "sys.exit": lambda: sys.exit(3),
        "memory": _run_out_of_memory,
        "interrupt": _interrupt,
        "": lambda: None,
    }
    deaths[config["way"]]()


def saves(config: Config) -> None:
    """Report ``n`` times, each with a checkpoint, going on from one if it is given."""
    import tempfile

    start = 0
    checkpoint = session.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            start = int(Path(folder, "deep", "step").read_text()) + 1
    for step in range(start, config["n"]):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "deep").mkdir()
            Path(folder, "deep", "step").write_text(str(step))
            Path(folder, "empty").touch()
            session.report({"step": step}, checkpoint=Checkpoint.from_directory(folder))
    if config.get("dies"):
        os._exit(1)


def overwrites(config: Config) -> None:
    """Write each checkpoint over the last one, in the same folder."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for step in range(3):
            Path(folder, "big").write_bytes(bytes([step]) * config["size"])
            session.report({"step": step}, checkpoint=Checkpoint.from_directory(folder))


def looks_at_array(config: Config, array: Any) -> ResultDict:
    """Tell how it got the array."""
    flags = array.flags
    return {"total": int(array.sum()), "writeable": bool(flags.writeable), "owns_data": bool(flags.owndata)}


class Counts(Trainable):
    """Adds up its steps."""

    def setup(self, config: Config) -> None:
        self.total = 0

    def step(self) -> ResultDict:
        self.total += 1
        return {"total": self.total}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"total": self.total}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.total = checkpoint["total"]


def _wait(condition: Callable[[], bool], seconds: float = DEADLINE_S) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def _segfault() -> None:
    import ctypes

    ctypes.string_at(0)


def _run_out_of_memory() -> None:
    bytearray(1 << 60)


def _interrupt() -> None:
    raise KeyboardInterrupt
