"""Page of the service in a real browser, with films of synthetic hands for the fake camera."""

from __future__ import annotations

import base64
import io
import json
import os
import signal

import numpy as np
import pytest
from PIL import Image

import handsigns
from handsigns.data.synthetic import generate_hands
from handsigns.winner.page import PAGE_HEADERS, load_page
from tests.support.scripted import HOSTILE_STRINGS

pytest.importorskip("playwright")
pytest.importorskip("starlette")
from playwright import sync_api

from handsigns.winner import service
from reports import camera
from tests.winner.test_service import CARD

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(camera.CHROMIUM is None, reason="Chromium is not installed"),
]
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
SIZE = 32
SECONDS = 3
"""Seconds of each image in the film."""
SPACE = """
space: {channel_width: 8, batch_size: 16, learning_rate: 0.01}
budget: {trials: 1, max_epochs: 18}
reevaluation: {top: 0}
resources: {cpus_per_trial: 1, gpus_per_trial: 0}
"""
RECORD_LABELS = """
window.labels = [];
window.violations = [];
document.addEventListener('securitypolicyviolation', (e) => violations.push(e.blockedURI));
const plainFetch = window.fetch;
window.fetch = (url, options) => {
    if (options?.body) window.lastBody = options.body;
    return plainFetch(url, options);
};
addEventListener('DOMContentLoaded', () => {
    const label = document.getElementById('label');
    new MutationObserver(() => {
        if (labels.at(-1) !== label.textContent) labels.push(label.textContent);
    }).observe(label, {childList: true});
});
"""
LAST_BODY = """() => new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(window.lastBody);
})"""


@pytest.fixture(scope="module")
def winner(workspace):
    """Search and retrain on synthetic hands in a folder; return the winner."""
    for split, count, seed in (("train", 360, 11), ("val", 42, 12), ("test", 6, 13)):
        images, labels = generate_hands(count, seed, SIZE)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = workspace.root / "hands" / split / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{number}.png")
    (workspace.root / "space.yaml").write_text(SPACE)
    workspace.run("search", "space.yaml", "--data", "hands", "--size", str(SIZE), "--name", "hands",
                  "--no-report")  # fmt: skip
    workspace.run("retrain", "hands", "--seeds", "1", "--no-report")
    return handsigns.load_winner("hands", results=workspace.root / "results")


@pytest.fixture(scope="module")
def scenes(winner):
    """Images for the film, uint8 (S, S, 3), by what the page should show."""
    hands, labels = generate_hands(36, 14, 3 * SIZE)
    small = np.stack([np.asarray(Image.fromarray(h).resize((SIZE, SIZE), 1)) for h in hands])
    probs = winner.probabilities(small)
    found = {}
    for sign in (2, 0, 5):
        candidates = np.flatnonzero((labels == sign) & (probs.argmax(1) == sign))
        best = candidates[probs[candidates, sign].argmax()]
        assert service.prediction(winner.card, probs[best].tolist())["sure"]
        found[str(sign)] = hands[best]
    found["Not sure"] = np.full_like(hands[0], 128)
    return found


