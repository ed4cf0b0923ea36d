"""The ``tune-core`` command."""

from tune_core.cli.main import main

__all__ = ["main"]
