"""What trackers hold, read back with their own libraries: trial id → configuration, points of a metric, status."""

from __future__ import annotations

import glob
import json
import os
import struct
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Logged:
    config: dict[str, Any] = field(default_factory=dict)
    points: list[tuple[int, float]] = field(default_factory=list)  # of "loss": iteration, value
    status: str = ""
    parent: str = ""


def records(path: str) -> list[Any]:
    """Records of a .wandb file: LevelDB's log format behind a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2

    data, at, buffer, found = Path(path).read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        buffer += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(buffer)
            buffer = b""
            found.append(record)
    return found


def wandb(folder: str) -> dict[str, Logged]:
    """The newest folder of each run id is the whole log; a service joins them by step."""
    found: dict[str, Logged] = {}
    for path in sorted(glob.glob(f"{folder}/**/offline-run-*/*.wandb", recursive=True)):
        logged, name = Logged(), ""
        for record in records(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                name = record.run.display_name
                logged.config = {u.key: json.loads(u.value_json) for u in record.run.config.update}
            elif kind == "history":
                row = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item}
                logged.points.append((row["training_iteration"], row["loss"]))
            elif kind == "exit":
                logged.status = "failed" if record.exit.exit_code else "finished"
        if name:  # a driver that was killed early leaves an empty file
            found[name] = logged
    return found


def mlflow(folder: str) -> dict[str, Logged]:
    import mlflow

    client = mlflow.tracking.MlflowClient(tracking_uri=Path(folder).as_uri())
    found = {}
    for run in client.search_runs([e.experiment_id for e in client.search_experiments()]):
        if "trial_name" not in run.data.tags:
            continue
        history = client.get_metric_history(run.info.run_id, "loss") if "loss" in run.data.metrics else []
        status = {"FINISHED": "finished", "FAILED": "failed"}.get(run.info.status, run.info.status)
        points = sorted((m.timestamp, m.step, m.value) for m in history)
        parent = run.data.tags.get("mlflow.parentRunId", "")
        config = {name: json.loads(value) for name, value in run.data.params.items()}
        found[run.data.tags["trial_name"]] = Logged(config, [(s, v) for _, s, v in points], status, parent)
    return found


def comet(folder: str) -> dict[str, Logged]:
    found = {}
    for path in glob.glob(f"{folder}/*.zip"):
        logged, name = Logged(), ""
        for line in zipfile.ZipFile(path).read("messages.json").decode().splitlines():
            message = json.loads(line)
            payload, kind = message["payload"], message["type"]
            if kind == "metric_msg" and payload["metric"]["metricName"] == "loss":
                logged.points.append((payload["metric"]["step"], payload["metric"]["metricValue"]))
            elif kind == "parameter_msg" and payload["param"]["source"] == "manual":
                logged.config[payload["param"]["paramName"]] = payload["param"]["paramValue"]
            elif kind == "log_other" and payload["key"] == "Name":
                name = payload["value"]
            elif kind == "log_other" and payload["key"] == "status":
                logged.status = payload["value"]
        found[name] = logged
    return found


def aim(folder: str) -> dict[str, Logged]:
    import aim as library

    found = {}
    reindex = [os.path.join(os.path.dirname(sys.executable), "aim"), "storage", "--repo", folder, "reindex", "-y"]
    subprocess.run(reindex, check=True, capture_output=True)
    repo = library.Repo.from_path(folder)
    for name in repo.list_all_runs():
        run = library.Run(name, repo=repo, read_only=True)
        logged = Logged(dict(run["hparams"]), status=run["status"])
        for metric in run.metrics():
            if metric.name == "loss":
                steps, (values, *_) = metric.data.items_list()
                logged.points = [(int(s), float(v)) for s, v in zip(steps, values)]
        found[run["trial_id"]] = logged
    return found


def tensorboard(folder: str) -> dict[str, Logged]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = {}
    for path in sorted(glob.glob(f"{folder}/trial_*")):
        read = EventAccumulator(path, size_guidance={"scalars": 0})
        read.Reload()
        if "loss" not in read.Tags()["scalars"]:
            continue
        logged = Logged(points=[(e.step, e.value) for e in read.Scalars("loss")])
        with_params = read.summary_metadata.get("_hparams_/session_start_info")
        if with_params is not None:
            data = HParamsPluginData.FromString(with_params.plugin_data.content).session_start_info.hparams
            logged.config = {name: value.number_value or value.string_value for name, value in data.items()}
            (best,) = read.Scalars("best/loss")
            logged.status = f"best {best.value:g}"
        found[os.path.basename(path).removeprefix("trial_")] = logged
    return found
