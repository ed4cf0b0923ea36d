"""``Experiment`` and ``run_experiments``: Ray Tune's oldest form of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tune_core.errors import InvalidArgumentError
from tune_core.trainable import name_of

_OF_RUN = (
    "stop",
    "time_budget_s",
    "config",
    "resources_per_trial",
    "num_samples",
    "storage_path",
    "storage_filesystem",
    "sync_config",
    "checkpoint_config",
    "trial_name_creator",
    "trial_dirname_creator",
    "log_to_file",
    "export_formats",
    "max_failures",
    "restore",
)


class Experiment:
    """What to run, with its arguments: for ``tune.run(experiment)`` and ``tune.run_experiments([...])``.

    Parameters
    ----------
    name
        Name of the experiment.
    run
        A trainable, or the name under which one was registered.
    stop, time_budget_s, config, resources_per_trial, num_samples, storage_path, storage_filesystem, sync_config
        As for :func:`tune_core.run`.
    checkpoint_config, trial_name_creator, trial_dirname_creator, log_to_file, export_formats, max_failures, restore
        As for :func:`tune_core.run`.
    local_dir
        The older name of ``storage_path``.

    Raises
    ------
    InvalidArgumentError
        If ``run`` is no trainable.
    """

    def __init__(
        self,
        name: str,
        run: object,
        *,
        stop: Any = None,
        time_budget_s: object = None,
        config: Mapping[str, object] | None = None,
        resources_per_trial: object = None,
        num_samples: int = 1,
        storage_path: str | None = None,
        storage_filesystem: object = None,
        sync_config: object = None,
        checkpoint_config: object = None,
        trial_name_creator: Callable[[Any], str] | None = None,
        trial_dirname_creator: Callable[[Any], str] | None = None,
        log_to_file: object = False,
        export_formats: Sequence[str] | None = None,
        max_failures: int = 0,
        restore: str | None = None,
        local_dir: str | None = None,
    ) -> None:
        from tune_core.trainable import prepare

        given = dict(locals())
        self.name = name
        self.run = prepare(run)
        self.arguments: dict[str, Any] = {key: given[key] for key in _OF_RUN}
        self.arguments["storage_path"] = storage_path or local_dir

    @classmethod
    def from_json(cls, name: str, spec: Mapping[str, Any]) -> Experiment:
        """An experiment from a dict with ``run`` and the other arguments.

        Raises
        ------
        InvalidArgumentError
            If there is no ``run``, or an argument that there is not.
        """
        arguments = dict(spec)
        if "run" not in arguments:
            raise InvalidArgumentError(
                f"The experiment {name!r}", "has no 'run'", "it names the trainable", 'Add "run": objective.'
            )
        strange = [key for key in arguments if key not in ("run", "local_dir", *_OF_RUN)]
        if strange:
            raise InvalidArgumentError(
                f"The experiment {name!r}",
                f"has {strange[0]!r}",
                "an experiment has no such argument",
                f"Use one of run, local_dir, {', '.join(_OF_RUN)}.",
            )
        return cls(name, arguments.pop("run"), **arguments)

    @property
    def run_identifier(self) -> str:
        """The trainable's name."""
        return name_of(self.run)

    @property
    def spec(self) -> dict[str, Any]:
        """The arguments, with ``run``."""
        return {"run": self.run_identifier, **self.arguments}

    @property
    def public_spec(self) -> dict[str, Any]:
        """What callbacks may use of the arguments."""
        return {key: self.spec[key] for key in ("stop", "num_samples", "time_budget_s")}

    def __repr__(self) -> str:
        return f"Experiment({self.name!r}, {self.run_identifier})"


def experiments_from(experiments: object) -> list[Experiment]:
    """A list of experiments from one, from several, or from a dict of names and specifications."""
    if isinstance(experiments, Experiment):
        return [experiments]
    if isinstance(experiments, Mapping):
        return [Experiment.from_json(name, spec) for name, spec in experiments.items()]
    if isinstance(experiments, Sequence) and all(isinstance(one, Experiment) for one in experiments) and experiments:
        return list(experiments)
    raise InvalidArgumentError(
        "run_experiments(experiments)",
        f"is {experiments!r}",
        "it is an Experiment, a list of them, or a dict of names and specifications",
        'Use e.g. {"my_experiment": {"run": objective, "config": {...}}}.',
    )
