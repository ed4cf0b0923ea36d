"""A search space as one of ConfigSpace, conditions included, for the libraries that are built on it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from tune_core.core.values import Config
from tune_core.search.encoding.encode import Encoding
from tune_core.search.encoding.params import Param, Values, plain, unsearchable


class Configurations:
    """A ``ConfigurationSpace`` and the way from its values to ours and back.

    Parameters
    ----------
    encoding
        The space.
    seed
        Of the space's own draws.
    """

    def __init__(self, encoding: Encoding, seed: int) -> None:
        import ConfigSpace as cs  # noqa: N813

        self.encoding = encoding
        self.space = cs.ConfigurationSpace(seed=seed & 0x7FFFFFFF)
        self.names = {param.name: f"p{i:03d}" for i, param in enumerate(encoding.params)}
        made: dict[str, object] = {}
        for param in encoding.params:
            try:
                made[param.name] = self._hyperparameter(param)
            except (ValueError, ArithmeticError) as error:
                why = "ConfigSpace cannot hold its bounds, or their logarithms' difference"
                raise unsearchable(param, encoding.asked_by, why) from error
        self.space.add(list(made.values()))
        conditions = [
            cs.EqualsCondition(made[p.name], made[p.condition[-1][0]], str(p.condition[-1][1]))
            for p in encoding.params
            if p.condition
        ]
        if conditions:
            self.space.add(conditions)

    def _hyperparameter(self, param: Param) -> object:
        import ConfigSpace as cs  # noqa: N813

        name = self.names[param.name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of an overflow that is an error anyway
            if param.kind == "float":
                return cs.UniformFloatHyperparameter(name, param.low, param.high, log=param.log)
            if param.kind == "int":
                return cs.UniformIntegerHyperparameter(name, int(param.low), int(param.high), log=param.log)
            return cs.CategoricalHyperparameter(name, [str(i) for i in range(param.size or 1)])

    def values(self, configuration: Mapping[str, object]) -> Values:
        """Our values of a configuration of the library's."""
        found = dict(configuration)
        return self.encoding.normalise(
            {
                p.name: plain(found[self.names[p.name]])
                for p in self.encoding.params
                if found.get(self.names[p.name]) is not None
            }
        )

    def as_dict(self, values: Values) -> Config:
        """The library's values."""
        by_name = self.encoding.by_name
        return {self.names[k]: str(v) if by_name[k].kind == "cat" else v for k, v in values.items()}

    def configuration(self, values: Values) -> Any:
        """The library's configuration."""
        import ConfigSpace as cs  # noqa: N813

        return cs.Configuration(self.space, values=self.as_dict(values))
