"""Writes the tables of the migration page from the tables in the code.

python docs/ray_names.py            # prints them
python docs/ray_names.py --write    # puts them into docs/migration/ray-tune.md
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tune_core.compat.names import ABSENT, ADDED, MODULES
from tune_core.compat.paths import names_of
from tune_core.core.environment import RAY_VARIABLES

PAGE = Path(__file__).parent / "migration" / "ray-tune.md"


def count_text() -> str:
    """How much the table of names holds."""
    names = sum(len(names_of(path)) for path in {*MODULES, *ADDED})
    return (
        f"The table has {len(MODULES)} modules and {names} names under paths that have no file here, and "
        f"{len(ABSENT)} modules and names without a counterpart. Importing one of these is an `ImportError` that says "
        "what stands below."
    )


def absent_table() -> str:
    """What has no counterpart, by reason."""
    by_reason: dict[str, list[str]] = {}
    for what, reason in ABSENT.items():
        by_reason.setdefault(reason, []).append(
            f"`{what.replace('tune_core:', '').replace(':', '.')}`"
        )
    lines = ["| no counterpart | because |", "| --- | --- |"]
    return "\n".join(
        [
            *lines,
            *(
                f"| {', '.join(sorted(names))} | {reason} |"
                for reason, names in by_reason.items()
            ),
        ]
    )


def variables_table() -> str:
    """Environment variables."""
    lines = ["| variable | here |", "| --- | --- |"]
    return "\n".join(
        [
            *lines,
            *(f"| `{name}` | {what} |" for name, what in sorted(RAY_VARIABLES.items())),
        ]
    )


TABLES = {"count": count_text, "absent": absent_table, "variables": variables_table}


def filled(page: str) -> str:
    """A page with each of its marked places filled by its table."""
    for name, table in TABLES.items():
        marked = re.compile(
            rf"(<!-- {name}: made by docs/ray_names\.py -->\n).*?(<!-- end -->)",
            re.DOTALL,
        )
        assert marked.search(page), name
        page = marked.sub(
            lambda found, table=table: f"{found[1]}\n{table()}\n\n{found[2]}", page
        )  # type: ignore[misc]
    return page


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(table() for table in TABLES.values()))
