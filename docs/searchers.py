"""Makes the feature table of searchers from the outcomes of their contract.

TUNE_CORE_SEARCHER_REPORT=report.jsonl tox -e search,sigopt,ax,smac,nevergrad,hebo,dragonfly
python docs/searchers.py report.jsonl > docs/searchers.json
python docs/searchers.py                                         # prints the table
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_name("searchers.json")


def collect(path: Path) -> dict[str, Any]:
    """The outcomes of each searcher's checks."""
    found: dict[str, Any] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        about = found.setdefault(entry["searcher"], {"checks": {}})
        about.update(
            {key: entry[key] for key in ("repeats", "conditions", "objectives")}
        )
        about["checks"][entry["check"]] = [entry["outcome"], entry["reason"]]
    return dict(sorted(found.items()))


def table() -> str:
    """Searchers × checks, and the reasons of what is not supported."""
    from tune_core.testing.searchers import CHECKS

    found = json.loads(KEPT.read_text(encoding="utf-8"))
    names = list(found)
    reasons: list[str] = []
    lines = ["| check | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for check in CHECKS.values():
        cells = []
        for name in names:
            outcome, reason = found[name]["checks"].get(check.name, ["?", "not run"])
            if outcome == "yes":
                cells.append("yes")
                continue
            if reason not in reasons:
                reasons.append(reason)
            cells.append(f"{outcome} ({reasons.index(reason) + 1})")
        lines.append(f"| {check.title} | " + " | ".join(cells) + " |")
    for key, title in (
        ("repeats", "repeats itself on a restore"),
        ("conditions", "the library itself knows conditions"),
        ("objectives", "several objectives"),
    ):
        lines.append(
            f"| {title} | "
            + " | ".join("yes" if found[name][key] else "–" for name in names)
            + " |"
        )
    notes = [f"{i}. {reason}" for i, reason in enumerate(reasons, 1)]
    return "\n".join([*lines, "", *notes]) + "\n"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(collect(Path(sys.argv[1])), indent=1))
    else:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
        print(table())
