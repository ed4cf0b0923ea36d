"""The one table of import paths: where each name of Ray Tune's modules, and each older path of our own, is found.

:data:`MODULES` has the paths that no file answers to; :data:`ADDED`, names that a module which has a file is known
to have elsewhere; :data:`ABSENT`, what has no counterpart, with the reason and what to use instead. All paths are
below ``tune_core``. :mod:`tune_core.compat.paths` makes imports find them; the migration page and
``tune-core migrate`` read the same table.
"""

from __future__ import annotations

Names = str | dict[str, str]
"""One module known by two paths; or, by home, the names that it lends: ``"A B=other"`` is ``A``, and ``other`` as B."""

_KEYS = "compat.ray_constants"
_DOMAINS = (
    "Categorical Domain Float Function Integer choice lograndint loguniform qlograndint qloguniform qrandint qrandn "
    "quniform randint randn sample_from uniform"
)
_RESULT = (
    "AUTO_RESULT_KEYS CONFIG_PREFIX DEBUG_METRICS DEFAULT_EXPERIMENT_INFO_KEYS DEFAULT_EXPERIMENT_NAME DEFAULT_METRIC "
    "DEFAULT_RESULT_KEYS DONE EPISODES_THIS_ITER EPISODES_TOTAL EPISODE_REWARD_MEAN EXPERIMENT_TAG EXPR_ERROR_FILE "
    "EXPR_ERROR_PICKLE_FILE EXPR_META_FILE EXPR_PARAM_FILE EXPR_PARAM_PICKLE_FILE EXPR_PROGRESS_FILE EXPR_RESULT_FILE "
    "HOSTNAME JOB_META_FILE MEAN_ACCURACY MEAN_LOSS NODE_IP PID RESULT_DUPLICATE SHOULD_CHECKPOINT STDERR_FILE "
    "STDOUT_FILE TIMESTAMP TIMESTEPS_THIS_ITER TIMESTEPS_TOTAL TIME_THIS_ITER_S TIME_TOTAL_S TRAINING_ITERATION "
    "TRIAL_ID TRIAL_INFO"
)
_AIR = (
    "CHECKPOINT_ID_ATTR CHECKPOINT_TUNE_METADATA_FILE EXPR_ERROR_FILE EXPR_ERROR_PICKLE_FILE EXPR_PARAM_FILE "
    "EXPR_PARAM_PICKLE_FILE EXPR_PROGRESS_FILE EXPR_RESULT_FILE MAX_REPR_LENGTH TIMESTAMP TIME_THIS_ITER_S "
    "TRAINING_ITERATION"
)
_RUN = {"config": "FailureConfig RunConfig", "engine.checkpoint_retention": "CheckpointConfig"}
_CALLS = "get_checkpoint get_context report"
_SEARCH_ERRORS = "UNDEFINED_METRIC_MODE UNDEFINED_SEARCH_SPACE UNRESOLVED_SEARCH_SPACE"
_UTIL = (
    "Tee UtilMonitor date_str diagnose_serialization retry_fn validate_save_restore validate_warmstart wait_for_gpu "
    "warn_if_slow"
)
_DICTS = "deep_update flatten_dict merge_dicts unflatten_dict unflatten_list_dict unflattened_lookup"
_REGISTRY = "get_trainable_cls is_function_trainable register_trainable validate_trainable"
_PYTORCH = "TuneCallback=TuneReportCallback TuneReportCallback TuneReportCheckpointCallback"

