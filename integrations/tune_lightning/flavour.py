"""Lightning has two import names, ``pytorch_lightning`` and ``lightning.pytorch``: which to use, what to guard."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tune_core import integration as tc
from tune_core.errors import InvalidArgumentError

NAMES = ("pytorch_lightning", "lightning.pytorch")


def _choose() -> object:
    """The flavour that has been imported already, else the one that is installed.

    A Trainer takes callbacks of the other flavour too.
    """
    for name in NAMES:
        if sys.modules.get(name) is not None:
            return sys.modules[name]
    name = NAMES[0] if importlib.util.find_spec(NAMES[0]) or not importlib.util.find_spec("lightning") else NAMES[1]
    return tc.require("tune_lightning", name, "lightning")


_flavour: Any = _choose()
if TYPE_CHECKING:
    from lightning.pytorch import Callback as Callback
    from lightning.pytorch import Trainer as Trainer
else:
    Callback, Trainer = _flavour.Callback, _flavour.Trainer


def monitoring_base(trainer: object) -> Any:
    """A class of callbacks that ``trainer`` calls at the end of an epoch after the module's own hook.

    Its instances call the function that they are made with, then.
    """
    for base in type(trainer).__mro__:
        for name in NAMES:
            if base.__module__.startswith(f"{name}."):
                return _monitoring(name)
    return _monitoring(NAMES[0])


@functools.cache
def _monitoring(name: str) -> object:
    base: Any = importlib.import_module(name).callbacks.EarlyStopping

    class AfterModule(base):
        """Calls a function at the end of an epoch; early stopping in name only."""

        def __init__(self, function: Any) -> None:
            self.function = function

        @property
        def state_key(self) -> str:
            return f"{type(self).__qualname__}{id(self)}"

        def setup(self, trainer: object, pl_module: object, stage: str) -> None:
            """Nothing to set up."""

        def on_validation_end(self, trainer: object, pl_module: object) -> None:
            """Nothing to do."""

        def on_train_epoch_end(self, trainer: object, pl_module: object) -> None:
            self.function()

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
            """Nothing to load."""

    return AfterModule


def refuse_script_launcher() -> None:
    """Make Lightning's launcher for ``strategy="ddp"`` refuse to start anything from inside a trial.

    It starts further ranks by running the main script again, which would start the whole tuning again. There is no
    hook between ``Trainer(...)`` and that moment, so its launch method is wrapped.
    """
    for name in NAMES:
        module = sys.modules.get(f"{name}.strategies.launchers.subprocess_script")
        launcher = getattr(module, "_SubprocessScriptLauncher", None)
        if launcher is not None and not hasattr(launcher.launch, "__wrapped__"):
            launcher.launch = _guarded(launcher.launch)


def _guarded(launch: Any) -> Any:
    @functools.wraps(launch)
    def guarded(self: Any, *args: object, **kwargs: object) -> Any:
        starts = self.num_processes > 1 and not self.cluster_environment.creates_processes_externally
        if starts and tc.in_session():
            raise InvalidArgumentError(
                'Trainer(strategy="ddp")',
                f"was asked for {self.num_processes} processes inside a trial",
                "Lightning starts them by running the main script again, which would start the whole tuning again",
                'Use strategy="ddp_spawn" with the module in a file of its own, or devices=1 and more trials at once.',
            )
        return launch(self, *args, **kwargs)

    return guarded


refuse_script_launcher()  # a callback that is unpickled in a worker has been made elsewhere
