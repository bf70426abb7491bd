"""Colours of trial statuses: the same on the page and in every figure, in either theme."""

import json
import re
from typing import get_args

import pytest

from handsigns.reporting.figures.figure import PALETTES, STATUSES
from handsigns.reporting.write import write_report
from handsigns.results.trial import Status


def colour_encodings(spec):
    """Yield all colour encodings of a Vega-Lite spec."""
    if isinstance(spec, dict):
        if "color" in spec.get("encoding", {}):
            yield spec["encoding"]["color"]
        for value in spec.values():
            yield from colour_encodings(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from colour_encodings(value)


def test_each_status_has_a_distinct_colour():
    for palette in PALETTES.values():
        assert set(palette.statuses) == set(STATUSES) == set(get_args(Status))
        assert len(set(palette.statuses.values())) == len(STATUSES)


@pytest.mark.slow
def test_page_and_figures_share_the_status_colours(make_search, tmp_path):
    page = write_report(make_search(trials=14), tmp_path / "out", figures=False).read_text()
    payload = json.loads(re.search(r'id="payload">(.*?)</script>', page).group(1))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    rules = re.findall(r":root { (--status[^}]*)}", style)
    assert rules[1] in style.split("prefers-color-scheme: dark", 1)[1]
    for theme, rule in zip(("light", "dark"), rules, strict=True):
        variables = dict(re.findall(r"--status-(\w+): (#\w+);", rule))
        figures = dict(zip(STATUSES, payload["config"][theme]["range"]["ordinal"], strict=True))
        assert variables == figures == PALETTES[theme].statuses
    for status in STATUSES:
        assert f".status.{status}::before {{ background: var(--status-{status});" in style
    coloured = set()
    for name, figure in payload["figures"].items():
        for encoding in colour_encodings(figure["spec"]):
            if encoding["field"] == "status":
                assert encoding["scale"] == {"domain": list(STATUSES), "range": "ordinal"}
                coloured.add(name)
    assert {"learning_curves", "timeline", "slice_dropout"} <= coloured