MODULES: dict[str, Names] = {
    # Older paths of our own.
    "gpu": "trainable.gpu_memory",
    "progress": "display.progress",
    "session": "trainable.session",
    "trial": "core.trial",
    # ray.tune
    "analysis": {
        "results.analysis": "AnalysedTrial ExperimentAnalysis",
    },
    "analysis.experiment_analysis": {
        "results.analysis": "ExperimentAnalysis",
    },
    "constants": {_KEYS: "RAY_TUNE_CALLBACKS_ENV_VAR TUNE_ENV_VARS"},
    "context": {"trainable.session": "TuneContext=TrialContext get_context"},
    "error": {"errors": "TuneError"},
    "execution": {"trainable.resources": "PlacementGroupFactory"},
    "execution.placement_groups": {"trainable.resources": "PlacementGroupFactory resource_dict_to_pg_factory"},
    "experiment": {
        "compat.experiment": "Experiment",
        "engine.trial_facts": "Trial=TrialFacts",
    },
    "experiment.experiment": {"compat.experiment": "Experiment"},
    "experiment.trial": {
        "engine.trial_facts": "Trial=TrialFacts",
        "trainable.export": "ExportFormat",
    },
    "experimental": {},
    "experimental.output": {
        "display.reporter": "ProgressReporter TuneReporterBase",
    },
    "impl": {},
    "impl.config": _RUN,
    "logger.logger": {"callback": "LoggerCallback", "compat.ray_utils": "pretty_print"},
    "progress_reporter": {
        "display.reporter": "ProgressReporter TuneReporterBase",
        "display.progress": "CLIReporter JupyterNotebookReporter",
    },
    "registry": {"trainable.registry": _REGISTRY},
    "resources": "trainable.resources",
    "result": {_KEYS: _RESULT},
    "result_grid": {"results": "Result ResultGrid"},
    "schedulers.async_hyperband": "schedulers.asha",
    "schedulers.hb_bohb": {"schedulers.hyperband": "HyperBandForBOHB"},
    "schedulers.median_stopping_rule": "schedulers.median",
    "schedulers.pb2_utils": {},
    "schedulers.resource_changing_scheduler": "schedulers.resource_changing",
    "schedulers.trial_scheduler": {
        "schedulers.legacy": "TrialScheduler",
        "schedulers.fifo": "FIFOScheduler",
    },
    "schedulers.util": {},
    "search.ax.ax_search": "search.ax",
    "search.bayesopt.bayesopt_search": "search.bayesopt",
    "search.bohb.bohb_search": "search.bohb",
    "search.concurrency_limiter": "search.limiter",
    "search.hebo.hebo_search": "search.hebo",
    "search.hyperopt.hyperopt_search": "search.hyperopt",
    "search.nevergrad.nevergrad_search": "search.nevergrad",
    "search.optuna.optuna_search": "search.optuna",
    "search.sample": {"space": _DOMAINS},
    "search.search_algorithm": {"search.base": "SearchAlgorithm=Searcher"},
    "search.search_generator": {"compat.ray_search": "SearchGenerator"},
    "search.searcher": {"search.base": "Searcher", "search.limiter": "ConcurrencyLimiter"},
    "search.util": {"compat.ray_search": "set_search_properties_backwards_compatible"},
    "search.variant_generator": {
        "space": "grid_search",
        "compat.variants": "RecursiveDependencyError assign_value format_vars generate_variants parse_spec_vars "
        "flatten_resolved_vars has_unresolved_values",
    },
    "search.zoopt.zoopt_search": "search.zoopt",
    "stopper.experiment_plateau": {"stopper": "ExperimentPlateauStopper"},
    "stopper.function_stopper": {"stopper": "FunctionStopper"},
    "stopper.maximum_iteration": {"stopper": "MaximumIterationStopper"},
    "stopper.noop": {"stopper": "NoopStopper"},
    "stopper.stopper": {"stopper": "CombinedStopper Stopper"},
    "stopper.timeout": {"stopper": "TimeoutStopper"},
    "stopper.trial_plateau": {"stopper": "TrialPlateauStopper"},
    "syncer": {"config": "SyncConfig"},
    "trainable.function_trainable": {
        "trainable.function": "FunctionTrainable wrap_function",
    },
    "trainable.trainable": {
        "trainable": "Trainable",
    },
    "trainable.trainable_fn_utils": {
        "trainable.session": "get_checkpoint report",
        "checkpoint": "Checkpoint",
    },
    "trainable.util": {"trainable": "with_parameters with_resources"},
    "tune": {"tune_run": "run run_experiments"},
    "tune_config": {"config": "ResumeConfig TuneConfig"},
    "utils.callback": {"compat.ray_files": "DEFAULT_CALLBACK_CLASSES"},
    "utils.log": {"compat.ray_utils": "Verbosity has_verbosity set_verbosity verbosity"},
    "utils.mock": {},
    "utils.mock_trainable": {
        "compat.mock_trainable": "MOCK_ERROR_KEY MOCK_TRAINABLE_NAME MyTrainableClass register_mock_trainable",
    },
    "utils.serialization": {},
    "utils.util": {"compat.ray_utils": _UTIL, "compat.ray_dicts": _DICTS},
    # ray.air and ray.train, for what tuning needs of them
    "air": {**_RUN, "results": "Result", "compat.scaling": "ScalingConfig", "checkpoint": "Checkpoint"},
    "air.checkpoint": {"checkpoint": "Checkpoint"},
    "air.config": {**_RUN, "compat.scaling": "ScalingConfig"},
    "air.constants": {_KEYS: _AIR},
    "air.integrations": {},
    "air.integrations.comet": {"logger.comet": "CometLoggerCallback"},
    "air.integrations.keras": {"integration.keras": "ReportCheckpointCallback"},
    "air.integrations.mlflow": {"logger.mlflow": "MLflowLoggerCallback setup_mlflow"},
    "air.integrations.wandb": {"logger.wandb": "WandbLoggerCallback setup_wandb"},
    "air.result": {"results": "Result"},
    "air.session": {
        "trainable.session": f"{_CALLS} get_trial_dir get_trial_id get_trial_name get_trial_resources",
        "compat.ray_session": "get_experiment_name get_local_rank get_local_world_size get_node_rank get_world_rank "
        "get_world_size",
    },
    "train": {
        **_RUN,
        "results": "Result",
        "checkpoint": "Checkpoint",
        "config": "FailureConfig RunConfig SyncConfig",
        "trainable.session": f"{_CALLS} TrainContext=TrialContext",
        "compat.scaling": "ScalingConfig",
    },
    "train.context": {"trainable.session": "TrainContext=TrialContext get_context"},
}
"""Paths that have no file."""

