"""One call of ``Tuner.fit``: the parts of a run checked and built, run, and torn down."""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tune_core._version import __version__
from tune_core.callback import Callback
from tune_core.config import RunConfig, SyncConfig, TuneConfig
from tune_core.core import events as ev
from tune_core.core.automatic import varied_in
from tune_core.core.constraints import constraints_from
from tune_core.core.environment import flag, seconds
from tune_core.core.user_warnings import warn_user
from tune_core.core.values import Config
from tune_core.display.formatting import printable
from tune_core.engine.asked_stopper import AskedStopper
from tune_core.engine.checkpoint_files import CheckpointFiles
from tune_core.engine.controller import Controller
from tune_core.engine.expected_names import ExpectedNames, misspelt_hooks, misspelt_mutations
from tune_core.engine.loop import Loop
from tune_core.engine.loop_settings import LoopSettings, RunWatcher, Writer
from tune_core.engine.naming import TrialNames
from tune_core.engine.observers import Observers
from tune_core.engine.remote_control import RemoteControl
from tune_core.engine.replay import Replayed, replay
from tune_core.engine.rules import Rules
from tune_core.engine.suggestions import Suggestions
from tune_core.engine.trial_facts import RunFacts
from tune_core.errors import ResourceError, StorageError, TrialError, TuneError, trial_error
from tune_core.executors import executor_from
from tune_core.executors.base import END_GRACE_S, RunSpec
from tune_core.executors.worker import log_setup
from tune_core.fit.agreement import (
    agreed_metric,
    check_kept_checkpoints,
    check_unused,
    describe_searcher,
    fresh_seed,
    set_up_searcher,
)
from tune_core.fit.directory import folder_for, has_begun, keep_setup, refuse_if_begun, refuse_links, sweep_trials
from tune_core.fit.environment import environment
from tune_core.journal import kept_search
from tune_core.journal.kept_index import LEAST_BYTES
from tune_core.journal.kept_search import Moment
from tune_core.journal.lock import LOCK_FILE, Lock
from tune_core.journal.place import Place, is_stored
from tune_core.journal.reader import Reader, damage_text
from tune_core.journal.trial_index import keep_own
from tune_core.journal.writer import TORN_FILE, Journal
from tune_core.schedulers import scheduler_from
from tune_core.schedulers.base import Scheduler
from tune_core.schedulers.fifo import FIFOScheduler
from tune_core.schedulers.legacy import TrialScheduler
from tune_core.search import searcher_from
from tune_core.search.base import Searcher
from tune_core.search.basic_variant import BasicVariantGenerator
from tune_core.search.wrapping import variants_of
from tune_core.space.sampling import varied_names, varies
from tune_core.space.serialization import describe, from_json, to_json
from tune_core.stopper import TimeoutStopper, coerce
from tune_core.storage import default_storage_path
from tune_core.storage.locations import default_storage_variable
from tune_core.storage.objects import redacted
from tune_core.trainable import Prepared, request_of
from tune_core.trainable.resources import PlacementGroupFactory, Request, resources_from

if TYPE_CHECKING:
    from tune_core.fit.stored import StoredExperiment
    from tune_core.journal.mirror import Mirror, MirrorSettings, Unsent
    from tune_core.storage.artifacts import ArtifactRules

_log = logging.getLogger(__name__)
_CLAIMS = 5
"""So often a folder is made and locked, where other drivers of the same name begin and end between the two."""


