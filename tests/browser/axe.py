"""axe-core in a page under a strict content security policy. AXE names axe.min.js (npm install axe-core)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

PLACES = (os.environ.get("AXE", ""), "node_modules/axe-core/axe.min.js", "/usr/share/javascript/axe-core/axe.min.js")


def all_findings(page: Any, impacts: tuple[str, ...] = ("minor", "moderate", "serious", "critical")) -> list[str]:
    """What axe finds, each with the element."""
    source = next((Path(place) for place in PLACES if place and Path(place).exists()), None)
    if source is None:
        pytest.skip("needs axe-core: npm install axe-core, and AXE=…/axe.min.js")
    page.evaluate(source.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {node['html'][:160]}: {node['failureSummary'][:200]}"
        for v in found["violations"]
        if v["impact"] in impacts
        for node in v["nodes"]
    ]


def serious_findings(page: Any) -> list[str]:
    """What axe finds serious or critical, each with the element."""
    return all_findings(page, ("serious", "critical"))
