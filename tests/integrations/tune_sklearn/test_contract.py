"""scikit-learn's contract for searches, line by line of its checklist."""

from __future__ import annotations

import copy
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn
from scipy import sparse
from scipy.stats import loguniform
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ParameterSampler,
    RandomizedSearchCV,
    cross_val_score,
)
from sklearn.neighbors import KernelDensity, KNeighborsClassifier, LocalOutlierFactor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from integrations.tune_sklearn.helpers import Fragile, assert_same_results
from tune_core.errors import InvalidArgumentError, NoExperimentError
from tune_sklearn import TuneGridSearchCV, TuneSearchCV

NEWEST = tuple(int(part) for part in sklearn.__version__.split(".")[:2])

CHECKED = [
    TuneSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, n_trials=2, cv=2),
    TuneSearchCV(Ridge(), {"alpha": loguniform(0.1, 1)}, n_iter=2, cv=2, random_state=0),
    TuneSearchCV(DecisionTreeClassifier(), {"max_depth": [2, 3]}, n_trials=2, cv=2, refit=True),
    TuneSearchCV(make_pipeline(StandardScaler(), LinearSVC()), {"linearsvc__C": [1, 2]}, n_trials=2, cv=2),
    TuneSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, n_trials=2, cv=3, early_stopping=True, resource="folds"),
    TuneGridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
    TuneGridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2),
    TuneGridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 2]}, cv=2),
    TuneGridSearchCV(make_pipeline(StandardScaler(), LinearSVC()), {"linearsvc__C": [1, 2]}, cv=2),
    TuneGridSearchCV(SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-3]}, cv=2, early_stopping=True, max_iters=2),
]

pd = pytest.importorskip("pandas")


@pytest.mark.skipif(NEWEST < (1, 6), reason="check_estimator returns its verdicts since scikit-learn 1.6")
@pytest.mark.parametrize("search", CHECKED, ids=lambda s: f"{type(s).__name__}-{type(s.estimator).__name__}")
def test_check_estimator_passes_all_that_scikit_learns_own_search_passes(search):
    theirs = GridSearchCV(
        search.estimator, {next(iter(getattr(search, "param_distributions", None) or search.param_grid)): [1]}, cv=2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        failed = {
            r["check_name"]: r["exception"] for r in check_estimator(search, on_fail=None) if r["status"] == "failed"
        }
        for name in failed:
            excused = [r for r in check_estimator(theirs, on_fail=None) if r["check_name"] == name]
            assert excused and excused[0]["status"] == "failed", (name, failed[name])


# --- the constructor --------------------------------------------------------------------------------------------------


def test_constructor_only_stores_and_clone_is_exact():
    space = [{"C": loguniform(1e-3, 1)}, {"C": [1, 2]}]
    search = TuneSearchCV(SVC(), space, n_trials=0, n_jobs=None, mode=None, max_iters=7, early_stopping="no such thing")
    params = search.get_params(deep=False)
    assert params["param_distributions"] is space
    assert (params["n_trials"], params["n_jobs"], params["mode"], params["max_iters"]) == (0, None, None, 7)
    assert clone(search).get_params(deep=False).keys() == params.keys()
    assert search.set_params(estimator__C=3).estimator.C == 3


def test_arguments_are_validated_in_fit(iris):
    for bad in ({"n_trials": 0}, {"max_iters": 0}, {"refit": 3.5}, {"mode": "up"}, {"factor": 1}, {"n_jobs": "many"}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            TuneSearchCV(SVC(), {"C": [1, 2]}, **bad).fit(*iris)
    with pytest.raises(ValueError, match=r"empty|non-empty|Parameter grid"):
        TuneGridSearchCV(SVC(), {"C": []}).fit(*iris)
    with pytest.raises(ValueError, match="Invalid parameter"):
        TuneGridSearchCV(SVC(), {"no_such": [1]}, error_score="raise").fit(*iris)


def test_plain_repr_prints_only_what_differs_from_defaults():
    assert repr(TuneGridSearchCV(SVC(), {"C": [1]})) == "TuneGridSearchCV(estimator=SVC(), param_grid={'C': [1]})"


# --- methods and attributes -------------------------------------------------------------------------------------------

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")


@pytest.mark.parametrize(
    "inner", [LogisticRegression(), SVC(), KMeans(2), KernelDensity()], ids=lambda e: type(e).__name__
)
def test_methods_before_fit_are_those_of_the_inner_estimator(inner):
    search = TuneSearchCV(inner, {"tol": [1e-3]})
    assert [hasattr(search, m) for m in METHODS] == [hasattr(inner, m) for m in METHODS]


def test_methods_after_fit_delegate_to_the_best_estimator(iris):
    X, y = iris
    search = TuneGridSearchCV(LogisticRegression(max_iter=200), {"C": [0.1, 1]}, cv=2).fit(X, y)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(search, method)(X), getattr(search.best_estimator_, method)(X))
    assert search.score(X, y) == search.best_estimator_.score(X, y)
    assert list(search.classes_) == [0, 1, 2] and search.n_features_in_ == 4


def test_refit_false_leaves_no_methods_and_says_so(iris):
    search = TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, refit=False).fit(*iris)
    for method in ("predict", "score"):
        with pytest.raises(AttributeError) as caught:
            getattr(search, method)(iris[0])
        assert "refit=False" in f"{caught.value} {caught.value.__cause__}"
    assert not hasattr(search, "best_estimator_") and not hasattr(search, "n_features_in_")
    assert search.best_index_ in (0, 1) and search.best_params_ == search.cv_results_["params"][search.best_index_]


