"""Checks a built site: ``python docs/links.py docs/_build/html`` fails if a link inside it leads nowhere."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to and the places in it that can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.add(value)
            if value and name == "id":
                self.places.add(value)


def broken(site: Path) -> tuple[list[str], int]:
    """Links that lead nowhere, as lines of text, and how many links were followed."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    found, followed = [], 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            followed += 1
            target = (
                (path.parent / unquote(parts.path)).resolve() if parts.path else path
            )
            place = unquote(parts.fragment)
            if not target.exists() or (
                place and target in pages and place not in pages[target].places
            ):
                found.append(f"{path.relative_to(site.resolve())}: {link}")
    return sorted(found), followed


if __name__ == "__main__":
    lines, count = broken(Path(sys.argv[1]))
    print("\n".join([*lines, f"{count} links, {len(lines)} of them lead nowhere"]))
    sys.exit(bool(lines))
