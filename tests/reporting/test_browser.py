"""The page in a real browser, from the disk and without a network."""

import io
import shutil

import pytest
from PIL import Image

from handsigns.reporting.compare import write_comparison
from handsigns.reporting.write import write_report

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def reported(make_search, retrain, tmp_path):
    """The page of a search with hostile names everywhere, 30 trials and a tested winner."""
    search = make_search(trials=30, hostile=True)
    retrain(search)
    return search, write_report(search, tmp_path / "out", figures=False)


@pytest.fixture
def visit(browser):
    """Opens a page and waits for its figures; what went wrong there is in `page.troubles`."""
    contexts = []

    def go(path, width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.troubles = []
        page.on("console", lambda message: page.troubles.append(message.text))
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("dialog", lambda dialog: page.troubles.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:")) or page.troubles.append(request.url)
            ),
        )
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-drawn=all]", timeout=120_000)
        return page

    yield go
    for context in contexts:
        context.close()


def shown_trials(page):
    return page.eval_on_selector_all(
        "#board tbody tr", "rows => rows.filter(r => !r.hidden).map(r => r.dataset.trial)"
    )


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_is_whole_at_any_width(reported, visit, width, scheme):
    page = visit(reported[1], width, scheme)
    assert page.troubles == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    empty = "charts => charts.filter(c => !c.querySelector('svg path')).map(c => c.dataset.figure)"
    assert page.eval_on_selector_all("[data-figure]", empty) == []
    picture = Image.open(io.BytesIO(page.screenshot()))
    assert len(picture.convert("RGB").getcolors(2**20) or []) > 100
    background = picture.convert("L").getpixel((2, 500))
    assert (background < 60) == (scheme == "dark")


LABELS = """() => {
    const wrong = [];
    const box = (text) => text.getBoundingClientRect();
    const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1
        || a.bottom <= b.top + 3 || b.bottom <= a.top + 3;
    for (const chart of document.querySelectorAll('[data-figure]')) {
        const svg = chart.querySelector('svg').getBoundingClientRect();
        for (const group of chart.querySelectorAll('.role-axis-label, .role-legend')) {
            const texts = [...group.querySelectorAll('text')].filter(
                (t) => t.textContent && t.getAttribute('opacity') !== '0');
            const at = `${chart.dataset.figure}: `;
            for (const one of texts) {
                const {left, right, top, bottom} = box(one);
                if (left < svg.left - 1 || right > svg.right + 1
                    || top < svg.top - 1 || bottom > svg.bottom + 1)
                    wrong.push(`${at}${one.textContent} is cut`);
            }
            const level = texts.filter(
                (t) => !/rotate\\(-40/.test(t.getAttribute('transform') ?? ''));
            level.forEach((a, i) => level.slice(i + 1).forEach((b) => {
                if (!apart(box(a), box(b)))
                    wrong.push(`${at}${a.textContent} overlaps ${b.textContent}`);
            }));
            const said = [...chart.querySelectorAll('.role-legend-gradient ~ * text')];
            const words = said.map((t) => t.textContent);
            if (new Set(words).size < words.length) wrong.push(`${at}legend ${words}`);
        }
    }
    return wrong;
}"""


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("classes", [6, 26, 1000])
def test_labels_are_whole_and_apart(make_search, retrain, visit, tmp_path, width, classes):
    search = make_search(trials=30, classes=classes)
    retrain(search)
    page = visit(write_report(search, tmp_path / "out", figures=False), width)
    assert page.evaluate(LABELS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 1280:
        board = "document.querySelector('#board').parentNode"
        assert page.evaluate(f"{board}.scrollWidth - {board}.clientWidth") <= 0


def test_no_name_becomes_markup(reported, visit):
    page = visit(reported[1])
    assert page.locator("img:not([src^='data:image/png'])").count() == 0
    assert page.locator("script:not([id=payload])").count() == 2
    failed = next(r for r in reported[0].journal.records if r.status == "failed")
    page.locator(f"[data-trial='{failed.trial_id}'] .open").click()
    assert "</script><script>" in page.locator("#trial-error").inner_text()
    assert page.troubles == []


def test_sorting_and_filtering(reported, visit):
    search, page = reported[0], visit(reported[1])
    ranked = [record.trial_id for record in search.ranked]
    assert shown_trials(page) == ranked
    header = page.locator("#board th", has_text="trial").locator("button")
    header.click()
    assert shown_trials(page) == sorted(ranked)
    header.click()
    assert shown_trials(page) == sorted(ranked, reverse=True)
    page.locator("#status").select_option("stopped")
    stopped = {r.trial_id for r in search.journal.records if r.status == "stopped"}
    assert set(shown_trials(page)) == stopped
    page.locator("#filter").fill("sgd stopped")
    expected = {t for t in stopped if search.trial(t).params["optimizer"] == "sgd"}
    assert set(shown_trials(page)) == expected
    assert page.locator("#shown").inner_text() == f"{len(expected)} of 30 trials"


def test_a_row_opens_by_keyboard(reported, visit):
    search, page = reported[0], visit(reported[1])
    best = search.trial(None)
    page.locator("#more").evaluate("button => button.scrollIntoView()")
    page.locator("#status").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "open":
            break
    page.keyboard.press("Enter")
    assert page.locator("#trial-title").inner_text() == f"Trial {best.trial_id}"
    page.wait_for_selector("#trial-loss svg path")
    page.wait_for_selector("#trial-accuracy svg path")
    config = page.locator("#trial-config").inner_text()
    assert all(name in config for name in best.config.hyperparameters())
    assert not page.locator("#trial-error").is_visible()
    assert "validation" in page.locator("#trial-loss").text_content()  # the legend
    page.keyboard.press("Escape")
    assert not page.locator("#trial").is_visible()
    assert page.troubles == []


def test_brushing_an_axis_fades_the_other_trials(reported, visit):
    page = visit(reported[1])
    faded = """() => document.querySelectorAll(
        '[data-figure=parallel_coordinates] .mark-line path[stroke-opacity="0.04"], '
        + '[data-figure=parallel_coordinates] .mark-line path[opacity="0.04"]').length"""
    assert page.evaluate(faded) == 0
    page.locator("details", has_text="Set the ranges").locator("summary").click()
    page.locator("#brushes input").first.fill("0.6")
    page.wait_for_function(f"({faded})() > 0")
    page.locator("#brushes input").first.fill("0")
    page.wait_for_function(f"({faded})() === 0")
    box = page.locator("[data-figure=parallel_coordinates] svg").bounding_box()
    page.locator("[data-figure=parallel_coordinates]").scroll_into_view_if_needed()
    box = page.locator("[data-figure=parallel_coordinates] svg").bounding_box()
    x = page.evaluate("""() => {
        const text = [...document.querySelectorAll('[data-figure=parallel_coordinates] text')]
            .find(t => t.textContent === 'dropout').getBoundingClientRect();
        return text.right;
    }""")
    page.mouse.move(x, box["y"] + box["height"] * 0.45)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] * 0.6)
    page.mouse.up()
    page.wait_for_function(f"({faded})() > 0")


def test_the_comparison_opens_too(make_search, visit, tmp_path):
    searches = [make_search("one", trials=6), make_search("two", trials=9, hostile=True)]
    page = visit(write_comparison(searches, tmp_path / "out"), 390)
    assert page.troubles == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