class ExperimentRun:
    """One call of ``fit``: everything checked and built before the first trial, and torn down after the last."""

    def __init__(
        self,
        prepared: Prepared,
        param_space: Mapping[str, object],
        tune: TuneConfig,
        run: RunConfig,
        folder: str | None,
        restored: Mapping[str, Any] | None,
        stored: StoredExperiment | None = None,
    ) -> None:
        self.prepared = prepared
        self.space = self.given_space = param_space
        self.tune_config = tune
        self.run_config = run
        self.restored = restored
        self.seed = tune.seed if tune.seed is not None else fresh_seed()
        kept = self._copy_setup()
        self.scheduler = scheduler_from(tune.scheduler)
        self.space = dict(self.scheduler.complete_space(param_space))
        self.searcher = searcher_from(tune.search_alg, space=self.space, num_samples=tune.num_samples)
        self.objectives = tune.objectives
        self.constraints = constraints_from(tune.constraints)
        self.metric, self.mode = agreed = agreed_metric(tune, self.scheduler, self.searcher)
        check_kept_checkpoints(run.checkpoint_config, self.metric, self.mode)
        check_unused(self.searcher, "search_alg")
        check_unused(self.scheduler, "scheduler")
        set_up_searcher(self.searcher, self.space, tune, agreed, self.constraints, self.seed)
        self.scheduler.setup(self.metric, self.mode, self.seed, self.space)
        self.executor = executor_from(run.executor)
        self.request = request_of(prepared)
        self.default_resources = self._check_resources()
        self.stop, self.stopper, self.budget = self._stop_rules()
        self.asked_stopper: AskedStopper | None = None
        self.kept = kept
        self.folder = folder or ""
        self.stored = stored  # the experiment in an object store; its folder is only a working one then
        self.mirror: Mirror | None = None
        self.name = run.name or ""
        self.start_from: str | None = None
        self.export_formats: tuple[str, ...] = ()
        self.moved = ""  # where an earlier run of that name was moved to
        self.begun = False  # whether there is a journal to go on from

    # --- checks before the first trial --------------------------------------------------------------------------------

    def _copy_setup(self) -> dict[str, Any]:
        """The configuration as given, before the run changes any of it."""
        setup = {
            "param_space": self.space,
            "tune_config": self.tune_config,
            "run_config": replace(self.run_config, executor=None, storage_filesystem=None),  # that may hold secrets
        }
        for key, part in setup.items():
            try:
                setup[key] = copy.deepcopy(part)
            except Exception as error:  # e.g. an object with a lock: then it is written as it is when the run begins
                _log.debug("%s cannot be copied: %s", key, error)
        return setup

    def _check_resources(self) -> Request | None:
        if callable(self.request) and not isinstance(self.request, PlacementGroupFactory):
            return None
        return resources_from(self.request, {})

    def _refuse_impossible_resources(self) -> None:
        refusal = self.executor.refuse(self.default_resources) if self.default_resources is not None else None
        if refusal is not None:
            raise ResourceError(
                f"A trial of {self.prepared.__name__}",
                refusal,
                "it could never start",
                "Ask for less with tune.with_resources, or run where there is more.",
            )

    def _stop_rules(self) -> tuple[dict[str, float], Any, float | None]:
        """Thresholds for the workers, a stopper for the loop, and the time budget of both kinds."""
        thresholds, stopper = coerce(self.run_config.stop)
        if stopper is not None:
            stopper.begin_run()
        limits = [t for t in (self.tune_config.time_budget_s, getattr(stopper, "timeout_s", None)) if t is not None]
        budget: Any = min(limits, default=None)
        return thresholds, None if isinstance(stopper, TimeoutStopper) else stopper, budget

    # --- the run ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run to the end; what was opened is closed again in the reverse order."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.executor.close, 1.0)
            self.payload = self.executor.pack(self.prepared)
            self._refuse_impossible_resources()
            self._claim_folder()
            stack.callback(lambda: self._lock.release())
            if self.stored is not None:
                stack.callback(self.stored.release)
                if self.restored is not None:
                    self.stored.claim()
            unkept = None
            if self.restored is None:
                refuse_if_begun(self.folder)
                unkept = keep_setup(self.folder, self.kept)
            for part in (self.searcher, self.scheduler):
                part._belongs_to_a_run = True  # type: ignore[union-attr]
            log = Reader(self.folder) if self.restored is not None else None
            self.header = log.header if log is not None else self._header()
            if self.stopper is not None:
                self.asked_stopper = AskedStopper(self.stopper, varied_in(self.header))
            rules = self._rules()
            if log is not None:  # what happened then, happened by the rules of then
                rules = rules.changed(log.header.settings)
            self.scheduler.set_cluster_resources(self.header.settings.get("capacity", {}), self.default_resources)
            self.controller = Controller(rules, self.scheduler)
            suggestions = Suggestions(self.searcher, self._total(), self.executor.wake)
            stack.callback(suggestions.close)
            replayed = None
            if log is not None:
                if self.stored is None and (moment := kept_search.load(self.folder)) is not None:
                    suggestions.go_on_from(moment)
                args = (self.controller, suggestions, self._decode, self.asked_stopper, self._config_at)
                replayed = replay(log.header, itertools.chain.from_iterable(log.read()), *args)
                refuse_links(self.folder, self.controller.trials)
                sweep_trials(self.folder, replayed.recent, self.controller.trials)
                if self.stored is not None:
                    self.stored.sweep(self.controller.trials)
            self.checkpoints = CheckpointFiles(self.folder, self.stored.has_checkpoint if self.stored else None)
            self.writer = Journal(self.folder, log.size_bytes if log is not None else 0, self.checkpoints)
            self.checkpoints.hurry = self.writer.hurry
            stack.callback(self.checkpoints.close)
            if self.stored is None and (log is None or not log.gaps):
                stack.callback(self._keep_derived_files, suggestions)
            stack.callback(self.writer.close)
            self._drive(self.writer, suggestions, log, unkept, replayed)
        self._raise_if_asked()

    def _keep_derived_files(self, suggestions: Suggestions) -> None:
        """What readers of a large journal would make, made here once: they find it beside the journal."""
        size_bytes = self.writer.size_bytes
        if (moment := suggestions.last_moment()) is not None:
            kept_search.keep(self.folder, moment, size_bytes)
        if size_bytes < LEAST_BYTES:
            return
        from tune_core.results import kept_row, kept_trials  # not at the top: nobody needs them before a run is over

        try:
            keep_own(self.writer.path, self.writer.written)
            stamp = kept_row.stamp_of(self.folder)
            if stamp[0] == size_bytes and self.controller.finished is not None:
                state = "interrupted" if self.controller.interrupted else "finished"
                kept_row.keep(self.folder, kept_row.row_of(self.header, self.controller, state), stamp)
                kept_trials.keep(self.folder, self.header, self.controller, stamp, self.controller.notes)
        except (OSError, TuneError) as error:  # readers make them
            _log.debug("What is derived from the journal could not be kept beside it: %s", error)

    def _keep_moment(self, moment: Moment) -> None:
        kept_search.keep(self.folder, moment, self.writer.size_bytes)

    @property
    def place(self) -> Place:
        """Where the experiment is."""
        return Place(self.folder) if self.stored is None else self.stored.place

    def _look_after(self) -> str:
        """Put the folder back if it was deleted under the run; what happened to it."""
        happened = self.writer.heal()
        if happened and not os.path.exists(os.path.join(self.folder, LOCK_FILE)):
            with contextlib.suppress(TuneError):
                self._lock, old = self._lock_folder(), self._lock
                old.release()
                keep_setup(self.folder, self.kept)
        return happened

    def _claim_folder(self) -> None:
        """Lock the experiment's folder; a new one's is made before.

        Another driver of that name may have begun and ended, between the two: then its folder is moved aside.
        """
        if self.folder:
            self._lock = self._lock_folder()
            return
        for _ in range(_CLAIMS):
            self._make_new_folder()
            self._lock = self._lock_folder()
            if self.stored is not None or (self._lock.is_in(self.folder) and not has_begun(self.folder)):
                return
            self._lock.release()
        refuse_if_begun(self.folder)
        raise StorageError(
            f"The folder {self.folder}",
            "was moved or deleted each time that it was locked",
            "several drivers begin experiments of this name at once",
            "Give each a name of its own with RunConfig(name=...).",
        )

    def _lock_folder(self) -> Lock:
        return Lock(self.folder, redacted(self.stored.url) if self.stored is not None else "")

    def _make_new_folder(self) -> None:
        run = self.run_config
        if run.storage_path is not None:
            self._make_folder(run.storage_path)
            return
        try:
            self._make_folder(default_storage_path())
        except StorageError as error:
            variable = default_storage_variable()
            if variable:  # which nobody sees in the script
                named = f"the environment variable {variable} names it, and {error.cause}"
                TuneError.__init__(error, error.asked, error.found, named, f"{error.fix} Or change {variable}.")
            raise

    def _make_folder(self, path: str) -> None:
        run, trainable = self.run_config, self.prepared.__name__
        if is_stored(path, run.storage_filesystem):
            from tune_core.fit.stored import new_stored

            self.stored = new_stored(path, run.storage_filesystem, run.name, trainable)
            self.name, self.folder, self.moved = self.stored.name, self.stored.folder, redacted(self.stored.moved)
        else:
            self.name, self.folder, moved = folder_for(path, run.name, trainable)
            self.moved = moved or self.moved

    def _drive(
        self,
        writer: Journal,
        suggestions: Suggestions,
        log: Reader | None,
        unkept: str | None,
        replayed: Replayed | None,
    ) -> None:
        from tune_core.compat.further_callbacks import further_callbacks

        watcher = self._watcher()
        policies = getattr(self.scheduler, "log_config", False)
        further = further_callbacks(self.run_config.ray_files, self.run_config.log_to_file, policies)
        callbacks = [*(self.run_config.callbacks or ()), *further, *getattr(watcher, "callbacks", ())]
        observers = Observers(callbacks, self.controller.trials, self._facts(), self._notes_to(watcher))
        if hasattr(watcher, "views"):
            watcher.views = observers.views
        log_writer: Writer = writer
        if self.stored is not None:
            from tune_core.journal.mirror import MirroredWriter

            self.mirror = self.stored.mirror(self._mirror_settings())
            log_writer = MirroredWriter(writer, self.mirror, watcher.note)
        self._warn_of_misspelt_names()
        plan = self._plan(replayed.used_s if replayed is not None else 0.0, bool(observers))
        self.loop = loop = Loop(self.controller, self.executor, log_writer, suggestions, observers, watcher, plan)
        ended = ""
        try:
            if log is None or replayed is None:
                writer.append(ev.encode(self.header))
                if unkept is not None:
                    loop.feed(ev.Noted(f"the configuration cannot be kept for a restore: {unkept}"))
            else:
                self._take_up(loop, log, replayed, self._notes_to(watcher))
                if (self.restored or {}).get("num_samples") is not None:
                    suggestions.finished = False
                observers.restore()
            if self._lock.note:
                loop.feed(ev.Noted(self._lock.note))
                watcher.note(f"Watch out: {self._lock.note}.")
            writer.write()
            self.begun = True
            if self.mirror is not None:
                self.mirror.start()
            watcher.start()
            if self.moved:
                watcher.note(f"The earlier run of that name is now in {self.moved}.")
            if why := getattr(self.searcher, "chosen_because", ""):
                watcher.note(f"search_alg='auto' is {describe_searcher(self.searcher)}: {why}.")
            observers.begin(stop=self.stop, num_samples=self.tune_config.num_samples, total_num_samples=self._total())
            loop.run()
            watcher.over()
            observers.end()
            for line in observers.how_to_look():
                watcher.note(line)
        except BaseException as error:
            ended = f"{type(error).__name__}: {error}"
            raise
        finally:
            unsent = self._send_rest(writer, watcher.note)
            watcher.finish(self.controller, ended or self.controller.finished or "", loop.error)
            if unsent is not None:
                warn_user(f"{self.name}: {unsent}")
        if self.mirror is not None:
            self.mirror.check()

    def _mirror_settings(self) -> MirrorSettings:
        from tune_core.fit.stored import KEPT_FILES
        from tune_core.journal.mirror import MirrorSettings

        sync = self._sync_config
        times = sync.mirror_interval_s, sync.upload_queue_bytes, sync.flush_timeout_s
        return MirrorSettings(*times, KEPT_FILES, self._artifact_rules(), self._keeps)

    def _keeps(self, trial: int, name: str) -> bool:
        """Whether a trial keeps the checkpoint of that name."""
        return any(kept.name == name for kept in self.controller.trials[trial].checkpoints or ())

    @property
    def _sync_config(self) -> SyncConfig:
        given = self.run_config.sync_config
        return given if isinstance(given, SyncConfig) else SyncConfig()

    def _artifact_rules(self) -> ArtifactRules | None:
        sync = self._sync_config
        if not sync.sync_artifacts:
            return None
        from tune_core.storage.artifacts import ArtifactRules

        return ArtifactRules(tuple(sync.artifact_patterns), sync.max_artifact_bytes)

    def _send_rest(self, writer: Journal, note: Callable[[str], None]) -> Unsent | None:
        """The run is over: send to the store what is not there yet."""
        if self.mirror is None or not self.begun:
            return None
        with contextlib.suppress(OSError):
            writer.write()
        died = any(trial.worker_losses or trial.failures for trial in self.controller.trials)
        if self.stored is not None and died:  # what it was sending then is named by no result
            stored, trials = self.stored, self.controller.trials
            self.mirror.before_release = lambda: stored.sweep(trials)
        return self.mirror.close(note)

    def _take_up(self, loop: Loop, log: Reader, replayed: Replayed, say: Callable[[str], None]) -> None:
        """Go on where the journal ends, and say what is wrong with it."""
        for decision in replayed.unrecorded:
            loop.record(decision)
        if log.torn_bytes:
            torn = f"the journal's last {log.torn_bytes} bytes were torn and have been cut off (kept in {TORN_FILE})"
            loop.feed(ev.Noted(torn))
            say(f"Going on from the last whole event: {torn}.")
        if log.gaps:
            damage = f"the journal {damage_text(log.gaps, 0, replayed.salvage.skipped)}"
            loop.feed(ev.Noted(f"{damage}; the damaged bytes were left in place"))
            say(f"Watch out: {damage}. The damaged bytes were left in place; events behind them were taken in.")
        settings = self._rules().settings()
        loop.feed(ev.Restored(time.time(), **(self.restored or {}), settings=settings))
        for index in sorted(replayed.salvage.unknown):
            why = "its configuration is lost where the journal is damaged"
            loop.feed(ev.Refused(index, why))

    def _notes_to(self, watcher: RunWatcher) -> Callable[[str], None]:
        """Where what a user must know is said: in the view, or, where there is none, through ``logging``."""
        if self.run_config.verbose == 0:
            return _log.warning
        return watcher.note

    def _config_at(self, index: int) -> Config | None:
        """The configuration of a trial whose suggestion is lost, where the searcher can tell it."""
        if not isinstance(self.searcher, BasicVariantGenerator):
            return None
        config = self.searcher.config_at(index)
        return None if config is None else to_json(config, self.space)

    def _expected(self) -> ExpectedNames:
        """The metrics that results should have, and where they are named."""
        names = dict.fromkeys(self.stop, "RunConfig(stop)")
        score = self.run_config.checkpoint_config and self.run_config.checkpoint_config.checkpoint_score_attribute
        if score:
            names.setdefault(score, "CheckpointConfig(checkpoint_score_attribute)")
        if self.metric:
            names.setdefault(self.metric, "TuneConfig(metric)")
        for one in self.constraints:
            names.setdefault(one.metric, "TuneConfig(constraints)")
        return ExpectedNames(names)

    def _warn_of_misspelt_names(self) -> None:
        """Say at once which parameters and hooks are named almost like others; metrics are known with the results."""
        if self.restored is None:
            for text in misspelt_mutations(getattr(self.scheduler, "hyperparam_mutations", None), self.given_space):
                warn_user(text)
        searcher: Any = self.searcher
        parts: list[tuple[object, type]] = [(callback, Callback) for callback in self.run_config.callbacks or ()]
        parts += [(self.scheduler, Scheduler), (getattr(self.scheduler, "scheduler", None), TrialScheduler)]
        while searcher is not None:
            parts.append((searcher, Searcher))
            searcher = getattr(searcher, "searcher", None)
        for text in dict.fromkeys(text for part, base in parts for text in misspelt_hooks(part, base)):
            warn_user(text)

    def _plan(self, used_s: float, has_callbacks: bool) -> LoopSettings:
        tune = self.tune_config
        settings = LoopSettings(
            self._spec(has_callbacks),
            resources=self._resources_of if self.default_resources is None else None,
            default_resources=self.default_resources,
            encode_config=lambda config: to_json(config, self.space),
            stopper=self.asked_stopper,
            names=TrialNames(self._facts(), tune.trial_name_creator, tune.trial_dirname_creator),
            time_budget_s=self.budget,
            used_s=used_s,
            mirror=self.mirror,
            end_grace_s=end_grace_s(self.run_config),
            checkpoints=self.checkpoints,
            look_after=self._look_after,
            expected=self._expected(),
            keep_moment=self._keep_moment if self.stored is None else None,
            control=RemoteControl(self.folder) if self.run_config.control else None,
            total=self._total(),
        )
        return settings

    def _raise_if_asked(self) -> None:
        if self.loop.error:
            raise TrialError(printable(self.loop.error))
        failure = self.run_config.failure_config
        if failure is not None and failure.fail_fast == "raise":
            for trial in self.controller.trials:
                if trial.error is not None and trial.status == "ERROR":
                    raised = ev.error_line(trial.error).partition(":")[0]
                    raise trial_error(raised, f"Trial {trial.trial_id}", f"failed:\n{printable(trial.error)}")

    # --- parts --------------------------------------------------------------------------------------------------------

    def _rules(self) -> Rules:
        failure = self.run_config.failure_config
        limit = self.tune_config.max_concurrent_trials
        rules = Rules(self.metric, self.mode, max_concurrent=limit, stop=self.stop, constraints=self.constraints)
        if failure is not None:
            rules = replace(
                rules,
                max_failures=failure.max_failures,
                fail_fast=bool(failure.fail_fast),
                max_losses=failure.max_worker_losses,
            )
        if self.run_config.checkpoint_config is not None:
            rules = replace(rules, checkpoints=self.run_config.checkpoint_config)
        return rules

    def _header(self) -> ev.Header:
        return ev.Header(
            version=__version__,
            name=self.name,
            seed=self.seed,
            at=time.time(),
            trainable=self.prepared.__name__,
            metric=self.metric,
            mode=self.mode,
            num_samples=self.tune_config.num_samples,
            scheduler=self.scheduler.describe(),
            searcher=describe_searcher(self.searcher),
            space=describe(self.space),
            time_attr=self.scheduler.time_attr,
            objectives=self.objectives,
            constraints=[(one.metric, one.relation, one.bound) for one in self.constraints],
            settings={
                **self._rules().settings(),
                "capacity": self._capacity(),
                "varied": self._varied(),
                "environment": environment(),
            },
        )

    def _facts(self) -> RunFacts:
        return RunFacts(self.folder, self.prepared.__name__, varied_in(self.header))

    def _varied(self) -> list[str] | None:
        """Names of what the search space varies; None if the searcher may add names of its own."""
        return varied_names(self.space) if varies(self.space) or type(self.searcher) is BasicVariantGenerator else None

    def _capacity(self) -> dict[str, float]:
        """What the executor has to share out, as far as it knows."""
        capacity = getattr(self.executor, "capacity", None)
        return dict(capacity()) if capacity is not None else {}

    def _spec(self, has_callbacks: bool) -> RunSpec:
        """What workers need to know. Callbacks may write to the folder of a trial that has ended."""
        checkpoints = self.run_config.checkpoint_config
        wanted = dict.fromkeys([self.metric] if self.metric else [])
        return RunSpec(
            name=self.name,
            folder=self.folder,
            payload=self.payload,
            time_attr=self.scheduler.time_attr,
            stop=self.stop,
            metrics=() if flag("TUNE_DISABLE_STRICT_METRIC_CHECKING") else tuple(wanted),
            lease_metrics=tuple(wanted) if self.scheduler.needs_metric else (),
            saves_at_lease_end=self.scheduler.saves_at_lease_end,
            checkpoint_frequency=checkpoints.checkpoint_frequency if checkpoints else 0,
            checkpoint_at_end=bool(checkpoints and checkpoints.checkpoint_at_end),
            trial_timeout_s=self.tune_config.trial_timeout_s,
            reuse=self.tune_config.reuse_actors is not False,
            reuse_objects=self.tune_config.reuse_actors is True,
            logging=log_setup.capture(),
            chdir=self.tune_config.chdir_to_trial_dir and os.environ.get("RAY_CHDIR_TO_TRIAL_DIR") != "0",
            hands_on_folders=not has_callbacks and self.stored is None and self.tune_config.reuse_actors is not True,
            env=dict(self.run_config.env),
            needs_every_result=self.stopper is not None,
            independent=self.searcher.stateless and type(self.scheduler) is FIFOScheduler and self.stopper is None,
            trainable_name=self.prepared.__name__,
            store=None if self.stored is None else self.stored.access(self.executor.name),
            artifacts=self._artifact_rules(),
            start_from=self.start_from,
            export_formats=self.export_formats,
        )

    def _resources_of(self, config: Config) -> Request:
        return resources_from(self.request, config)

    def _decode(self, index: int, config: Config) -> Config:
        def again() -> Config | None:
            return self.searcher.config_at(index) if isinstance(self.searcher, BasicVariantGenerator) else None

        return from_json(config, self.space, again)

    def _total(self) -> int | None:
        """How many trials there will be; None without an end."""
        total = variants_of(self.searcher)
        if total is not None:
            return total
        return self.tune_config.num_samples if self.tune_config.num_samples != -1 else None

    def _watcher(self) -> RunWatcher:
        from tune_core.display.progress import Progress, watcher_for

        verbose = self.run_config.verbose if self.run_config.verbose is not None else 1
        facts = (verbose, self._total(), self.metric, self.mode, self.name, self.place.path)
        reporter = self.run_config.progress_reporter
        watcher = Progress(*facts) if reporter is None else watcher_for(reporter)
        if hasattr(watcher, "bind"):
            watcher.bind(*facts, in_process=self.executor.name == "inline")
        return watcher


def end_grace_s(config: RunConfig) -> float:
    """How long trials may take to end: as configured, else as Ray Tune's environment variable says, else 600 s."""
    given = getattr(config, "end_grace_s", None)  # those pickled by an older version have none
    return float(given) if given is not None else seconds("TUNE_FORCE_TRIAL_CLEANUP_S", END_GRACE_S) or math.inf
