"""Leaderboard output: terminal table, CSV, JSON or Markdown."""

from __future__ import annotations

import csv
import html
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TextIO

from handsigns.console.format import MISSING, format_value, percent
from handsigns.console.table import fit_table
from handsigns.console.wrap import wrap_text
from handsigns.results.store import StoredSearch
from handsigns.results.tables import leaderboard_table

Format = Literal["table", "csv", "json", "md"]
FORMATS: tuple[Format, ...] = ("table", "csv", "json", "md")

FIXED_COLUMNS = ("rank", "trial_id", "status", "val_accuracy", "val_loss", "epochs", "seconds")
"""Columns shown beside the hyperparameters that vary."""
_LEFT_ALIGNED = ("trial", "status")


def write_leaderboard(search: StoredSearch, top: int | None, fmt: Format, out: TextIO) -> None:
    """Write the best `top` trials (None: all).

    CSV and JSON have every column at full precision; the other formats the hyperparameters that
    vary, rounded.
    """
    table = leaderboard_table(search.journal.records, search.config.objective)
    rows = table.rows()[:top]
    if fmt == "csv":
        writer = csv.DictWriter(out, table.names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    if fmt == "json":
        json.dump(rows, out, indent=2, allow_nan=False)
        out.write("\n")
        return
    columns = {
        name: [format_cell(name, row.get(name)) for row in rows]
        for name in (*FIXED_COLUMNS, *search.config.space.searched_names)
    }
    if fmt == "md":
        out.writelines(_markdown(columns))
    else:
        _print_table(columns, search.config.objective.metric, out)


def _print_table(columns: dict[str, list[str]], metric: str, out: TextIO) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, highlight=False)
    width = console.width if console.is_terminal else math.inf
    titles = {name: "trial" if name == "trial_id" else name for name in columns}
    table = fit_table(
        {titles[name]: cells for name, cells in columns.items()},
        width,
        text=_LEFT_ALIGNED,
        droppable=_droppable(columns, metric),
    )
    best = table.body[0] if table.body else []
    for style, lines in (("bold", table.header), ("bold green", best)):
        for line in lines:
            console.print(Text(line, style), soft_wrap=True)
    out.writelines(f"{line}\n" for lines in table.body[1:] for line in lines)
    if table.dropped:
        note = f"({', '.join(table.dropped)}: in a wider terminal, or with --format csv)"
        out.write(wrap_text(note, None if math.isinf(width) else int(width)) + "\n")


def _droppable(names: Iterable[str], metric: str) -> list[str]:
    """Return the columns that a narrow terminal drops, in order: the objective last."""
    hyperparameters = [name for name in names if name not in FIXED_COLUMNS]
    other = [name for name in ("val_loss", "val_accuracy") if name != metric]
    return ["seconds", "epochs", *other, *reversed(hyperparameters), "status", metric]


def _markdown(columns: dict[str, list[str]]) -> Iterator[str]:
    for cells in (list(columns), ["---"] * len(columns), *zip(*columns.values(), strict=True)):
        yield "| " + " | ".join(_escape_cell(cell) for cell in cells) + " |\n"


def _escape_cell(cell: str) -> str:
    """Escape a Markdown cell: Markdown passes HTML through."""
    return html.escape(cell, quote=False).replace("|", "\\|")


def format_cell(column: str, value: Any) -> str:
    """Return a leaderboard value as rounded text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if column == "val_accuracy":
        return percent(value)
    if column == "seconds":
        return f"{value:.1f}"
    return format_value(value)
