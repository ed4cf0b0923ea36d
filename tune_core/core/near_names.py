"""What somebody who wrote an unknown name most likely meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that is most like ``name``, if one is like it at all; ``cutoff`` says how much, up to 1."""
    import difflib  # only for what went wrong

    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff)), None)