def test_unfitted_search_says_that_it_is_not_fitted(iris):
    search = TuneSearchCV(SVC(), {"C": [1, 2]})
    with pytest.raises(NotFittedError):
        search.predict(iris[0])
    assert not hasattr(search, "n_features_in_") and not hasattr(search, "classes_")


def test_attributes_are_scikit_learns(iris):
    search = TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=3).fit(*iris)
    theirs = GridSearchCV(SVC(), {"C": [1, 2]}, cv=3).fit(*iris)
    public = {name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")}
    assert public <= set(vars(search))
    assert callable(search.scorer_) and search.multimetric_ is False and search.n_splits_ == 3
    assert search.refit_time_ > 0 and search.best_score_ == theirs.best_score_
    assert not [name for name, value in vars(search).items() if "lock" in repr(type(value)).lower()]


def test_feature_names_come_from_the_best_estimator(iris):
    frame = pd.DataFrame(iris[0], columns=list("abcd"))
    search = TuneGridSearchCV(LinearSVC(), {"C": [1, 2]}, cv=2).fit(frame, iris[1])
    assert list(search.feature_names_in_) == list("abcd")


# --- cv_results_ ------------------------------------------------------------------------------------------------------


def test_columns_have_scikit_learns_order_and_types(iris):
    grid = [{"kernel": ["rbf"], "gamma": [0.1, 1.0]}, {"kernel": ["poly"], "degree": [2, 3]}]
    ours = TuneGridSearchCV(SVC(), grid, cv=2, return_train_score=True).fit(*iris)
    theirs = GridSearchCV(SVC(), grid, cv=2, return_train_score=True).fit(*iris)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    assert list(ours.cv_results_) == list(theirs.cv_results_)  # no column more
    assert ours.cv_results_["rank_test_score"].dtype == np.int32
    assert ours.cv_results_["param_gamma"].mask.tolist() == [False, False, True, True]


def test_parameters_of_any_kind_stay_as_they_are(iris):
    grid = {"scale": [StandardScaler(), "passthrough"], "svc__C": [np.float64(1.0)], "svc__gamma": ["scale"]}
    pipe = Pipeline([("scale", None), ("svc", SVC())])
    search = TuneGridSearchCV(pipe, grid, cv=2).fit(*iris)
    column = search.cv_results_["param_scale"]
    assert column.dtype == object and isinstance(column[0], StandardScaler) and not hasattr(column[0], "mean_")
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    tuples = TuneGridSearchCV(DummyClassifier(), {"constant": [(1, 2)], "strategy": ["prior"]}, cv=2).fit(*iris)
    assert tuples.cv_results_["param_constant"][0] == (1, 2)


# --- failing fits -----------------------------------------------------------------------------------------------------


def test_error_score_raise_propagates_the_estimators_own_error(iris):
    with pytest.raises(ArithmeticError, match="cannot be fitted"):
        TuneGridSearchCV(Fragile(), {"fails": [False, True]}, cv=2, error_score="raise").fit(*iris)


def test_failing_fits_get_the_error_score_and_a_warning_with_counts(iris):
    search = TuneGridSearchCV(Fragile(), {"fails": [False, True]}, cv=2, error_score=-1)
    with pytest.warns(FitFailedWarning, match=r"(?s)2 fits failed out of a total of 4.*ArithmeticError"):
        search.fit(*iris)
    assert search.cv_results_["mean_test_score"][1] == -1 and search.best_params_ == {"fails": False}


def test_nan_scores_rank_last_and_are_warned_of(iris):
    search = TuneGridSearchCV(Fragile(), {"fails": [True, False]}, cv=2)
    with pytest.warns(UserWarning, match="non-finite"):
        search.fit(*iris)
    assert search.cv_results_["rank_test_score"].tolist() == [2, 1]


def test_all_fits_failing_is_an_error(iris):
    with pytest.raises(ValueError, match="All the 4 fits failed"):
        TuneGridSearchCV(Fragile(), {"fails": [True], "C": [1, 2]}, cv=2).fit(*iris)


def test_failing_scorer_gives_the_error_score_or_raises(iris):
    def sometimes(estimator, X, y):
        if estimator.C > 1:
            raise RuntimeError("no score")
        return 0.5

    with pytest.warns(UserWarning, match="Scoring failed"):
        search = TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, scoring=sometimes).fit(*iris)
    assert np.isnan(search.cv_results_["mean_test_score"][1])
    with pytest.raises(RuntimeError, match="no score"):
        TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, scoring=sometimes, error_score="raise").fit(*iris)
    with pytest.raises(ValueError, match="scoring must return a number"):
        TuneGridSearchCV(SVC(), {"C": [1]}, cv=2, scoring=lambda e, X, y: "high").fit(*iris)


