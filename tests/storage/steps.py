"""Steps of a training whose checkpoints say how far it has come: for runs that are broken off and go on elsewhere."""

import tempfile
from pathlib import Path

import tune_core as tune


def steps_done():
    """The step of the checkpoint that the trial goes on from; 0 without one."""
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        return int(Path(folder, "step").read_text())


def report_step(step, metrics, **files):
    """Report a step with a checkpoint that holds its number, and what else is given, as bytes by the files' names."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "step").write_text(str(step))
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))
