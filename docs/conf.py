"""Settings of the documentation, which Sphinx builds with `tox -e docs`."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "integrations")]

import charts
import chinese
import gallery
import matrix
import reference
import searchers
import told
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.ext.autodoc.mock import mock

from tune_core._version import __version__

project = "tune-core"
author = "The tune-core authors"
copyright = "The tune-core authors, Apache-2.0"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "_generated", "_gallery", "outputs"]
templates_path = ["_templates"]
locale_dirs = [
    "locale"
]  # built with `-D language=zh_CN` into /zh/; pages that have no catalogue stay in English
gettext_compact = False

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "tune-core"
html_show_sourcelink = html_copy_source = False
html_static_path = ["images"]
html_css_files = ["site.css"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "language.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_favicon = "images/logo-light.svg"
html_theme_options = {
    "light_logo": "logo-light.svg",
    "dark_logo": "logo-dark.svg",
    "navigation_with_keys": True,
    "light_css_variables": {
        "color-brand-primary": "#0b7285",
        "color-brand-content": "#0b7285",
    },
    "dark_css_variables": {
        "color-brand-primary": "#4fc3d9",
        "color-brand-content": "#4fc3d9",
    },
}

copybutton_exclude = ".linenos, .callout"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
# Integrations are documented without their frameworks, so that the pages are the same on every machine. What
# scikit-learn needs is used where it is.
FRAMEWORKS = [
    "catboost",
    "hydra",
    "keras",
    "lightgbm",
    "lightning",
    "omegaconf",
    "optuna",
    "pytorch_lightning",
    "ray",
    "tensorflow",
    "torch",
    "transformers",
    "xgboost",
]
LIGHT = ["numpy", "pandas", "scipy", "sklearn"]
autodoc_mock_imports = [
    *FRAMEWORKS,
    *(name for name in LIGHT if importlib.util.find_spec(name) is None),
]

# Pages made from the code and the constraints files, read by the pages that include them.
GENERATED = HERE / "_generated"
GENERATED.mkdir(exist_ok=True)
(GENERATED / "matrix.md").write_text(matrix.table(), encoding="utf-8")
(GENERATED / "searchers.md").write_text(searchers.table(), encoding="utf-8")
(GENERATED / "told.md").write_text(told.table(), encoding="utf-8")
(GENERATED / "states.md").write_text(reference.states(), encoding="utf-8")
gallery.make(HERE / "_examples", GENERATED / "examples.md")
charts.make(HERE / "_charts")
with mock(autodoc_mock_imports):
    (GENERATED / "reference.md").write_text(
        reference.pages(HERE / "_api"), encoding="utf-8"
    )


def without_back_links(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Take links from source to documentation away: for a name that is public in two modules, they lead nowhere."""
    if page.startswith("_modules/"):
        context["body"] = re.sub(
            r'<a class="viewcode-back"[^>]*>[^<]*</a>', "", context["body"]
        )


def for_keyboards_and_readers(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """What scrolls can be reached by keyboard, and headings of the navigation say their level."""
    body = re.sub(r"<pre>", '<pre tabindex="0">', context.get("body", ""))
    context["body"] = body.replace(
        '<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'
    )
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )


def callouts(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """A comment that is a number in brackets refers to the list below the code: it is shown as a mark."""
    context["body"] = re.sub(
        r'<span class="c1"># \((\d)\)</span>',
        r'<span class="callout">\1</span>',
        context.get("body", ""),
    )


def drawings_that_scroll(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Drawings get a box in which they scroll on a phone, where their words would be too small to read."""
    if page == "key-concepts":
        context["body"] = re.sub(
            r'<img alt="[^"]*" class="(only-light|only-dark)" [^>]*>',
            r'<div class="drawing \1" tabindex="0">\g<0></div>',
            context.get("body", ""),
        )


def short_navigation(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Navigation lists the pages of the branch that the reader is in: all of them would be half of every page."""
    whole = context["toctree"]

    def branch(**options: Any) -> str:
        return whole(**{**options, "collapse": True})

    context["toctree"] = branch


def without_empty_ends(app: Sphinx, doctree: nodes.document) -> None:
    """Take empty lines from the end of code that is a part of a file: the page would show them as an empty box."""
    for block in doctree.findall(nodes.literal_block):
        if (text := block.astext()) != text.rstrip("\n"):
            # Sphinx leaves the colours out where these two differ
            block.rawsource = text.rstrip("\n")
            block.children = [nodes.Text(block.rawsource)]


def setup(app: Sphinx) -> None:
    """Called by Sphinx when this file has been read."""
    app.connect("doctree-read", without_empty_ends)
    app.connect("html-page-context", without_back_links)
    app.connect("html-page-context", callouts)
    app.connect("html-page-context", drawings_that_scroll)
    app.connect("html-page-context", short_navigation, priority=100)  # before the theme
    app.connect(
        "html-page-context", for_keyboards_and_readers, priority=900
    )  # after the theme
    if app.config.language == "zh_CN":
        chinese.mend_search()
