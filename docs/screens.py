"""Takes the pictures of the report and of the live page: ``python docs/screens.py`` writes them into docs/images.

They show the run of the guide to plots. Needs Playwright, Pillow and Chromium (or the browser that CHROMIUM names).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import charts
import gallery
from PIL import Image
from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).resolve().parent
COMMAND = [sys.executable, "-m", "tune_core.cli"]
SIZE = {"width": 1100, "height": 960}


def take(page: Page, name: str) -> None:
    """Take a picture in few colours, once the charts are there."""
    page.wait_for_timeout(2000)
    path = DOCS / "images" / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)


def main() -> None:
    """Run the guide's script, open its report and its live page, and take the pictures."""
    script = charts.BLOCK.findall((DOCS / "guides" / "plots.md").read_text("utf-8"))[0]
    with tempfile.TemporaryDirectory(prefix="s") as work, sync_playwright() as driver:
        results, here = Path(work, "tune_results"), Path(work, "here")
        here.mkdir()
        env = gallery.surroundings(results, Path(work))
        run = {"cwd": here, "env": env, "check": True}
        subprocess.run([sys.executable, "-c", script], **run)
        subprocess.run([*COMMAND, "report", "drawn", "-o", "report.html"], **run)
        served = subprocess.Popen(
            [*COMMAND, "dashboard"],
            cwd=here,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert served.stdout is not None
        address = next(
            line for line in served.stdout if line.startswith("http")
        ).strip()
        browser = driver.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium")
        )
        for theme in ("light", "dark"):
            for ending, locale in (("", "en-US"), (".zh_CN", "zh-CN")):
                context = browser.new_context(
                    viewport=SIZE, color_scheme=theme, locale=locale
                )
                page = context.new_page()
                if not ending:  # the report is in English only
                    page.goto((here / "report.html").as_uri())
                    take(page, f"report-{theme}")
                page.goto(address)
                page.get_by_text("drawn").first.click()
                take(page, f"dashboard-{theme}{ending}")
                context.close()
        browser.close()
        served.terminate()


if __name__ == "__main__":
    main()
