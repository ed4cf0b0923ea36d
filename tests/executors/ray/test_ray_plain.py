"""What of the Ray executor needs no running Ray: choices, errors, requests, folders as values."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from ray import exceptions as rx

import tune_core as tune
from tune_core.errors import CheckpointError, ExecutorError, InvalidArgumentError, ResourceError
from tune_core.executors import InlineExecutor, LocalExecutor, executor_from, ray_is_up
from tune_core.executors.ray import files as ray_files
from tune_core.executors.ray.actor import ReorderBuffer
from tune_core.executors.ray.host import how_it_died
from tune_core.executors.ray.requests import actor_options, bundle_of, shape_of


@pytest.fixture(autouse=True)
def no_choice_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("TUNE_CORE_EXECUTOR", raising=False)


# --- choice -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"), [("local", LocalExecutor), ("inline", InlineExecutor), ("ray", tune.RayExecutor)]
)
def test_executor_is_chosen_by_name(name: str, kind: type) -> None:
    assert type(executor_from(name)) is kind


def test_local_workers_are_chosen_where_ray_is_not_up() -> None:
    assert not ray_is_up()
    assert isinstance(executor_from(None), LocalExecutor)


def test_address_in_the_environment_chooses_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert isinstance(executor_from(None), tune.RayExecutor)


def test_variable_overrules_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setenv("TUNE_CORE_EXECUTOR", "local")
    assert isinstance(executor_from(None), LocalExecutor)


def test_unknown_name_in_the_variable_is_said_to_come_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_CORE_EXECUTOR", "dusk")
    with pytest.raises(InvalidArgumentError, match="TUNE_CORE_EXECUTOR is 'dusk'"):
        executor_from(None)


@pytest.mark.parametrize("wrong", ["dask", 3, LocalExecutor])
def test_what_is_no_executor_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"RunConfig\(executor\)"):
        executor_from(wrong)


def test_choosing_and_making_an_executor_imports_no_ray() -> None:
    code = (
        "import sys, tune_core as tune; from tune_core.executors import executor_from; "
        "executor_from(None); tune.RayExecutor(); "
        "sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_cluster_that_does_not_answer_is_a_clear_error() -> None:
    with pytest.raises(ExecutorError, match=r"127\.0\.0\.1:1.*could not join.*\n.*ray start --head"):
        tune.RayExecutor(address="127.0.0.1:1").refuse({"cpu": 1})


@pytest.mark.parametrize("arguments", [{"runtime_env": "pip"}, {"resources": 3}, {"actor_options": []}])
def test_arguments_that_are_no_dicts_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="dict"):
        tune.RayExecutor(**arguments)


# --- requests ---------------------------------------------------------------------------------------------------------


def test_request_becomes_the_options_of_an_actor() -> None:
    options = actor_options({"cpu": 2, "gpu": 0.25, "memory": 1e9, "license": 1})
    assert options == {"num_cpus": 2, "num_gpus": 0.25, "memory": 10**9, "resources": {"license": 1}}
    assert actor_options({"gpu": 1})["num_cpus"] == 0


def test_request_becomes_a_bundle() -> None:
    assert bundle_of({"cpu": 2, "gpu": 0.5, "license": 1, "tpu": 0}) == {"CPU": 2, "GPU": 0.5, "license": 1}


def test_equal_requests_share_a_shape_whatever_their_order() -> None:
    assert shape_of({"cpu": 1, "gpu": 0}) == shape_of({"cpu": 1})
    assert shape_of({"cpu": 1, "a": 2}) == shape_of({"a": 2, "cpu": 1}) != shape_of({"cpu": 1, "a": 3})
    with pytest.raises(ResourceError):
        shape_of(3)


# --- deaths -----------------------------------------------------------------------------------------------------------

WORKER_DIED = "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR ..."
NODE_DIED = "The actor died because its node has died. Node Id: ab12"
UNHEARD = (
    "The actor died unexpectedly: health check failed due to missing too many heartbeats\n"
    "The actor never ran - it was cancelled before it started running."
)
KILLED = "The actor is dead because it was killed by `ray.kill`."
NO_TUNE_CORE = "failed to import on the worker ... ModuleNotFoundError: No module named 'tune_core'"


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (rx.RayActorError(error_msg=WORKER_DIED), "crashed"),
        (rx.OutOfMemoryError("Memory on the node was 7GB / 8GB"), "crashed"),
        (rx.RayActorError(error_msg=NODE_DIED), "lost"),
        (rx.RayActorError(error_msg=UNHEARD), "lost"),
        (rx.RayActorError(error_msg=KILLED), "lost"),
        (rx.ActorUnavailableError("RPC error: Socket closed", None), "lost"),
    ],
)
def test_only_what_the_trial_has_done_itself_counts_as_its_crash(error: Exception, how: str) -> None:
    assert how_it_died(error).how == how


def test_node_without_tune_core_is_said_to_be_that() -> None:
    death = how_it_died(rx.RayActorError(error_msg=NO_TUNE_CORE))
    assert death.at_start and "tune-core is not installed" in death.cause and "py_modules" in death.fix


# --- folders and order ------------------------------------------------------------------------------------------------


def test_folder_survives_packing_with_subfolders_permissions_and_large_files(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep" / "empty").mkdir(parents=True)
    (source / "small").write_text("s")
    (source / "deep" / "large").write_bytes(b"l" * 100_000)
    (source / "deep" / "run").write_text("#!/bin/sh")
    (source / "deep" / "run").chmod(0o755)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(ray_files.pack(str(source)), protocol=5, buffer_callback=buffers.append)

    ray_files.unpack(pickle.loads(data, buffers=buffers), str(tmp_path / "target"))

    target = tmp_path / "target"
    assert sorted(p.relative_to(target) for p in target.rglob("*")) == sorted(
        p.relative_to(source) for p in source.rglob("*")
    )
    assert (target / "deep" / "large").read_bytes() == b"l" * 100_000
    assert (target / "deep" / "run").stat().st_mode & 0o777 == 0o755
    assert len(buffers) == 1


def test_missing_folder_cannot_be_packed(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        ray_files.pack(str(tmp_path / "nothing"))


def test_checkpoint_that_several_trials_start_from_is_sent_once(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / "trial_00000" / name).mkdir(parents=True)
    sent: list[Any] = []
    sender = ray_files.Sender(lambda packed: sent.append(packed) or len(sent), str(tmp_path))

    assert [sender.send(0, name) for name in "aaba"] == [1, 1, 2, 1]
    assert [sender.send(0, name) for name in "cdefa"] == [3, 4, 5, 6, 7]  # only the latest few are kept


def test_what_overtook_waits_for_its_turn() -> None:
    order = ReorderBuffer()
    assert list(order.put(1, "b")) == []
    assert list(order.put(0, "a")) == ["a", "b"]
    assert list(order.put(2, "c")) == ["c"]