def test_failing_refit_raises(iris):
    class OnlySmall(SVC):
        def fit(self, X, y, sample_weight=None):
            if len(X) == 150:
                raise ArithmeticError("too many rows")
            return super().fit(X, y, sample_weight)

    with pytest.raises(ArithmeticError, match="too many rows"):
        TuneGridSearchCV(OnlySmall(), {"C": [1]}, cv=2).fit(*iris)


# --- refit and scoring ------------------------------------------------------------------------------------------------


def test_refit_by_a_callable_and_its_errors(iris):
    search = TuneGridSearchCV(SVC(), {"C": [1, 2, 3]}, cv=2, refit=lambda results: 2).fit(*iris)
    assert search.best_index_ == 2 and search.best_params_ == {"C": 3} and not hasattr(search, "best_score_")
    with pytest.raises(TypeError, match="integer"):
        TuneGridSearchCV(SVC(), {"C": [1]}, cv=2, refit=lambda results: 0.5).fit(*iris)
    with pytest.raises(IndexError, match="out of range"):
        TuneGridSearchCV(SVC(), {"C": [1]}, cv=2, refit=lambda results: 9).fit(*iris)


@pytest.mark.parametrize(
    "scoring",
    [
        ["accuracy", "f1_macro"],
        ("accuracy", "f1_macro"),
        {"accuracy": "accuracy", "f1_macro": make_scorer(accuracy_score)},
        lambda e, X, y: {"accuracy": e.score(X, y), "f1_macro": 1.0},
    ],
    ids=["list", "tuple", "dict", "callable"],
)
def test_several_metrics_need_a_name_to_refit_by(iris, scoring):
    arguments = {"cv": 2, "scoring": scoring, "return_train_score": True}
    search = TuneGridSearchCV(SVC(), {"C": [1, 2]}, refit="accuracy", **arguments).fit(*iris)
    theirs = GridSearchCV(SVC(), {"C": [1, 2]}, refit="accuracy", **arguments).fit(*iris)
    assert_same_results(search.cv_results_, theirs.cv_results_)
    assert search.multimetric_ and isinstance(search.scorer_, dict) is isinstance(theirs.scorer_, dict)
    assert search.score(*iris) == theirs.score(*iris)
    assert TuneGridSearchCV(SVC(), {"C": [1]}, refit=False, **arguments).fit(*iris).multimetric_
    for bad in (True, "recall"):
        with pytest.raises(ValueError, match="refit"):
            TuneGridSearchCV(SVC(), {"C": [1]}, refit=bad, **arguments).fit(*iris)


