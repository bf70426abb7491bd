"""Screenshots of the sections of a report; needs Chromium and Playwright.

    python reports/screenshots.py synthetic_hands

reads reports/synthetic_hands/index.html and writes reports/synthetic_hands-summary.png and so on.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

SECTIONS = ("summary", "progress", "analysis", "winner")
WIDTH = 1180


def main() -> int:
    """Save a screenshot of each section of the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME", help="name of the search")
    name = parser.parse_args().name
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        parser.error("Chromium not found; install the package chromium")
    page_file = Path("reports", name, "index.html")
    if not page_file.is_file():
        parser.error(f"{page_file} does not exist; create it: handsigns report {name}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        page.goto(page_file.resolve().as_uri())
        page.wait_for_selector("html[data-drawn=all]")
        # The sticky navigation bar would cover parts of the sections.
        page.add_style_tag(content="nav { position: static !important } section { padding: 24px }")
        for section in SECTIONS:
            found = page.locator(f"#{section}")
            if found.count():
                path = Path("reports", f"{name}-{section}.png")
                found.screenshot(path=path)
                print(path)
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
