"""Makes the table of what each library is told of a run from what its test has heard (tests/search/test_told.py).

TUNE_CORE_TOLD_REPORT=told.jsonl tox -e search,sigopt,ax,smac,nevergrad,hebo,dragonfly
python docs/told.py told.jsonl > docs/told.json
python docs/told.py                                              # prints the table
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

KEPT = Path(__file__).with_name("told.json")
SETTINGS = ("fifo", "asha", "hyperband", "pbt", "retries", "restore")
LIBRARIES = [
    "Ax",
    "bayes_opt",
    "Dragonfly",
    "FLAML",
    "HEBO",
    "HpBandSter",
    "HyperOpt",
    "Nevergrad",
    "Optuna",
    "SigOpt",
    "SMAC",
    "ZOOpt",
]
NOT_RECORDED = "not recorded"
Words = dict[str, str]


def collect(path: Path) -> dict[str, dict[str, str | Words]]:
    """What each library heard in each setting, by the kind of news; and of failures in any."""
    heard: dict[str, dict[str, Words]] = {library: {} for library in LIBRARIES}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        heard[entry["library"]][entry["setting"]] = entry["told"]
    found: dict[str, dict[str, str | Words]] = {}
    for library, settings in heard.items():
        found[library] = {
            setting: {
                kind: told
                for kind, told in settings[setting].items()
                if kind != "failed"
            }
            for setting in SETTINGS
            if setting in settings
        }
        failures = {told["failed"] for told in settings.values() if "failed" in told}
        if failures:
            (found[library]["failure"],) = failures
    return found


def cell(told: Words) -> str:
    """Kinds of news that are told in the same words stand together; those that are not told are left out."""
    kinds: dict[str, list[str]] = {}
    for kind, words in told.items():
        if words != "nothing":
            kinds.setdefault(words, []).append(kind)
    return "; ".join(f"{', '.join(which)}: {words}" for words, which in kinds.items())


def table() -> str:
    """Libraries × what happens to trials."""
    lines = [
        "| library | FIFO | ASHA | HyperBand | PBT | failure | retry | restore |",
        "|" + "---|" * 8,
    ]
    for library, heard in json.loads(KEPT.read_text(encoding="utf-8")).items():
        cells = {
            setting: cell(heard[setting]) if setting in heard else NOT_RECORDED
            for setting in SETTINGS
        }
        for setting in SETTINGS:
            is_same = setting in heard and cells[setting] == cells["asha"]
            if is_same and setting not in ("fifo", "asha"):
                cells[setting] = "as ASHA"
        row = [cells[setting] for setting in ("fifo", "asha", "hyperband", "pbt")]
        row += [heard.get("failure", NOT_RECORDED), cells["retries"], cells["restore"]]
        lines.append(f"| {library} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(collect(Path(sys.argv[1])), indent=1))
    else:
        print(table())
