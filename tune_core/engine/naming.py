"""Names of trials and of their folders, as ``trial_name_creator`` and ``trial_dirname_creator`` say.

A trial's folder is always reached as ``trial_00003``; where it has a name of its own, that is the folder and
``trial_00003`` a link to it, so that whoever knows a trial's index finds it without asking anybody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tune_core.core.paths import trial_folder
from tune_core.core.trial import Trial
from tune_core.core.values import Config
from tune_core.engine.observers import TrialOfExperiment
from tune_core.engine.trial_facts import RunFacts
from tune_core.errors import UserCodeError

_LONGEST = 255  # bytes of a name in most file systems
_USUAL = re.compile(r"trial_\d{5,}")


@dataclass(frozen=True)
class TrialNames:
    """Asks the user's functions for a new trial's name and folder.

    Parameters
    ----------
    facts
        The run's.
    name_creator, folder_creator
        Functions of a trial that return a name; None keeps the usual one.
    """

    facts: RunFacts
    name_creator: Callable[[Any], Any] | None = None
    folder_creator: Callable[[Any], Any] | None = None

    def __bool__(self) -> bool:
        return self.name_creator is not None or self.folder_creator is not None

    def __call__(self, index: int, config: Config, resources: Mapping[str, float] | None) -> tuple[str, str]:
        """The names of a trial and of its folder, which is made; empty where nothing was asked for.

        Raises
        ------
        UserCodeError
            If a function raises, or its answer cannot be a name, or is another trial's.
        """
        trial = Trial(index, config, resources)
        trial.name = self._ask("trial_name_creator", self.name_creator, trial)
        trial.folder = self._ask("trial_dirname_creator", self.folder_creator, trial)
        if trial.folder:
            self._make(trial)
        return trial.name, trial.folder

    def _ask(self, asked: str, creator: Callable[[Any], Any] | None, trial: Trial) -> str:
        if creator is None:
            return ""
        try:
            answer = creator(TrialOfExperiment(trial, self.facts))
        except Exception as error:
            raise UserCodeError(
                f"TuneConfig({asked})",
                f"raised {type(error).__name__}: {error}",
                f"it was called for trial {trial.trial_id} with the configuration {trial.config!r}",
                "Make it return a name for every trial.",
            ) from error
        is_name = isinstance(answer, str) and answer not in ("", ".", "..") and not {"/", "\0"}.intersection(answer)
        if not is_name or len(answer.encode(errors="replace")) > _LONGEST:
            raise UserCodeError(
                f"TuneConfig({asked})",
                f"returned {answer!r}",
                f"a name is a string without slashes, of at most {_LONGEST} bytes",
                'Return e.g. f"{trial.trainable_name}_{trial.trial_id}".',
            )
        return str(answer)

    def _make(self, trial: Trial) -> None:
        folder = os.path.join(self.facts.folder, trial.folder)
        link = trial_folder(self.facts.folder, trial.index)
        if folder == link:  # the usual name
            trial.folder = ""
            return
        is_taken = _USUAL.fullmatch(trial.folder) is not None
        try:
            if not is_taken:
                os.mkdir(folder)
        except FileExistsError:  # it may be its own, made just before the driver was killed
            is_own = os.path.islink(link) and os.readlink(link) == trial.folder
            is_free = os.path.isdir(folder) and not os.listdir(folder) and not self._has_link_to(trial.folder)
            is_taken = not is_own and not is_free
        if is_taken:
            raise UserCodeError(
                "TuneConfig(trial_dirname_creator)",
                f"returned {trial.folder!r} for trial {trial.trial_id}",
                "another trial or file has that name",
                "Put the trial's id into it: f'..._{trial.trial_id}'.",
            )
        if not os.path.islink(link):
            os.symlink(trial.folder, link)

    def _has_link_to(self, name: str) -> bool:
        """Whether a trial's usual name leads to a folder of that name."""
        with os.scandir(self.facts.folder) as entries:
            return any(entry.is_symlink() and os.readlink(entry.path) == name for entry in entries)