@pytest.mark.parametrize("scoring", [None, "accuracy", make_scorer(accuracy_score)])
def test_single_metric_scoring_of_each_form(iris, scoring):
    search = TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, scoring=scoring).fit(*iris)
    assert callable(search.scorer_) and not search.multimetric_
    assert search.score(*iris) == accuracy_score(iris[1], search.predict(iris[0]))


def test_estimator_without_score_needs_scoring(iris):
    class Scoreless(KernelDensity):
        score = property()

    with pytest.raises(TypeError, match="score"):
        TuneGridSearchCV(Scoreless(), {"bandwidth": [1]}).fit(*iris)


def test_no_target_for_clusters_densities_and_outliers(iris):
    X, _ = iris
    clusters = TuneSearchCV(KMeans(random_state=0, n_init=1), {"n_clusters": [2, 3]}, n_trials=2, cv=2).fit(X)
    assert clusters.transform(X).shape[0] == 150
    density = TuneGridSearchCV(KernelDensity(), {"bandwidth": [0.1, 1.0]}, cv=2).fit(X)
    assert density.score_samples(X).shape == (150,)
    outliers = TuneGridSearchCV(
        LocalOutlierFactor(novelty=True), {"n_neighbors": [3, 5]}, cv=2, scoring=lambda e, X, y=None: e.n_neighbors
    ).fit(X)
    assert outliers.best_params_ == {"n_neighbors": 5}


# --- splits and inputs ------------------------------------------------------------------------------------------------


def test_splits_from_an_iterable_are_used_up_once_and_shared(iris):
    splits = KFold(3, shuffle=True, random_state=1).split(*iris)
    ours = TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=splits).fit(*iris)
    theirs = GridSearchCV(SVC(), {"C": [1, 2]}, cv=KFold(3, shuffle=True, random_state=1)).fit(*iris)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_wrong_number_of_splits_is_an_error(iris):
    class Broken(KFold):
        def split(self, X, y=None, groups=None):
            return list(super().split(X, y, groups))[:-1]

    with pytest.raises(ValueError, match="inconsistent"):
        TuneGridSearchCV(SVC(), {"C": [1]}, cv=Broken(3)).fit(*iris)


def test_groups_reach_the_splitter(iris):
    X, y = iris
    groups = np.arange(150) % 5
    ours = TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=GroupKFold(5)).fit(X, y, groups=groups)
    theirs = GridSearchCV(SVC(), {"C": [1, 2]}, cv=GroupKFold(5)).fit(X, y, groups=groups)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    with pytest.raises(ValueError, match="groups"):
        TuneGridSearchCV(SVC(), {"C": [1]}, cv=GroupKFold(5)).fit(X, y)


def test_no_candidates_is_an_error(iris):
    class Nothing(TuneGridSearchCV):
        def _run_search(self, evaluate_candidates):
            evaluate_candidates([])

    with pytest.raises(ValueError, match="No fits were performed"):
        Nothing(SVC(), {"C": [1]}).fit(*iris)


