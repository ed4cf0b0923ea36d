"""A class trainable with a known learning curve, for trying things out; Ray Tune's ``utils.mock_trainable``."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from typing import Any

from tune_core.core.values import ResultDict
from tune_core.trainable import Trainable

MOCK_TRAINABLE_NAME = "mock_trainable"
MOCK_ERROR_KEY = "mock_error"


class MyTrainableClass(Trainable):
    """Reports ``episode_reward_mean = height * tanh(iteration / width)``.

    ``config`` may hold ``width``, ``height``, ``sleep`` (s an iteration), ``mock_error`` (fail once) and
    ``persistent_error`` (fail after every restore).
    """

    def setup(self, config: Mapping[str, object]) -> None:
        """Start at iteration 0."""
        self.timestep = 0
        self.restored = False

    def step(self) -> ResultDict:
        """One point of the curve."""
        config = self.config
        persistent = config.get("persistent_error", False)
        if config.get(MOCK_ERROR_KEY, False) and self.timestep > 0 and (persistent or not self.restored):
            raise RuntimeError(f"Failing on purpose at timestep {self.timestep}")
        time.sleep(config.get("sleep", 0))
        self.timestep += 1
        value = config.get("height", 1) * math.tanh(self.timestep / config.get("width", 1))
        return {"episode_reward_mean": value}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the iteration."""
        with open(os.path.join(checkpoint_dir, "checkpoint"), "w", encoding="utf-8") as file:
            json.dump({"timestep": self.timestep}, file)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from it."""
        with open(os.path.join(checkpoint, "checkpoint"), encoding="utf-8") as file:
            self.timestep = json.load(file)["timestep"]
        self.restored = True


def register_mock_trainable() -> None:
    """Make it known by the name ``"mock_trainable"``."""
    from tune_core.trainable.registry import register_trainable

    register_trainable(MOCK_TRAINABLE_NAME, MyTrainableClass)
