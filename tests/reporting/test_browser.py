"""Report and comparison pages in a real browser, opened from disk, without network."""

import dataclasses
import io
import shutil

import numpy as np
import pytest
from PIL import Image

from handsigns.data.check import check_data
from handsigns.io.json_file import write_json
from handsigns.policy.forecast import Estimate, Forecast, Target
from handsigns.reporting.compare import compare, write_comparison
from handsigns.reporting.data_check import write_check_page
from handsigns.reporting.figures.figure import PALETTES
from handsigns.reporting.plan import write_plan
from handsigns.reporting.write import write_report

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FORECAST = Forecast(
    "pilot", "val_loss", 40, 12, 0.2, 0.3, 0.9, 0.08,
    tuple(
        Estimate(workers, Target(share, 0.1), 20, 20, time, (time / 2, 2 * time), 90, 1.0, 2.0)
        for workers, time in ((1, 7200.0), (4, 1700.0), (16, 900.0), (64, 800.0), (256, 790.0))
        for share in (0.1, 0.01)
    ),
)  # fmt: skip
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def report_page(make_search, add_scripted_winner, tmp_path):
    """Report of 30 trials and a tested winner, with hostile names everywhere."""
    search = make_search(trials=30, hostile=True)
    add_scripted_winner(search)
    return search, write_report(search, tmp_path / "out", figures=False)


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Return the check of a set in which a test image, with a hostile name, is also in train."""
    monkeypatch.setenv("HANDSIGNS_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for split, count in (("train", 20), ("val", 1), ("test", 1)):
        for label in ("a", "b"):
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    folder = tmp_path / "images"
    shutil.copy(folder / "train" / "a" / "0.png", folder / "test" / "a" / "<i>x.png")
    return check_data(folder, size=16)


@pytest.fixture
def open_page(browser):
    """Open a page and wait for its figures; errors and requests are in `page.problems`."""
    contexts = []

    def load(path, width=1280, scheme="light", ready="html[data-drawn=all]"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.problems = []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("dialog", lambda dialog: page.problems.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:")) or page.problems.append(request.url)
            ),
        )
        page.goto(path.as_uri())
        page.wait_for_selector(ready, timeout=120_000)
        return page

    yield load
    for context in contexts:
        context.close()


def visible_trials(page):
    return page.eval_on_selector_all(
        "#board tbody tr", "rows => rows.filter(r => !r.hidden).map(r => r.dataset.trial)"
    )


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_renders_completely_at_any_width(report_page, open_page, width, scheme):
    page = open_page(report_page[1], width, scheme)
    assert page.problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    empty = "charts => charts.filter(c => !c.querySelector('svg path')).map(c => c.dataset.figure)"
    assert page.eval_on_selector_all("[data-figure]", empty) == []
    screenshot = Image.open(io.BytesIO(page.screenshot()))
    assert len(screenshot.convert("RGB").getcolors(2**20) or []) > 100
    background = screenshot.convert("L").getpixel((2, 500))
    assert (background < 60) == (scheme == "dark")


LABEL_PROBLEMS = """() => {
    const problems = [];
    const box = (text) => text.getBoundingClientRect();
    const disjoint = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1
        || a.bottom <= b.top + 3 || b.bottom <= a.top + 3;
    for (const chart of document.querySelectorAll('[data-figure]')) {
        const svg = chart.querySelector('svg').getBoundingClientRect();
        for (const group of chart.querySelectorAll('.role-axis-label, .role-legend')) {
            const texts = [...group.querySelectorAll('text')].filter(
                (t) => t.textContent && t.getAttribute('opacity') !== '0');
            const prefix = `${chart.dataset.figure}: `;
            for (const text of texts) {
                const {left, right, top, bottom} = box(text);
                if (left < svg.left - 1 || right > svg.right + 1
                    || top < svg.top - 1 || bottom > svg.bottom + 1)
                    problems.push(`${prefix}${text.textContent} is cut off`);
            }
            const level = texts.filter(
                (t) => !/rotate\\(-40/.test(t.getAttribute('transform') ?? ''));
            level.forEach((a, i) => level.slice(i + 1).forEach((b) => {
                if (!disjoint(box(a), box(b)))
                    problems.push(`${prefix}${a.textContent} overlaps ${b.textContent}`);
            }));
            const entries = [...chart.querySelectorAll('.role-legend-gradient ~ * text')];
            const words = entries.map((t) => t.textContent);
            if (new Set(words).size < words.length) problems.push(`${prefix}legend ${words}`);
        }
    }
    return problems;
}"""


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("classes", [6, 26, 1000])
def test_labels_are_neither_cut_off_nor_overlapping(
    make_search, add_scripted_winner, open_page, tmp_path, width, classes
):
    search = make_search(trials=30, classes=classes)
    add_scripted_winner(search)
    page = open_page(write_report(search, tmp_path / "out", figures=False), width)
    assert page.evaluate(LABEL_PROBLEMS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 1280:
        board = "document.querySelector('#board').parentNode"
        assert page.evaluate(f"{board}.scrollWidth - {board}.clientWidth") <= 0


def test_names_never_become_markup(report_page, open_page):
    page = open_page(report_page[1])
    assert page.locator("img:not([src^='data:image/png'])").count() == 0
    assert page.locator("script:not([id=payload])").count() == 2
    failed = next(r for r in report_page[0].journal.records if r.status == "failed")
    page.locator(f"[data-trial='{failed.trial_id}'] .open").click()
    assert "</script><script>" in page.locator("#trial-error").inner_text()
    assert page.problems == []


def test_leaderboard_sorts_and_filters(report_page, open_page):
    search, page = report_page[0], open_page(report_page[1])
    ranked = [record.trial_id for record in search.ranked]
    assert visible_trials(page) == ranked
    header = page.locator("#board th", has_text="trial").locator("button")
    header.click()
    assert visible_trials(page) == sorted(ranked)
    header.click()
    assert visible_trials(page) == sorted(ranked, reverse=True)
    page.locator("#status").select_option("stopped")
    stopped = {r.trial_id for r in search.journal.records if r.status == "stopped"}
    assert set(visible_trials(page)) == stopped
    page.locator("#filter").fill("sgd stopped")
    expected = {t for t in stopped if search.trial(t).params["optimizer"] == "sgd"}
    assert set(visible_trials(page)) == expected
    assert page.locator("#shown").inner_text() == f"{len(expected)} of 30 trials"


def test_trial_dialog_opens_by_keyboard(report_page, open_page):
    search, page = report_page[0], open_page(report_page[1])
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
    assert page.problems == []


def test_brushing_an_axis_fades_the_other_trials(report_page, open_page):
    page = open_page(report_page[1])
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


def test_comparison_page_opens_without_errors(make_search, open_page, tmp_path):
    searches = [make_search("one", trials=6), make_search("two", trials=9, hostile=True)]
    page = open_page(write_comparison(compare(searches), searches, tmp_path / "out"), 390)
    assert page.problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_plan_page_renders_at_any_width(open_page, tmp_path, width, scheme):
    page = open_page(write_plan(FORECAST, tmp_path / "out"), width, scheme)
    assert page.problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(LABEL_PROBLEMS) == []
    assert page.locator("[data-figure=time_over_workers] .mark-line path").count() == 2


STATUS_COLOURS = """() => {
    const colours = {};
    const add = (status, colour) => (colours[status] ??= new Set()).add(colour);
    for (const dot of document.querySelectorAll('#board .status'))
        add(dot.textContent, getComputedStyle(dot, '::before').backgroundColor);
    const marks = '.mark-rect path, .mark-symbol path';
    for (const name of ['timeline', 'learning_curves', 'slice_dropout'])
        for (const mark of document.querySelectorAll(`[data-figure=${name}] :is(${marks})`)) {
            const status = /status: (\\w+)/.exec(mark.getAttribute('aria-label'))?.[1];
            const {fill, stroke} = getComputedStyle(mark);
            if (status) add(status, fill === 'none' ? stroke : fill);
        }
    return Object.fromEntries(Object.entries(colours).map(([k, v]) => [k, [...v]]));
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_status_colours_match_in_table_and_figures(make_search, open_page, tmp_path, theme):
    search = make_search(trials=30, end=False)
    page = open_page(write_report(search, tmp_path / "out", figures=False), scheme=theme)
    shown = page.evaluate(STATUS_COLOURS)
    assert set(shown) == {record.status for record in search.journal.records}
    statuses = PALETTES[theme].statuses
    assert shown == {s: ["rgb({}, {}, {})".format(*bytes.fromhex(statuses[s][1:]))] for s in shown}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_of_a_check_shows_the_groups(check, open_page, tmp_path, width, scheme):
    page = open_page(write_check_page(check, tmp_path / "out"), width, scheme, ready="#groups")
    assert page.problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    images = page.locator(".group img")
    images.last.scroll_into_view_if_needed()
    decode = "all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth)))"
    widths = images.evaluate_all(decode)
    assert widths == [16], "the test image is not shown"
    assert page.locator(".group h3").inner_text() == "2 images, identical: in train and test"
    assert "<i>x.png" in page.locator(".group").inner_text()


def test_report_has_the_check_of_its_data(check, make_search, open_page, tmp_path):
    search = make_search(trials=3)
    check = dataclasses.replace(check, fingerprint=search.data.info.fingerprint)
    write_json(search.paths.data_check, dataclasses.asdict(check))
    page = open_page(write_report(search, tmp_path / "out", figures=False))
    assert page.problems == []
    assert page.locator("#data [data-finding=across_splits]").count() == 1
    page.locator("#data > details summary").click()
    assert page.locator("#data .group img").count() == 1, "the test image is not shown"