INTEGRATIONS = ("tune_keras", "tune_lightning")
"""Homes that are packages beside ``tune_core``."""

CONSTANTS = (_KEYS, "compat.ray_search")
"""Where names in capitals are looked for last, under every path: Ray Tune's modules import them from each other."""

ADDED: dict[str, dict[str, str]] = {
    "callback": {"compat.ray_utils": "CallbackList"},
    "executors.local": {"executors.local.executor": "LocalExecutor"},
    "executors.ray": {"executors.ray.executor": "RayExecutor"},
    "integration.keras": {"tune_keras": "ReportCheckpointCallback=TuneReportCheckpointCallback"},
    "integration.pytorch_lightning": {"tune_lightning": "TuneCallback=TuneReportCallback"},
    "logger": {"compat.ray_utils": "pretty_print"},
    "schedulers": {"compat.ray_search": "SCHEDULER_IMPORT"},
    "schedulers.pbt": {"schedulers.pbt_replay": "PopulationBasedTrainingReplay"},
    "search": {
        "compat.ray_search": f"SEARCH_ALG_IMPORT SearchGenerator {_SEARCH_ERRORS}",
        "search.base": "SearchAlgorithm=Searcher",
        "space": "grid_search",
    },
    "search.bohb": {"compat.ray_search": "BOHB"},
    "trainable": {"trainable.function": "FunctionTrainable wrap_function"},
    "tuner": {"config": "FailureConfig RunConfig TuneConfig", "engine.checkpoint_retention": "CheckpointConfig"},
    "utils": {"compat.ray_utils": _UTIL, "compat.ray_dicts": _DICTS},
}
"""By module that has a file: further names."""

_RUNS = "the run is driven from inside and has no controller to hold; callbacks see it (tune_core.Callback)"
_TRAIN = "Ray Train is a library of its own and stays in Ray: keep importing it from ray.train"
_RLLIB = "RLlib is a library of its own and stays in Ray: keep importing it from ray.tune.registry"
_NODES = "results and checkpoints are brought in by the run itself (RunConfig(storage_path=...))"
_INSIDE = "it is a part of Ray Tune's inside; nothing public returns or takes it"
_LIVE_VIEW = "the live view has another shape: RunConfig(verbose=...), or subclass tune_core.ProgressReporter"
_DRAWS = "a domain draws by itself: tune.uniform(0, 1).sample(size=3, random_state=1)"
_PB2 = "PB2 has a Gaussian process of its own (tune_core.schedulers.pb2)"
_FOR_TESTS = "it serves Ray Tune's own tests; tune_core.testing has conformance suites, tune.simulate injects faults"

