"""Large objects by ``with_parameters``; resources by ``with_resources``: a dict, a function, a placement group."""

import numpy as np
from ray import tune


def train_fn(config, data=None, factor=1):
    assert data.shape == (1000, 10)
    tune.report(
        {
            "total": float(data.sum()) * factor * config["x"],
            "resources": dict(tune.get_context().get_trial_resources().required_resources),
        }
    )


class Model(tune.Trainable):
    def setup(self, config, data=None):
        self.data = data

    def step(self):
        return {"total": float(self.data.sum()), "done": True}

    def save_checkpoint(self, checkpoint_dir):
        return {}


def of(trainable, **space):
    results = tune.Tuner(trainable, param_space=space).fit()
    assert not results.errors, results.errors
    return [r.metrics for r in results]


if __name__ == "__main__":
    data = np.ones((1000, 10))
    bound = tune.with_parameters(train_fn, data=data, factor=2)
    (found,) = of(bound, x=3)
    assert found["total"] == 60000.0
    (found,) = of(tune.with_resources(bound, {"cpu": 2}), x=1)
    assert found["resources"]["CPU"] == 2
    for resources in (
        tune.PlacementGroupFactory([{"CPU": 1}]),
        lambda config: {"cpu": 1},
        lambda config: tune.PlacementGroupFactory([{"CPU": 1}, {"CPU": 1}], strategy="PACK"),
    ):
        found = of(tune.with_resources(bound, resources), x=tune.grid_search([1, 2]))
        assert sorted(m["total"] for m in found) == [20000.0, 40000.0]
    (found,) = of(tune.with_parameters(Model, data=data))
    assert found["total"] == 10000.0
    (found,) = of(tune.with_resources(tune.with_parameters(Model, data=data), {"cpu": 0.5}))
    assert found["total"] == 10000.0
