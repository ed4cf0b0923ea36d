"""What a package index shows: README.md with its links made absolute, and the project's addresses.

The repository's address is `source` under `[tool.hatch.metadata.hooks.custom]` in pyproject.toml, or, where that is
empty, the variable TUNE_CORE_SOURCE, which the release workflow sets to the repository that it runs in. Without an
address a relative link would lead nowhere from a package index: its words stay, pictures go.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)")
PICTURE = re.compile(r"<picture>.*?</picture>\n*", re.DOTALL)


def with_absolute_links(text: str, source: str) -> str:
    """Make links and pictures that name a file of the repository absolute."""
    base = source.rstrip("/")
    text = LINK.sub(rf"[\1]({base}/blob/main/\2)", text)
    return re.sub(r'((?:src|srcset)=")(?!\w+:)([^"]+)(?=")', rf"\1{base}/raw/main/\2", text)


def without_relative_links(text: str) -> str:
    """Leave of links that name a file of the repository their words, and nothing of its pictures."""
    return LINK.sub(r"\1", PICTURE.sub("", text))


def addresses(source: str) -> dict[str, str]:
    """The project's addresses, by the names that package indexes know."""
    base = source.rstrip("/")
    return {
        "Source": base,
        "Documentation": f"{base}/tree/main/docs",
        "Changelog": f"{base}/blob/main/CHANGELOG.md",
        "Issues": f"{base}/issues",
    }


class Readme(MetadataHookInterface):
    """Gives the package its long description and its addresses."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling with the metadata of pyproject.toml."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        source = self.config.get("source") or os.environ.get("TUNE_CORE_SOURCE", "")
        metadata["urls"] = addresses(source) if source else {}
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": with_absolute_links(text, source) if source else without_relative_links(text),
        }
