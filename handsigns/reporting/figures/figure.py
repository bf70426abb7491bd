"""A figure: one description for page and papers, its looks, and how it is drawn to files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from handsigns.console.sanitize import printable
from handsigns.io.atomic import replacing, write_text

Rows = list[dict[str, Any]]
Theme = Literal["light", "dark"]

STATUSES = ("completed", "stopped", "running", "interrupted", "diverged", "failed")
"""In the order of the theme's colours."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
PAPER_WIDTH = 560
_SCALE = 2.0
"""Pixels of a PNG for each unit of the figure."""


@dataclass(frozen=True)
class Colours:
    """What a theme consists of.

    Attributes:
        text, muted, grid, accent: of letters, secondary letters, lines and what matters.
        ring: around the winner.
        on_heat: of letters over the far end of `heat`.
        ramp: from best to worst, or from much to little.
        heat: from little to much, over areas.
        statuses: of `STATUSES`; told apart by the colour-blind (after Okabe and Ito), and by shape.
        names: of several searches side by side.
    """

    text: str
    muted: str
    grid: str
    accent: str
    ring: str
    on_heat: str
    ramp: tuple[str, ...]
    heat: tuple[str, ...]
    statuses: tuple[str, ...]
    names: tuple[str, ...]


COLOURS: dict[Theme, Colours] = {
    "light": Colours(
        text="#1c2330",
        muted="#667085",
        grid="#e6e9ef",
        accent="#2f5bd3",
        ring="#d97706",
        on_heat="#ffffff",
        ramp=("#1f3fa8", "#4f7be0", "#9db6ec", "#d3d9e4"),
        heat=("#f3f6fc", "#c9d7f5", "#8fabea", "#4f78dc", "#1f3fa8"),
        statuses=("#2f5bd3", "#98a2b3", "#009e73", "#56b4e9", "#e69f00", "#c8501e"),
        names=("#2f5bd3", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#667085"),
    ),
    "dark": Colours(
        text="#e7eaf0",
        muted="#98a2b3",
        grid="#2b3241",
        accent="#7ea3ff",
        ring="#f2b632",
        on_heat="#10141c",
        ramp=("#a9c3ff", "#6f95f2", "#4a62a8", "#38435c"),
        heat=("#1d2433", "#2a3c6b", "#3d5cae", "#6f95f2", "#b7ccff"),
        statuses=("#7ea3ff", "#7b8598", "#2fc79a", "#7cc9f5", "#f2b632", "#ff8a57"),
        names=("#7ea3ff", "#ff8a57", "#2fc79a", "#e3a0c8", "#f2b632", "#7cc9f5", "#98a2b3"),
    ),
}


@dataclass(frozen=True)
class Figure:
    """A Vega-Lite description with the rows that it shows.

    Attributes:
        name: of its files, and of its place on the page.
        title: a few words.
        alt: what it shows, for those who cannot see it.
        spec: its data are named, not held.
        data: the rows by name.
        caption: how to read it; plain text.
        min_width: pixels below which its labels would overlap; a narrower page scrolls.
    """

    name: str
    title: str
    alt: str
    spec: dict[str, Any]
    data: Mapping[str, Rows]
    caption: str = ""
    min_width: int = 0

    def whole(self, theme: Theme, width: int) -> dict[str, Any]:
        """The description with data, looks and a fixed width."""
        sized = (
            {"width": max(width, self.min_width)} if self.spec.get("width") == "container" else {}
        )
        return {**self.spec, **sized, "datasets": dict(self.data), "config": config(theme)}


def figure(
    name: str,
    title: str,
    alt: str,
    chart: Any,
    data: Mapping[str, Rows],
    caption: str = "",
    *,
    min_width: int = 0,
) -> Figure:
    """Of an Altair chart whose data are named."""
    spec = _clean(chart.to_dict())
    spec.pop("config", None)
    spec["description"] = alt
    return Figure(name, title, alt, spec, _clean(data), caption, min_width)


def _clean(value: Any) -> Any:
    """With all texts printable: names from outside may hold what is no text."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {key: _clean(entry) for key, entry in value.items()}
    return [_clean(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def config(theme: Theme) -> dict[str, Any]:
    """The looks of all figures, as Vega-Lite's configuration."""
    c = COLOURS[theme]
    return {
        "background": "#ffffff" if theme == "light" else "#151a23",
        "font": FONT,
        "padding": 4,
        "view": {"stroke": None},
        "axis": {
            "labelColor": c.muted, "titleColor": c.muted, "gridColor": c.grid,
            "domainColor": c.grid, "tickColor": c.grid, "labelFontSize": 11, "titleFontSize": 11,
            "titleFontWeight": "normal", "titlePadding": 8, "labelPadding": 4, "labelLimit": 140,
        },
        "axisX": {"grid": False},
        "axisY": {"domain": False, "ticks": False},
        "legend": {
            "labelColor": c.muted, "titleColor": c.muted, "titleFontWeight": "normal",
            "labelFontSize": 11, "titleFontSize": 11, "orient": "top", "symbolStrokeWidth": 2,
            "labelLimit": 180, "gradientLength": 120, "gradientThickness": 8, "offset": 4,
        },
        "title": {"color": c.text, "fontSize": 12, "anchor": "start", "fontWeight": 600},
        "mark": {"color": c.accent},
        "text": {"color": c.text, "fontSize": 11},
        "style": {
            "line": {"color": c.accent},
            "ring": {"color": c.ring},
            "span": {"color": c.text},
            "muted": {"color": c.muted},
            "band": {"color": c.accent},
            "label": {"color": c.text},
            "note": {"color": c.muted},
            "on-heat": {"color": c.on_heat},
        },
        "range": {
            "category": list(c.names),
            "ordinal": list(c.statuses),
            "ramp": list(c.ramp),
            "heatmap": list(c.heat),
        },
    }  # fmt: skip


def short(value: float | None) -> float | None:
    """To five digits, which is more than a figure shows; None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


def thinned(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many, evenly taken, the first and last among them."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(i * step)] for i in range(most)]


def write_figure(figure: Figure, folder: Path) -> None:
    """Write ``<name>.svg`` and ``<name>.png`` into `folder`; no browser and no network are used."""
    import vl_convert

    spec = figure.whole("light", PAPER_WIDTH)
    version = _version(figure.spec)
    write_text(folder / f"{figure.name}.svg", vl_convert.vegalite_to_svg(spec, vl_version=version))
    png = vl_convert.vegalite_to_png(spec, vl_version=version, scale=_SCALE)
    with replacing(folder / f"{figure.name}.png") as temporary:
        temporary.write_bytes(png)


def _version(spec: Mapping[str, Any]) -> str | None:
    """Of Vega-Lite, where the drawing library has the very one that the figure was made for."""
    import vl_convert

    wanted = str(spec.get("$schema", "")).rpartition("/v")[2].removesuffix(".json")
    short_form = ".".join(wanted.split(".")[:2])
    return short_form if short_form in vl_convert.get_vegalite_versions() else None
