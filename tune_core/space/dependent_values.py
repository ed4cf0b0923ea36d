"""Calls the ``sample_from`` functions of a configuration in the order in which they need one another's values."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tune_core.core.random_state import seeded
from tune_core.core.values import Config
from tune_core.errors import SearchSpaceError, UserCodeError
from tune_core.space.domains import Function


class Pending:
    """Stands in a configuration for a value that a function has yet to compute."""

    __slots__ = ("domain", "path", "seed")

    def __init__(self, domain: Function, seed: int, path: tuple[object, ...]) -> None:
        self.domain = domain
        self.seed = seed
        self.path = path

    def __str__(self) -> str:
        return "param_space" + "".join(f'["{p}"]' if isinstance(p, str) else f"[{p!r}]" for p in self.path)


class Box(list[Any]):
    """A tuple of the configuration while its values are still being filled in."""


class _NotYetError(BaseException):
    """A function read a value that is still pending. No ``Exception``, so that user code does not catch it."""


class Spec(Mapping[str, Any]):
    """The configuration so far: ``spec["lr"]``, ``spec.lr`` and ``spec.config.lr`` are the same value."""

    def __init__(self, values: Mapping[str, object], reads: list[Pending], root: bool = True) -> None:
        self._values, self._reads, self._root = values, reads, root

    def __getitem__(self, key: str) -> Any:
        if self._root and key == "config" and key not in self._values:
            return self
        return _seen(self._values[key], self._reads)

    def __getattr__(self, name: str) -> Any:
        if name in ("_values", "_reads", "_root"):  # not yet set
            raise AttributeError(name)
        if self._root and name == "config":
            return self
        if name.startswith("__") or name not in self._values:
            known = ", ".join(map(str, self._values)) or "nothing"
            raise AttributeError(f"the configuration has no value {name!r}; it has: {known}")
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __deepcopy__(self, memo: object) -> dict[str, Any]:
        plain: dict[str, Any] = _plain(self)
        return plain

    def copy(self) -> Config:
        """The values as a dict of its own."""
        return self.__deepcopy__(None)

    __copy__ = copy

    def __repr__(self) -> str:
        return f"Spec({dict(self)!r})"


def _seen(value: object, reads: list[Pending]) -> object:
    """What a function sees in place of ``value``; reading a pending one is noted and ends the call."""
    if value.__class__ is Pending:
        reads.append(value)
        raise _NotYetError
    if isinstance(value, dict):
        return Spec(value, reads, root=False)
    if value.__class__ is Box:
        return tuple(_seen(v, reads) for v in value)
    if value.__class__ is list:
        return [_seen(v, reads) for v in value]
    return value


def draw_sample_from(
    config: Config,
    pending: list[tuple[Any, Any, Pending]],
    draw_value: Callable[[Any, random.Random, Any], Any],
) -> None:
    """Fill in all pending values of ``config``, or raise if functions wait for one another."""
    waiting = pending
    while waiting:
        again = []
        blocked: list[tuple[Pending, Pending]] = []
        for container, key, what in waiting:
            reads: list[Pending] = []
            try:
                value = _call(what, Spec(config, reads), draw_value)
            except _NotYetError:
                value = None
            if reads:  # also if the function swallowed the exception
                again.append((container, key, what))
                blocked.append((what, reads[0]))
            else:
                container[key] = value
        if len(again) == len(waiting):
            raise _cycle(blocked)
        waiting = again


def _call(what: Pending, spec: Spec, draw_value: Callable[[Any, random.Random, Any], Any]) -> Any:
    with seeded(what.seed):
        try:
            value = what.domain.draw(random.Random(what.seed), spec)
        except Exception as error:
            if spec._reads:
                raise _NotYetError from None
            raise UserCodeError(
                f"{what} = {what.domain!r}",
                f"raised {type(error).__name__}: {error}",
                "the function of tune.sample_from failed on the configuration so far",
                "Correct the function; it may read the values of other parameters by name.",
            ) from error
    value = _plain(value)
    return draw_value(value, random.Random(what.seed + 1), spec)


def _plain(value: Any) -> Any:
    """What a function returned, with plain dicts in place of the views that it was given."""
    if isinstance(value, Spec) or type(value) is dict:
        return {k: _plain(v) for k, v in value.items()}
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value


def _cycle(blocked: list[tuple[Pending, Pending]]) -> SearchSpaceError:
    chain = "; ".join(f"{what} needs {other}" for what, other in blocked)
    return SearchSpaceError(
        str(blocked[0][0]),
        "is a sample_from that can never be computed",
        f"these functions wait for one another: {chain}",
        "Let one of them not read the other, or compute both in one sample_from that returns a dict.",
    )