@pytest.fixture(scope="module")
def url(workspace, winner):
    """Address of the service of the winner."""
    process, url, _ = workspace.serve("hands")
    yield url
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def playwright():
    with sync_api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright, scenes, tmp_path_factory):
    """Browser whose camera shows the film of the scenes, without asking."""
    film = tmp_path_factory.mktemp("film") / "film.mjpeg"
    camera.write_film(film, scenes.values(), SECONDS)
    arguments = (*ARGUMENTS, *camera.CAMERA, f"--use-file-for-fake-video-capture={film}")
    browser = playwright.chromium.launch(executable_path=camera.CHROMIUM, args=arguments)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def plain_browser(playwright):
    """Browser without a camera."""
    browser = playwright.chromium.launch(executable_path=camera.CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def open_page():
    """Open the page in a browser; its requests are in `page.requested`, errors in `page.errors`."""
    contexts = []

    def load(browser, address, width=1280, scheme="light", route=None):
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.requested, page.errors = [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("dialog", lambda dialog: page.errors.append(f"dialog: {dialog.message}"))
        page.add_init_script(RECORD_LABELS)
        if route is not None:
            page.route("**/*", route)
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        return page

    yield load
    for context in contexts:
        context.close()


@pytest.mark.ray
def test_the_label_follows_the_film(browser, url, scenes, open_page):
    page = open_page(browser, url)
    page.get_by_role("button", name="Start camera").click()
    names = list(scenes)
    expected = json.dumps(names[1:] + names[:1])  # from the second: it may start within the first
    page.wait_for_function(
        f"""() => {{
            const shows = (start) => {expected}.every((name, i) => start[i] === name);
            return labels.some((_, k) => shows(labels.slice(k, -1)));
        }}""",
        timeout=240_000,
    )
    page.wait_for_selector("#rate:not(:empty)")
    assert page.errors == []
    # Nothing but this origin is asked, or would be without the policy.
    assert page.evaluate("violations") == []
    assert len(page.requested) > 4
    assert all(request.startswith((f"{url}/", "blob:", "data:")) for request in page.requested)


@pytest.mark.ray
def test_the_central_square_of_a_frame_is_sent(browser, url, scenes, open_page):
    page = open_page(browser, url)
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_function("() => window.lastBody", timeout=240_000)
    content = base64.b64decode(page.evaluate(LAST_BODY).partition(",")[2])
    sent = np.asarray(Image.open(io.BytesIO(content)), float)
    size = len(next(iter(scenes.values())))
    assert sent.shape == (size, size, 3)
    assert min(np.abs(sent - scene).mean() for scene in scenes.values()) < 12


@pytest.mark.ray
def test_the_keyboard_suffices_and_a_class_is_announced(browser, url, scenes, open_page):
    page = open_page(browser, url)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => labels.length && document.activeElement.id === 'camera'", timeout=240_000
    )
    status = page.get_by_role("status")
    assert status.get_attribute("aria-live") == "polite"
    spoken = "document.getElementById('announcement').textContent"
    signs = json.dumps([name for name in scenes if name.isdigit()])
    page.wait_for_function(f"() => {signs}.includes({spoken})", timeout=240_000)
    page.keyboard.press("Enter")  # the same button stops it
    page.wait_for_selector("#stage[data-state=idle]")
    page.keyboard.press("Tab")
    choosers = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    for _ in range(20):  # a simulated key can click before Chromium knows of the user
        page.keyboard.press("Space")
        page.wait_for_timeout(1000)
        if choosers:
            break
    assert choosers


DATA_TRANSFER = """(content) => {
    const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], 'hand.png', {type: 'image/png'}));
    return transfer;
}"""


@pytest.mark.ray
@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_an_image_is_chosen_dropped_or_pasted(
    plain_browser, url, winner, workspace, open_page, way
):
    file = workspace.root / "hands" / "train" / "2" / "2.png"
    page = open_page(plain_browser, url)
    if way == "choose":
        page.locator("#file").set_input_files(file)
    else:
        content = base64.b64encode(file.read_bytes()).decode()
        transfer = page.evaluate_handle(DATA_TRANSFER, content)
        if way == "drop":
            page.dispatch_event("#stage", "drop", {"dataTransfer": transfer})
        else:
            page.evaluate(
                "(data) => document.dispatchEvent(new ClipboardEvent("
                "'paste', {clipboardData: data}))",
                transfer,
            )
    page.wait_for_selector("#verdict:not([data-state=idle])")
    (expected,) = handsigns.predict(winner, file)
    label = expected.label
    share = round(100 * expected.probabilities[label])
    assert page.locator("#bars li").nth(winner.card.classes.index(label)).inner_text().split() == [
        label, str(share), "%",
    ]  # fmt: skip
    assert page.evaluate("document.getElementById('image').naturalWidth") == SIZE
    page.locator("#file").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"plain text"}
    )
    page.wait_for_selector("#notice:not([hidden])")
    assert "Unusable image: not an image in a supported format" in page.inner_text("#notice")
    assert page.errors == []


