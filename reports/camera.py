"""Picture of the page of `handsigns serve`, with a hand recognised; needs Chromium and Playwright.

    python reports/camera.py synthetic_hands

serves the winner of a search, shows its page a film of a synthetic hand as the camera's picture,
and writes docs/camera.jpg. It prints how many pictures a second are classified.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from handsigns.data.synthetic.render import render_image

OUT = Path("docs", "camera.jpg")
SIGN, SEED = 2, (3, 20)  # a hand that is not in the data set
SIZE = 480
CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def write_film(path: Path, images: Iterable[npt.NDArray[np.uint8]], seconds: float) -> None:
    """Write a film that shows each image for some seconds, for Chromium's fake camera, in a loop.

    Args:
        path: a new file, `.mjpeg`.
        images: uint8 (S, S, 3), RGB; in the film their edges are mirrored to a width of 4/3 S.
        seconds: duration of each image, at 30 frames per second, as Chromium plays it.
    """
    with path.open("wb") as film:
        for image in images:
            margin = len(image) // 6
            frame = np.pad(image, ((0, 0), (margin, margin), (0, 0)), mode="reflect")
            content = io.BytesIO()
            Image.fromarray(frame).save(content, "JPEG", quality=95)
            film.write(content.getvalue() * round(30 * seconds))


def start_camera(page: Page, url: str) -> None:
    """Open the page, start its camera and wait for a prediction that is sure."""
    page.goto(url)
    page.wait_for_selector("html[data-ready]")
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector("#verdict[data-state=sure]")
    page.wait_for_selector("#rate:not(:empty)")


def main() -> int:
    """Save a screenshot of the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME", help="name of the search")
    parser.add_argument("--results", default="results", metavar="DIR", help="folder of searches")
    parser.add_argument("--port", default="8000", metavar="N", help="port (default: 8000)")
    options = parser.parse_args()
    if CHROMIUM is None:
        parser.error("Chromium not found; install the package chromium")
    serve = [sys.executable, "-m", "handsigns", "serve", options.name, "--results", options.results]
    service = subprocess.Popen([*serve, "--port", options.port], stdout=subprocess.PIPE, text=True)
    try:
        assert service.stdout is not None
        if not any(line.startswith("serving") for line in service.stdout):
            return 1
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            film = Path(folder, "film.mjpeg")
            write_film(film, [render_image(SIGN, np.random.default_rng(SEED), SIZE)], seconds=1)
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=["--no-sandbox", *CAMERA, f"--use-file-for-fake-video-capture={film}"],
            )
            page = browser.new_page(viewport={"width": 1040, "height": 700})
            start_camera(page, f"http://127.0.0.1:{options.port}")
            page.wait_for_timeout(3000)
            print(page.locator("#rate").inner_text())
            page.screenshot(path=OUT, type="jpeg", quality=90)
            browser.close()
    finally:
        service.terminate()
        service.wait()
    print(OUT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
