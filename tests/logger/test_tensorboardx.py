"""TensorBoard event files, read back."""

import math

import pytest
from views import View, run

pytest.importorskip("tensorboardX")

from tune_core.logger import TBXLoggerCallback


def events(folder):
    """(step, tag, value) of the scalars, and the other tags."""
    from tensorboardX.event_file_writer import EventFileWriter  # noqa: F401
    from tensorboardX.proto.event_pb2 import Event

    scalars, others = [], []
    for path in sorted(folder.glob("events*")):
        data = path.read_bytes()
        while data:  # a record: length (8), checksum (4), payload, checksum (4)
            length = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    scalars.append((event.step, value.tag, value.simple_value))
                else:
                    others.append(value.tag)
    return scalars, others


def test_numbers_become_scalars_at_their_iteration(tmp_path):
    run(TBXLoggerCallback(), View(str(tmp_path)), [{"loss": 1.0, "val": {"acc": 0.5}, "s": "x"}, {"loss": 0.5}])
    scalars, _ = events(tmp_path)
    assert (1, "loss", 1.0) in scalars
    assert (2, "loss", 0.5) in scalars
    assert (1, "val/acc", 0.5) in scalars
    assert {tag for _, tag, _ in scalars} == {"loss", "val/acc"}


def test_lists_become_histograms_and_the_end_hyperparameters(tmp_path):
    run(TBXLoggerCallback(), View(str(tmp_path)), [{"loss": 1.0, "weights": [1.0, 2.0], "bad": [math.nan]}])
    _, others = events(tmp_path)
    assert "weights" in others
    assert "bad" not in others
    assert "_hparams_/session_start_info" in others


def test_nan_and_unusual_configurations_do_no_harm(tmp_path):
    run(TBXLoggerCallback(), View(str(tmp_path), config={"f": len, "n": None}), [{"loss": math.nan}])
    scalars, _ = events(tmp_path)
    assert math.isnan(scalars[0][2])


def test_steps_are_timesteps_if_reported(tmp_path):
    run(TBXLoggerCallback(), View(str(tmp_path)), [{"loss": 1.0, "timesteps_total": 500}])
    scalars, _ = events(tmp_path)
    assert (500, "loss", 1.0) in scalars