@pytest.mark.ray
def test_the_policy_blocks_other_origins_and_injected_scripts(plain_browser, url, open_page):
    page = open_page(plain_browser, url)
    address = "http://127.0.0.1:9/other"
    for script in (
        f"fetch('{address}').catch(() => {{}})",
        f"document.body.append(Object.assign(new Image(), {{src: '{address}.png'}}))",
        f"navigator.sendBeacon('{address}')",
    ):
        before = page.evaluate("violations.length")
        page.evaluate(script)
        page.wait_for_function(f"() => violations.length > {before}")
    for injection in (
        "document.body.innerHTML = '<b>bold</b>'",
        "document.body.setAttribute('onclick', 'window.ran = true')",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'ran = 1'}))",
    ):
        with pytest.raises(sync_api.Error, match="requires 'Trusted"):
            page.evaluate(injection)


def make_route(classes, probs, threshold=0.6):
    """Return a handler of requests that answers like the service of a model."""
    fields = {"classes": tuple(classes), "confidence_threshold": threshold}
    card = type(CARD)(**vars(CARD) | fields)
    page = load_page()
    answers = {"/model": service.describe_model(card), "/predict": service.prediction(card, probs)}

    def handle(route):
        path = "/" + route.request.url.partition("//")[2].partition("/")[2]
        if path in page:
            asset = page[path]
            route.fulfill(
                body=asset.content,
                headers={**PAGE_HEADERS, "Content-Type": f"{asset.media_type}; charset=utf-8"},
            )
        else:
            route.fulfill(json=answers[path])

    return handle


IMAGE = {"name": "a.png", "mimeType": "image/png", "buffer": b"the handler does not read it"}


def test_hostile_class_names_are_shown_as_they_are(plain_browser, open_page):
    for sure, probs in ((True, [0.9, 0.02, 0.02, 0.02, 0.02, 0.02]), (False, [1 / 6] * 6)):
        handler = make_route(HOSTILE_STRINGS, probs)
        page = open_page(plain_browser, "http://localhost/", 390, route=handler)
        page.locator("#file").set_input_files(IMAGE)
        page.wait_for_selector(f"#verdict[data-state={'sure' if sure else 'unsure'}]")
        text = "element => element.textContent"
        names = page.locator("#bars bdi").all()
        assert [name.evaluate(text) for name in names] == list(HOSTILE_STRINGS)
        assert page.locator("#label").evaluate(text) == (HOSTILE_STRINGS[0] if sure else "Not sure")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator("script").count() == 1
        assert page.errors == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_many_classes_are_shown_by_probability(plain_browser, open_page, width, scheme):
    names = [f"class {number}" for number in range(1000)]
    probs = [0.3 / 999] * 1000
    probs[700] = 0.7
    handler = make_route(names, probs)
    page = open_page(plain_browser, "http://localhost/", width, scheme, handler)
    page.locator("#file").set_input_files(IMAGE)
    page.wait_for_selector("#verdict[data-state=sure]")
    assert page.locator("#label").inner_text() == "class 700"
    bars = page.locator("#bars li")
    assert bars.count() == 8
    assert bars.first.inner_text().split() == ["class", "700", "70", "%"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    screenshot = Image.open(io.BytesIO(page.screenshot())).convert("L")
    assert (screenshot.getpixel((2, 500)) < 60) == (scheme == "dark")


def test_a_missing_camera_and_a_stopped_service_are_explained(plain_browser, open_page):
    handler = make_route(["a", "b"], [0.9, 0.1])
    page = open_page(plain_browser, "http://localhost/", route=handler)
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector("#notice:not([hidden])")
    assert "amera" in page.inner_text("#notice")
    page.route("**/predict", lambda route: route.abort())
    page.locator("#file").set_input_files(IMAGE)
    page.wait_for_selector("#notice:has-text('handsigns serve shades')")
    assert page.errors == []


def test_a_failure_without_a_reason_states_its_status(plain_browser, open_page):
    handler = make_route(["a", "b"], [0.9, 0.1])
    page = open_page(plain_browser, "http://localhost/", route=handler)
    page.route("**/predict", lambda route: route.fulfill(status=503, body="busy: overloaded"))
    page.locator("#file").set_input_files(IMAGE)
    page.wait_for_selector("#notice:not(:empty)")
    assert "The service failed (status 503)" in page.inner_text("#notice")
