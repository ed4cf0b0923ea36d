"""Makes the table of tested versions from tox.ini and the constraints files: `python docs/matrix.py` prints it."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

ROWS: list[tuple[str, list[str]]] = [
    # (environment of tox.ini, packages whose versions matter there)
    ("core", ["msgspec", "cloudpickle", "fsspec", "rich"]),
    ("sklearn", ["scikit-learn", "pandas", "numpy"]),
    ("boost", ["xgboost-cpu", "lightgbm"]),
    ("catboost", ["catboost"]),
    ("torch", ["torch", "pytorch-lightning", "keras"]),
    ("tensorflow", ["tensorflow-cpu", "keras"]),
    ("jax", ["jax", "keras"]),
    ("transformers", ["transformers"]),
    ("hydra", ["hydra-core"]),
    ("ray", ["ray"]),
    (
        "search",
        [
            "optuna",
            "hyperopt",
            "cmaes",
            "bayesian-optimization",
            "zoopt",
            "hpbandster",
            "ConfigSpace",
            "flaml",
        ],
    ),
    ("sigopt", ["sigopt"]),
    ("ax", ["ax-platform", "botorch"]),
    ("smac", ["smac"]),
    ("nevergrad", ["nevergrad", "numpy"]),
    ("hebo", ["HEBO", "numpy"]),
    ("dragonfly", ["dragonfly-opt", "numpy"]),
    ("cloud", ["s3fs", "moto"]),
]


def canonical(name: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path) -> dict[str, str]:
    """Versions that a constraints file names."""
    lines = [
        line.partition("#")[0].strip()
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return {
        canonical(name): version
        for name, _, version in (line.partition("==") for line in lines if line)
    }


def tox_settings() -> configparser.ConfigParser:
    """tox.ini as written, with nothing substituted."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "tox.ini", encoding="utf-8")
    return settings


def table() -> str:
    """The table in Markdown."""
    settings = tox_settings()
    default = settings["tox"]["env_list"].replace(",", " ").split()
    lowest_rows = (
        settings["tox"]["labels"]
        .partition("lowest =")[2]
        .partition("\n")[0]
        .replace(",", " ")
        .split()
    )
    newest, lowest = (
        pins(ROOT / "constraints.txt"),
        pins(ROOT / "constraints-lowest.txt"),
    )
    lines = [
        "| environment | package | oldest tested | newest tested | in plain `tox` |",
        "|" + " --- |" * 5,
    ]
    for env, packages in ROWS:
        own = ROOT / "constraints" / f"{env}.txt"
        versions = pins(own) if own.exists() else newest
        runs = (
            "yes"
            if env in default or (env in ("boost", "torch") and "frameworks" in default)
            else "no"
        )
        for package in packages:
            oldest = (
                lowest.get(canonical(package), "–")
                if f"{env}-lowest" in lowest_rows
                else "–"
            )
            lines.append(
                f"| `{env}` | {package} | {oldest} | {versions.get(canonical(package), '–')} | {runs} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
