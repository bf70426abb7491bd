"""The leaderboard for a reader: in the terminal, as CSV, JSON or Markdown."""

from __future__ import annotations

import csv
import html
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TextIO

from handsigns.console.format import MISSING, percent, value_text
from handsigns.results.store import StoredSearch
from handsigns.results.tables import leaderboard_table

Format = Literal["table", "csv", "json", "md"]
FORMATS: tuple[Format, ...] = ("table", "csv", "json", "md")

ALWAYS = ("rank", "trial_id", "status", "val_accuracy", "val_loss", "epochs", "seconds")
"""Columns that are shown beside the hyperparameters that vary."""
_LEFT = ("trial_id", "status")
_SPARED = ("seconds", "epochs", "val_loss")
"""What a narrow terminal does without."""
_GAP = "  "


def write_leaderboard(search: StoredSearch, top: int | None, form: Format, out: TextIO) -> None:
    """Write the best `top` trials (None: all).

    CSV and JSON have every column, at full precision; the others those that differ from trial to
    trial, rounded.
    """
    table = leaderboard_table(search.journal.records, search.study.objective)
    rows = table.rows()[:top]
    if form == "csv":
        writer = csv.DictWriter(out, table.names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    if form == "json":
        json.dump(rows, out, indent=2, allow_nan=False)
        out.write("\n")
        return
    columns = {
        name: [shown(name, row.get(name)) for row in rows]
        for name in (*ALWAYS, *search.study.space.varied)
    }
    if form == "md":
        out.writelines(_markdown(columns))
    else:
        _print_table(columns, out)


def _print_table(columns: dict[str, list[str]], out: TextIO) -> None:
    """Aligned by hand: rich's own tables take a minute for ten thousand rows."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, highlight=False)
    edge = console.width if console.is_terminal else math.inf
    headers = {name: [name] for name in columns}
    left_out = []
    if _width(headers, columns) > edge:
        # A name breaks after its underscores, rather than being cut.
        headers = _folded(columns)
        for name in _SPARED:
            if _width(headers, columns) > edge:
                left_out.append(name)
                del columns[name], headers[name]
    lines = _aligned(headers, columns)
    for number, line in enumerate(lines):
        height = len(headers["rank"])
        style = "bold" if number < height else "bold green" if number == height else ""
        console.print(Text(line, style), soft_wrap=True) if style else out.write(f"{line}\n")
    if left_out:
        out.write(f"({', '.join(left_out)}: in a wider terminal, or with --format csv)\n")


def _width(headers: dict[str, list[str]], columns: dict[str, list[str]]) -> int:
    widths = [max(map(len, headers[name] + cells)) for name, cells in columns.items()]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _folded(names: Iterable[str]) -> dict[str, list[str]]:
    parts = {name: name.replace("_", "_ ").split(" ") for name in names}
    height = max(map(len, parts.values()))
    return {name: part + [""] * (height - len(part)) for name, part in parts.items()}


def _aligned(headers: dict[str, list[str]], columns: dict[str, list[str]]) -> Iterator[str]:
    aligned = []
    for name, cells in columns.items():
        whole = headers[name] + cells
        width = max(map(len, whole))
        align = str.ljust if name in _LEFT else str.rjust
        aligned.append([align(cell, width) for cell in whole])
    for line in zip(*aligned, strict=True):
        yield _GAP.join(line).rstrip()


def _markdown(columns: dict[str, list[str]]) -> Iterator[str]:
    for cells in (list(columns), ["---"] * len(columns), *zip(*columns.values(), strict=True)):
        yield "| " + " | ".join(_inert(cell) for cell in cells) + " |\n"


def _inert(cell: str) -> str:
    """Text in a cell of Markdown, which lets HTML through."""
    return html.escape(cell, quote=False).replace("|", "\\|")


def shown(column: str, value: Any) -> str:
    """A value of the leaderboard for a reader, rounded."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if column == "val_accuracy":
        return percent(value)
    if column == "seconds":
        return f"{value:.1f}"
    return value_text(value)
