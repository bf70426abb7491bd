"""Pictures of a report's sections, for pages about it; needs Chromium and Playwright.

    python reports/pictures.py drawn_hands

reads reports/drawn_hands/index.html and writes reports/drawn_hands-answer.png and so on.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

SECTIONS = ("answer", "course", "learned", "winner")
WIDTH = 1180


def main() -> int:
    """Photograph each section that the page has."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME", help="of the search")
    name = parser.parse_args().name
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        parser.error("there is no Chromium here; install it (package chromium)")
    page_file = Path("reports", name, "index.html")
    if not page_file.is_file():
        parser.error(f"{page_file} is not there; make it: python tune_main.py report {name}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        page.goto(page_file.resolve().as_uri())
        page.wait_for_selector("html[data-drawn=all]")
        # What stays at the top while one scrolls would stand in the pictures.
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
