"""Syne Tune's multi-fidelity methods on a table's curves: its schedulers are asked and told by hand, in virtual time.

Used by `multifidelity.py` where Syne Tune is installed. As in our simulator, each epoch takes one unit of time on each
of a few workers, and a worker that is free is given the scheduler's next suggestion.
"""

from __future__ import annotations

import importlib.util
import logging
import random
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Any

NAMES = {"ASHA": "ASHA", "BOHB": "BOHB", "BORE + ASHA": "ASHABORE", "CQR + ASHA": "ASHACQR"}
"""Methods as the table calls them, and their classes in ``syne_tune.optimizer.baselines``."""
SLOW = ("BORE + ASHA", "CQR + ASHA")
IS_INSTALLED = importlib.util.find_spec("syne_tune") is not None


def results(
    table: Any, method: str, seed: int, budget: int, workers: int, most: int
) -> Iterator[tuple[dict[str, Any], float]]:
    """(configuration, loss) of each epoch, in the order in which they come in."""
    import numpy as np
    from syne_tune.backend.trial_status import Trial
    from syne_tune.config_space import choice
    from syne_tune.optimizer import baselines

    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    np.random.seed(seed)  # its brackets and some of its models draw from the global generators
    random.seed(seed)
    choices = {name: list(domain.categories) for name, domain in table.space.items()}
    scheduler = getattr(baselines, NAMES[method])(
        config_space={name: choice(list(map(str, range(len(values))))) for name, values in choices.items()},
        metric="loss",
        time_attr="epoch",
        max_t=most,
        reduction_factor=3,
        random_seed=seed,
    )
    running: list[tuple[Any, dict[str, Any], int] | None] = [None] * workers
    begun, epochs = 0, 0
    while epochs < budget:
        for worker in range(workers):
            if running[worker] is None:
                asked = scheduler.suggest().config
                trial = Trial(begun, asked, datetime.min)
                scheduler.on_trial_add(trial)
                running[worker] = trial, {name: choices[name][int(at)] for name, at in asked.items()}, 0
                begun += 1
        for worker in range(workers):
            trial, config, done = running[worker]  # type: ignore[misc]
            loss = table.train(config, done + 1)[1]["loss"]
            running[worker] = trial, config, done + 1
            epochs += 1
            yield config, loss
            result = {"loss": loss, "epoch": done + 1}
            if scheduler.on_trial_result(trial, result) == "STOP":
                running[worker] = None
                if done + 1 >= most:
                    scheduler.on_trial_complete(trial, result)
                else:
                    scheduler.on_trial_remove(trial)
