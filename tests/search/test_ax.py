"""AxSearch as a searcher."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("ax")

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_core.search.ax import AxSearch
from tune_core.testing.searchers import SearcherSuite


class TestContract(SearcherSuite):
    asks = 5

    def make(self, **arguments: Any) -> Any:
        return AxSearch(**arguments)


def told_to_ax(search: AxSearch) -> dict[str, float]:
    frame = search._client._experiment.lookup_data().df
    return dict(zip(frame["metric_name"], map(float, frame["mean"]), strict=True))


@pytest.mark.parametrize(
    ("constraint", "named"),
    [
        ("size<=5", {"size"}),
        ("2*size <= 5", {"size"}),
        ("5 >= size", {"size"}),
        ("-1*size >= -5", {"size"}),
        ("size + a <= 5", {"size", "a"}),
        ("net/latency <= 5", {"net/latency"}),
    ],
)
def test_ax_is_told_each_metric_of_a_constraint(constraint: str, named: set[str]) -> None:
    search = AxSearch(outcome_constraints=[constraint], seed=0)
    search.set_search_properties("loss", "min", {"x": tune.uniform(0, 1)})
    search.suggest("0")
    search.on_trial_complete("0", {"loss": 1.0, "size": 2.0, "a": 3, "net": {"latency": 4.0}, "b": 9})
    known = {"tune_core_loss": 1.0, "size": 2.0, "a": 3.0, "net/latency": 4.0}
    assert told_to_ax(search) == {name: known[name] for name in {"tune_core_loss", *named}}


def client_over_x() -> Any:
    from ax.api.client import Client
    from ax.api.configs import RangeParameterConfig

    client = Client(random_seed=0)
    client.configure_experiment([RangeParameterConfig(name="x", parameter_type="float", bounds=(0, 1))])
    return client


def test_a_client_s_own_constraints_have_their_metrics() -> None:
    client = client_over_x()
    client.configure_optimization("-loss", outcome_constraints=["size<=5"])
    search = AxSearch(ax_client=client)
    search.set_search_properties("loss", "min", {})
    search.suggest("0")
    search.on_trial_complete("0", {"loss": 1.0, "size": 2.0})
    assert told_to_ax(search) == {"loss": 1.0, "size": 2.0}


@pytest.mark.parametrize("metric, mode", [("loss", "max"), ("accuracy", "max"), (["loss", "size"], ["min", "min"])])
def test_a_client_that_optimises_something_else_is_refused(metric: Any, mode: Any) -> None:
    client = client_over_x()
    client.configure_optimization("-loss")
    with pytest.raises(InvalidArgumentError, match=r"AxSearch\(ax_client\) is a client that optimises '-loss'"):
        AxSearch(ax_client=client).set_search_properties(metric, mode, {})


def test_a_client_that_does_not_know_what_to_optimise_is_refused() -> None:
    from ax.api.client import Client

    for client, lacks in [(Client(), "without parameters"), (client_over_x(), "without an objective")]:
        with pytest.raises(InvalidArgumentError, match=rf"AxSearch\(ax_client\) is a client {lacks}"):
            AxSearch(ax_client=client).set_search_properties("loss", "min", {})


def test_ax_is_told_each_metric_of_a_client_s_sum() -> None:
    client = client_over_x()
    client.configure_optimization("-1*loss + 2*accuracy")
    search = AxSearch(ax_client=client)
    search.set_search_properties("score", "max", {})
    search.suggest("0")
    search.on_trial_complete("0", {"loss": 1.0, "accuracy": 0.5, "score": 0.0})
    told = told_to_ax(search)
    assert told["loss"] == 1.0 and told["accuracy"] == 0.5


@pytest.mark.parametrize(
    "given", [{"parameter_constraints": ["x <= 1"]}, {"outcome_constraints": ["size <= 5"]}], ids=str
)
def test_constraints_beside_a_client_are_refused(given: dict[str, Any]) -> None:
    from ax.api.client import Client

    with pytest.raises(InvalidArgumentError, match=r"AxSearch\(ax_client\) is given together with constraints"):
        AxSearch(ax_client=Client(), **given)


@pytest.mark.parametrize("wrong", ["size < 5", "size", "a*b <= 5", "1 <= size <= 3", "size <= baseline", "gamma <= 1"])
def test_what_is_no_outcome_constraint_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"AxSearch\(outcome_constraints\) holds .*\n.*<= or >="):
        AxSearch(outcome_constraints=["ok <= 1", wrong])


def test_constraints_are_a_list() -> None:
    with pytest.raises(InvalidArgumentError, match=r"outcome_constraints\) is 'size <= 5'.*list of texts"):
        AxSearch(outcome_constraints="size <= 5")  # type: ignore[arg-type]


def test_a_constraint_s_metric_that_no_result_has_is_said_once() -> None:
    search = AxSearch(outcome_constraints=["sizes <= 5", "a <= 5"], seed=0)
    search.set_search_properties("loss", "min", {"x": tune.uniform(0, 1)})
    for trial in "01":
        search.suggest(trial)
    with pytest.warns(UserWarning, match="no result so far has a finite number 'sizes',.* Is 'size' meant") as warned:
        for trial in "01":
            search.on_trial_complete(trial, {"loss": 1.0, "size": 2.0, "a": 1.0})
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("x", "y", "unit"),
    [
        (tune.quniform(0, 1, 0.1), tune.uniform(0, 1), 1),
        (tune.qrandint(0, 100, 10), tune.qrandint(0, 100, 5), 100),
    ],
    ids=["quniform", "qrandint"],
)
def test_parameter_constraints_are_on_the_values_that_users_see(x: Any, y: Any, unit: float) -> None:
    search = AxSearch(parameter_constraints=[f"net/x + y <= {unit}", f"net/x + y >= {0.5 * unit}"], seed=0)
    search.set_search_properties("loss", "min", {"net": {"x": x}, "y": y})
    configs = [search.suggest(str(number)) for number in range(4)]
    sums = [config["net"]["x"] + config["y"] for config in configs if isinstance(config, dict)]
    assert len(sums) == 4
    assert all(0.5 * unit - 1e-6 <= total <= unit + 1e-6 for total in sums)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("x + lr <= 1", "'lr' is searched on a log scale"),
        ("x + layers <= 1", "'layers' is a choice"),
        ("x + noise <= 1", "'noise' is normally distributed"),
        ("x + net/deep <= 1", "'net/deep' is no parameter to search; is 'net/depth' meant"),
        ("layers=1/width <= 1", "Ax cannot read it"),
        ("x <= x", "it bounds no parameter"),
    ],
)
def test_parameter_constraints_on_something_else_are_refused(wrong: str, why: str) -> None:
    space = {
        "x": tune.uniform(0, 1),
        "lr": tune.loguniform(0.1, 1),
        "noise": tune.randn(0, 1),
        "layers": tune.choice([1, {"width": tune.uniform(0, 1)}]),
        "net": {"depth": tune.randint(1, 9)},
    }
    search = AxSearch(parameter_constraints=[wrong], seed=0)
    with pytest.raises(InvalidArgumentError, match=why) as refused:
        search.set_search_properties("loss", "min", space)
    assert str(refused.value).startswith(f"AxSearch(parameter_constraints) holds {wrong!r}")
    assert "it may be on 'x', 'net/depth'." in str(refused.value)
