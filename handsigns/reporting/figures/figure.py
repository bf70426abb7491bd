"""Figure: one Vega-Lite spec for page and files, its themes, and its rendering to SVG and PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from handsigns.console.sanitize import printable
from handsigns.io.atomic import atomic_write, write_text
from handsigns.results.trial import Status

Rows = list[dict[str, Any]]
Theme = Literal["light", "dark"]

STATUSES: tuple[Status, ...] = (
    *("completed", "stopped", "running", "paused", "interrupted", "diverged", "failed"),
)
"""Trial statuses in the order of scales and legends."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
FILE_WIDTH = 560
_SCALE = 2.0
"""Pixels of a PNG per unit of the figure."""


@dataclass(frozen=True)
class Palette:
    """Colours of a theme.

    Attributes:
        text, muted, grid, accent: colours of text, secondary text, grid lines and emphasis.
        ring: colour of the ring around the winner.
        on_heat: colour of text over the high end of `heat`.
        ramp: sequential colours from best to worst.
        heat: sequential colours of areas, from low to high.
        statuses: colour of each trial status in every table and figure; distinguishable by the
            colour-blind (after Okabe and Ito).
        names: categorical colours, such as of several searches.
    """

    text: str
    muted: str
    grid: str
    accent: str
    ring: str
    on_heat: str
    ramp: tuple[str, ...]
    heat: tuple[str, ...]
    statuses: Mapping[Status, str]
    names: tuple[str, ...]


PALETTES: dict[Theme, Palette] = {
    "light": Palette(
        text="#1c2330",
        muted="#667085",
        grid="#e6e9ef",
        accent="#2f5bd3",
        ring="#d97706",
        on_heat="#ffffff",
        ramp=("#1f3fa8", "#4f7be0", "#9db6ec", "#d3d9e4"),
        heat=("#f3f6fc", "#c9d7f5", "#8fabea", "#4f78dc", "#1f3fa8"),
        statuses={
            "completed": "#2f5bd3", "stopped": "#98a2b3", "running": "#009e73",
            "paused": "#cc79a7", "interrupted": "#56b4e9", "diverged": "#e69f00",
            "failed": "#c8501e",
        },
        names=("#2f5bd3", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#667085"),
    ),
    "dark": Palette(
        text="#e7eaf0",
        muted="#98a2b3",
        grid="#2b3241",
        accent="#7ea3ff",
        ring="#f2b632",
        on_heat="#10141c",
        ramp=("#a9c3ff", "#6f95f2", "#4a62a8", "#38435c"),
        heat=("#1d2433", "#2a3c6b", "#3d5cae", "#6f95f2", "#b7ccff"),
        statuses={
            "completed": "#7ea3ff", "stopped": "#7b8598", "running": "#2fc79a",
            "paused": "#e3a0c8", "interrupted": "#7cc9f5", "diverged": "#f2b632",
            "failed": "#ff8a57",
        },
        names=("#7ea3ff", "#ff8a57", "#2fc79a", "#e3a0c8", "#f2b632", "#7cc9f5", "#98a2b3"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """Vega-Lite spec with its data.

    Attributes:
        name: stem of its file names, and its ID on the page.
        title: heading of a few words.
        alt: text alternative for screen readers.
        spec: Vega-Lite spec with named data.
        data: rows by data name.
        caption: explanation in plain text.
        min_width: pixels below which labels would overlap; a narrower page scrolls.
    """

    name: str
    title: str
    alt: str
    spec: dict[str, Any]
    data: Mapping[str, Rows]
    caption: str = ""
    min_width: int = 0

    def full_spec(self, theme: Theme, width: int) -> dict[str, Any]:
        """Return the spec with data, theme and a fixed width."""
        sized = (
            {"width": max(width, self.min_width)} if self.spec.get("width") == "container" else {}
        )
        return {**self.spec, **sized, "datasets": dict(self.data), "config": config(theme)}


def make_figure(
    name: str,
    title: str,
    alt: str,
    chart: Any,
    data: Mapping[str, Rows],
    caption: str = "",
    *,
    min_width: int = 0,
) -> Figure:
    """Make a figure of an Altair chart with named data."""
    spec = _clean(chart.to_dict())
    spec.pop("config", None)
    spec["description"] = alt
    return Figure(name, title, alt, spec, _clean(data), caption, min_width)


def _clean(value: Any) -> Any:
    """Make all texts printable: external names may contain control characters."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {key: _clean(entry) for key, entry in value.items()}
    return [_clean(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def config(theme: Theme) -> dict[str, Any]:
    """Return a theme as Vega-Lite configuration."""
    c = PALETTES[theme]
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
            "ordinal": [c.statuses[status] for status in STATUSES],
            "ramp": list(c.ramp),
            "heatmap": list(c.heat),
        },
    }  # fmt: skip


def round_sig(value: float | None) -> float | None:
    """Round to five significant digits, more than a figure shows; None if not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


def subsample(items: Sequence[Any], max_items: int) -> list[Any]:
    """Return at most `max_items` evenly spaced items, including the first and the last."""
    if len(items) <= max_items:
        return list(items)
    step = (len(items) - 1) / (max_items - 1)
    return [items[round(i * step)] for i in range(max_items)]


def subsample_ranked(ranked: Sequence[Any], max_items: int, num_best: int) -> list[tuple[int, Any]]:
    """Return at most `max_items` items with their ranks: the best, and others evenly spaced.

    The best `num_best` come last, to be drawn on top.
    """
    numbered = list(enumerate(ranked, 1))
    others = subsample(numbered[num_best:], max_items - num_best)
    return [*numbered[:num_best], *others][::-1]


def write_figure(figure: Figure, folder: Path) -> None:
    """Write ``<name>.svg`` and ``<name>.png`` into `folder`, without browser or network."""
    import vl_convert

    spec = figure.full_spec("light", FILE_WIDTH)
    version = _version(figure.spec)
    write_text(folder / f"{figure.name}.svg", vl_convert.vegalite_to_svg(spec, vl_version=version))
    png = vl_convert.vegalite_to_png(spec, vl_version=version, scale=_SCALE)
    with atomic_write(folder / f"{figure.name}.png") as temporary:
        temporary.write_bytes(png)


def _version(spec: Mapping[str, Any]) -> str | None:
    """Return the spec's Vega-Lite version if vl-convert supports it, else None."""
    import vl_convert

    version = str(spec.get("$schema", "")).rpartition("/v")[2].removesuffix(".json")
    major_minor = ".".join(version.split(".")[:2])
    return major_minor if major_minor in vl_convert.get_vegalite_versions() else None