def test_inputs_of_many_kinds(iris):
    X, y = iris
    grid = {"C": [1, 2]}
    expected = GridSearchCV(SVC(), grid, cv=3).fit(X, y).cv_results_
    for data, target in (
        (X.tolist(), y.tolist()),
        (pd.DataFrame(X), pd.Series(y)),
        (sparse.csr_matrix(X), y),
    ):
        ours = TuneGridSearchCV(SVC(), grid, cv=3).fit(data, target)
        theirs = GridSearchCV(SVC(), grid, cv=3).fit(data, target)
        assert_same_results(ours.cv_results_, theirs.cv_results_)
    kernel = TuneGridSearchCV(SVC(kernel="precomputed"), grid, cv=3).fit(X @ X.T, y)
    theirs = GridSearchCV(SVC(kernel="precomputed"), grid, cv=3).fit(X @ X.T, y)
    assert_same_results(kernel.cv_results_, theirs.cv_results_)
    assert len(expected["params"]) == 2
    two_targets = TuneGridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=3).fit(X, np.c_[y, y])
    assert two_targets.predict(X).shape == (150, 2)


def test_data_of_three_and_four_dimensions():
    class Flat(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            assert X.ndim > 2
            return super().fit(X.reshape(len(X), -1), y)

        def score(self, X, y, sample_weight=None):
            return super().score(X.reshape(len(X), -1), y)

    for shape in ((12, 3, 2), (12, 3, 2, 2)):
        search = TuneGridSearchCV(Flat(), {"strategy": ["prior", "uniform"]}, cv=2)
        search.fit(np.zeros(shape), np.arange(12) % 2)
        assert search.best_index_ in (0, 1)


# --- weights and routing ----------------------------------------------------------------------------------------------


def test_sample_weight_is_split_and_reaches_fit_and_scorers(binary):
    X, y = binary
    weights = np.random.RandomState(0).randint(1, 4, len(X)).astype(float)
    ours = TuneGridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=3).fit(X, y, sample_weight=weights)
    theirs = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=3).fit(X, y, sample_weight=weights)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    np.testing.assert_array_equal(ours.best_estimator_.coef_, theirs.best_estimator_.coef_)


def test_unrequested_metadata_raises_and_requested_is_routed(binary):
    X, y = binary
    weights = np.linspace(0.1, 1, len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(ValueError, match="sample_weight"):
            TuneGridSearchCV(LogisticRegression(), {"C": [1]}, cv=2).fit(X, y, sample_weight=weights)
        inner = LogisticRegression().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        ours = TuneGridSearchCV(inner, {"C": [0.1, 1]}, cv=2).fit(X, y, sample_weight=weights)
        theirs = GridSearchCV(inner, {"C": [0.1, 1]}, cv=2).fit(X, y, sample_weight=weights)
        assert_same_results(ours.cv_results_, theirs.cv_results_)
        ours.score(X, y, sample_weight=weights)
        router = ours.get_metadata_routing()
        assert set(router._route_mappings) == {"estimator", "scorer", "splitter"}
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        ours.score(X, y, sample_weight=weights)


@pytest.mark.skipif(NEWEST < (1, 6), reason="tags are objects since scikit-learn 1.6")
def test_tags_are_the_inner_estimators():
    from sklearn.utils import get_tags

    for inner in (SVC(kernel="precomputed"), LinearRegression(), KMeans()):
        ours = get_tags(TuneSearchCV(inner, {"C": [1]}))
        theirs = get_tags(RandomizedSearchCV(inner, {"C": [1]}))
        assert ours == theirs
    assert is_classifier(TuneSearchCV(SVC(), {})) and is_regressor(TuneSearchCV(Ridge(), {}))


def test_html_shows_the_best_estimator_once_fitted(iris):
    ours, theirs = TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2), GridSearchCV(SVC(), {"C": [1, 2]}, cv=2)
    assert "best_estimator_" not in ours._repr_html_()
    shown = "best_estimator_" in theirs.fit(*iris)._repr_html_()
    assert shown or NEWEST < (1, 6)
    assert ("best_estimator_" in ours.fit(*iris)._repr_html_()) is shown


# --- nesting and copying ----------------------------------------------------------------------------------------------


