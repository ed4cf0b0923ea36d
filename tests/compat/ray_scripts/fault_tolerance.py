"""Trials that fail and are tried again from their checkpoint; a run restored with ``restart_errored``."""

import json
import os
import tempfile

from ray import tune

FLAG = os.environ["SCRIPT_FLAG"] = os.environ.get("SCRIPT_FLAG", os.path.join(tempfile.mkdtemp(), "flag"))


def flaky(config):
    start = 1
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder, open(os.path.join(folder, "n.json")) as file:
            start = json.load(file) + 1
    for n in range(start, 5):
        if n == 3 and checkpoint is None:
            raise RuntimeError("the machine is gone")
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "n.json"), "w") as file:
                json.dump(n, file)
            tune.report({"n": n, "started_at": start}, checkpoint=tune.Checkpoint.from_directory(folder))


def needs_flag(config):
    if config["id"] == 1 and not os.path.exists(config["flag"]):
        raise ValueError("not yet")
    tune.report({"id": config["id"]})


if __name__ == "__main__":
    once = tune.RunConfig(failure_config=tune.FailureConfig(max_failures=1))
    (result,) = tune.Tuner(flaky, run_config=once).fit()
    assert result.error is None
    assert (result.metrics["n"], result.metrics["started_at"]) == (4, 3)

    storage = tempfile.mkdtemp()
    space = {"id": tune.grid_search([0, 1, 2]), "flag": FLAG}
    run_config = tune.RunConfig(name="study", storage_path=storage)
    results = tune.Tuner(needs_flag, param_space=space, run_config=run_config).fit()
    assert (results.num_errors, results.num_terminated) == (1, 2)
    assert "not yet" in str(results.errors[0])
    with open(FLAG, "w"):
        pass
    path = os.path.join(storage, "study")
    assert tune.Tuner.can_restore(path) and not tune.Tuner.can_restore(os.path.join(storage, "other"))
    tuner = tune.Tuner.restore(path, trainable=needs_flag, restart_errored=True)
    assert tuner.get_results().num_errors == 1
    results = tuner.fit()
    assert results.num_errors == 0
    assert sorted(r.metrics["id"] for r in results) == [0, 1, 2]
