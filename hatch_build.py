"""What a package index shows: README.md with its links made absolute.

They lead to the repository that `Source` under `[project.urls]` in pyproject.toml names. Until it is set, they stay as
they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def with_absolute_links(text: str, source: str) -> str:
    """Make links and pictures that name a file of the repository absolute."""
    base = source.rstrip("/")
    text = re.sub(r"(\]\()(?!\w+:|#)([^)\s]+)(?=\))", rf"\1{base}/blob/main/\2", text)
    return re.sub(r'((?:src|srcset)=")(?!\w+:)([^"]+)(?=")', rf"\1{base}/raw/main/\2", text)


class Readme(MetadataHookInterface):
    """Gives the package its long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling with the metadata of pyproject.toml."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        source = metadata.get("urls", {}).get("Source")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": with_absolute_links(text, source) if source else text,
        }