def test_nested_in_cross_val_score_in_a_pipeline_and_in_another_search(iris):
    inner = TuneGridSearchCV(SVC(), {"C": [0.01, 1]}, cv=2)
    theirs = GridSearchCV(SVC(), {"C": [0.01, 1]}, cv=2)
    np.testing.assert_array_equal(cross_val_score(inner, *iris), cross_val_score(theirs, *iris))
    pipe = make_pipeline(StandardScaler(), inner).fit(*iris)
    assert pipe.score(*iris) > 0.9
    outer = TuneGridSearchCV(inner, {"estimator__gamma": ["scale", 10.0]}, cv=2).fit(*iris)
    assert outer.best_params_ == {"estimator__gamma": "scale"}


@pytest.mark.parametrize("early_stopping", [None, True])
def test_pickled_cloned_and_copied_before_and_after_fit(iris, early_stopping):
    search = TuneSearchCV(SVC(), {"C": [0.1, 1, 10]}, n_trials=3, cv=2, random_state=0, early_stopping=early_stopping)
    before = pickle.loads(pickle.dumps(search)).fit(*iris)
    copy.deepcopy(search).fit(*iris)
    search.fit(*iris)
    for same in (pickle.loads(pickle.dumps(search)), copy.deepcopy(search), before):
        np.testing.assert_array_equal(same.predict(iris[0]), search.predict(iris[0]))
        assert same.best_params_ == search.best_params_ and len(same.results_) == len(search.results_)
    assert not hasattr(clone(search), "best_estimator_")


# --- sampling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 7, np.random.RandomState(3)], ids=["0", "7", "RandomState"])
def test_candidates_are_those_of_parameter_sampler(iris, seed):
    space = {"C": loguniform(1e-3, 1e3), "kernel": ["rbf", "linear"]}
    state = copy.deepcopy(seed)
    search = TuneSearchCV(SVC(), space, n_iter=6, cv=2, random_state=seed).fit(*iris)
    assert search.cv_results_["params"] == list(ParameterSampler(space, 6, random_state=state))


def test_lists_are_sampled_without_replacement_and_too_many_trials_are_warned_of(iris):
    search = TuneSearchCV(SVC(), {"C": [1, 2, 3]}, n_trials=9, cv=2, random_state=0)
    with pytest.warns(UserWarning, match="smaller than n_iter=9"):
        search.fit(*iris)
    assert sorted(p["C"] for p in search.cv_results_["params"]) == [1, 2, 3]
    assert search.n_trials == 9


# --- extension points -------------------------------------------------------------------------------------------------


def test_subclass_may_evaluate_candidates_in_several_rounds(iris):
    class Twice(TuneSearchCV):
        def _run_search(self, evaluate_candidates):
            results = evaluate_candidates([{"C": 1}, {"C": 2}], more_results={"round": [1, 1]})
            evaluate_candidates([{"C": 2 * max(results["param_C"])}], more_results={"round": [2]})

    search = Twice(SVC(), {}, cv=2).fit(*iris)
    assert [p["C"] for p in search.cv_results_["params"]] == [1, 2, 4]
    assert search.cv_results_["round"].tolist() == [1, 1, 2]


@pytest.mark.skipif(NEWEST < (1, 9), reason="scikit-learn has callbacks since 1.9")
def test_callbacks_are_told_of_each_fit_and_of_the_refit(iris):
    events = []

    class Listener:
        max_propagation_depth = 0

        def setup(self, estimator, context):
            events.append("setup")

        def teardown(self, estimator, context):
            events.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            events.append(("begin", context.task_name, type(estimator).__name__))

        def on_fit_task_end(self, estimator, context):
            events.append(("end", context.task_name, type(estimator).__name__))

    search = TuneGridSearchCV(Fragile(), {"fails": [False, True]}, cv=2).set_callbacks(Listener())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(*iris)
    name = "TuneGridSearchCV"
    assert events[0] == "setup" and events[-1] == "teardown" and events.count("setup") == 1
    assert events.count(("begin", "candidate-split-evaluation", name)) == 4
    assert events.count(("end", "candidate-split-evaluation", name)) == 4
    assert events.count(("begin", "refit-with-best-params", name)) == 1
    assert events.count(("end", "refit-with-best-params", name)) == 1