ABSENT: dict[str, str] = {
    "air.data_batch_type": _TRAIN,
    "air.execution": _INSIDE,
    "air.util": _TRAIN,
    "air._internal": _INSIDE,
    "air:AcquiredResources": _INSIDE,
    "air:DataBatchType": _TRAIN,
    "air:ResourceRequest": "use tune_core.PlacementGroupFactory",
    "air.session:get_dataset_shard": _TRAIN,
    "automl": "it was removed from Ray as well",
    "cli": "the command is tune-core",
    "execution.class_cache": _INSIDE,
    "execution.cluster_info": _INSIDE,
    "execution.experiment_state": _INSIDE,
    "execution.insufficient_resources_manager": _INSIDE,
    "execution.tune_controller": _RUNS,
    "experiment.config_parser": "the tune-core command has no subcommand that starts trials",
    "experimental.output:AirVerbosity": "use RunConfig(verbose=0 to 3)",
    "experimental.output:TrainReporter": _LIVE_VIEW,
    "experimental.output:TuneTerminalReporter": _LIVE_VIEW,
    "experimental.output:get_air_verbosity": _LIVE_VIEW,
    "impl.out_of_band_serialize_dataset": _INSIDE,
    "impl.placeholder": _INSIDE,
    "impl.test_utils": _FOR_TESTS,
    "impl.tuner_internal": _INSIDE,
    "progress_reporter:RemoteReporterMixin": _LIVE_VIEW,
    "progress_reporter:TrialProgressCallback": "a Callback with on_trial_result can print what it likes",
    "registry:ENV_CREATOR": _RLLIB,
    "registry:register_env": _RLLIB,
    "registry:register_input": _RLLIB,
    "registry:registry_contains_input": _RLLIB,
    "registry:registry_get_input": _RLLIB,
    "trainable.resources:Resources": "use tune_core.PlacementGroupFactory, as Ray Tune's own message says",
    "schedulers.pb2:UCB": _PB2,
    "schedulers.pb2:import_pb2_dependencies": _PB2,
    "schedulers.pb2_utils:TV_SquaredExp": _PB2,
    "schedulers.pb2_utils:UCB": _PB2,
    "schedulers.pb2_utils:normalize": _PB2,
    "schedulers.pb2_utils:optimize_acq": _PB2,
    "schedulers.pb2_utils:select_length": _PB2,
    "schedulers.pb2_utils:standardize": _PB2,
    "search.sample:BaseSampler": _DRAWS,
    "search.sample:Grid": _DRAWS,
    "search.sample:LogUniform": _DRAWS,
    "search.sample:Normal": _DRAWS,
    "search.sample:Quantized": _DRAWS,
    "search.sample:Sampler": _DRAWS,
    "search.sample:Uniform": _DRAWS,
    "search._mock": _FOR_TESTS,
    "tune_core:register_env": _RLLIB,
    "train:BackendConfig": _TRAIN,
    "train:DataConfig": _TRAIN,
    "train:get_dataset_shard": _TRAIN,
    "utils.file_transfer": _NODES,
    "utils.log:disable_ipython": _INSIDE,
    "utils.mock:FailureInjectorCallback": _FOR_TESTS,
    "utils.mock:TrialStatusSnapshot": _FOR_TESTS,
    "utils.mock:TrialStatusSnapshotTaker": _FOR_TESTS,
    "utils.object_cache": _INSIDE,
    "utils.release_test_util": _FOR_TESTS,
    "utils.resource_updater": _INSIDE,
    "utils.serialization:TuneFunctionDecoder": "results are JSON without code in it: json.load",
    "utils.serialization:TuneFunctionEncoder": "results are JSON without code in it: json.dump(..., default=repr)",
}
"""By path, or path and name: why there is no counterpart, and what to use instead."""

OTHERS_OF_TRAIN = _TRAIN
"""Said of every further name that is asked of ``tune_core.train``."""