def test_verbose_prints_what_scikit_learn_prints(iris, capsys):
    TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, verbose=2).fit(*iris)
    printed = capsys.readouterr().out
    assert "Fitting 2 folds for each of 2 candidates, totalling 4 fits" in printed
    assert printed.count("END") == 4
    TuneGridSearchCV(SGDClassifier(), {"alpha": [1, 2]}, cv=2).fit(*iris)
    assert capsys.readouterr().out == ""


def test_random_state_object_is_used_as_scikit_learn_uses_it(iris):
    ours, theirs = np.random.RandomState(0), np.random.RandomState(0)
    space = {"C": loguniform(1e-3, 1e3)}
    for _ in range(2):
        mine = TuneSearchCV(SVC(), space, n_iter=3, cv=2, random_state=ours, early_stopping=True).fit(*iris)
        other = RandomizedSearchCV(SVC(), space, n_iter=3, cv=2, random_state=theirs).fit(*iris)
        assert mine.cv_results_["params"] == other.cv_results_["params"]


def test_fit_in_another_thread(iris):
    with ThreadPoolExecutor(1) as pool:
        search = pool.submit(TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2).fit, *iris).result()
    assert search.best_score_ > 0.9


def test_every_scheduler_that_is_proposed_by_name_can_be_used():
    X, y = load_iris(return_X_y=True)
    how = {"n_iter": 3, "random_state": 0, "refit": False}
    with pytest.raises(InvalidArgumentError, match="no scheduler has that name") as wrong:
        TuneSearchCV(SVC(), {"C": [0.1, 1, 10]}, early_stopping="ahsa", **how).fit(X, y)
    names = str(wrong.value).partition("Use one of: ")[2].partition(". Did you mean")[0].split(", ")
    assert "asha" in names and "hyperband" in names and "threshold" not in names
    for name in names:
        search = TuneSearchCV(SVC(), {"C": [0.1, 1, 10]}, early_stopping=name, **how)
        if name == "hb_bohb":
            search.set_params(search_optimization="bohb")
            pytest.importorskip("ConfigSpace")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert search.fit(X, y).best_score_ > 0.5


@pytest.mark.parametrize("name", ["threshold", "PB2", "patient", "percentile", "pbt_replay"])
def test_schedulers_that_need_arguments_are_to_be_given_as_instances(name):
    search = TuneSearchCV(SVC(), {"C": [0.1, 1, 10]}, n_iter=3, early_stopping=name)
    with pytest.raises(InvalidArgumentError, match=r"early_stopping=tune_core\.schedulers\.P?\w+\(\.\.\.\)"):
        search.fit(*load_iris(return_X_y=True))


def test_arguments_that_cannot_be_followed_are_named_as_they_were_given(monkeypatch):
    X, y = load_iris(return_X_y=True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for given, words in (
        ({"stopper": 3}, r"TuneSearchCV\(stopper\) is 3"),
        ({"use_gpu": True}, r"TuneSearchCV\(use_gpu\) is True; there is no GPU"),
        ({"use_gpu": True, "n_jobs": 2}, r"TuneSearchCV\(use_gpu\) is True; there is no GPU"),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            TuneSearchCV(SVC(), {"C": [0.1, 1, 10]}, n_iter=3, **given).fit(X, y)


def test_histories_of_a_search_that_was_not_kept_say_so():
    search = TuneSearchCV(SVC(), {"C": [0.1, 1, 10]}, n_iter=3).fit(*load_iris(return_X_y=True))
    assert len(search.results_.get_dataframe()) == 15
    with pytest.raises(
        NoExperimentError,
        match=r"holds no experiment; it was removed(?s:.*)a search that is given a name keeps its files",
    ):
        _ = search.results_[0].metrics_dataframe
