"""Leaderboard output: terminal table, CSV, JSON or Markdown."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TextIO

from handsigns.console.format import MISSING, format_value, percent
from handsigns.console.sanitize import escape_markdown
from handsigns.console.table import fit_table
from handsigns.console.wrap import wrap_text
from handsigns.metrics import METRICS
from handsigns.results.statistics import shown_metrics
from handsigns.results.store import StoredSearch
from handsigns.results.tables import leaderboard_table, network_column_names

Format = Literal["table", "csv", "json", "md"]
FORMATS: tuple[Format, ...] = ("table", "csv", "json", "md")

_LEFT_ALIGNED = ("trial", "status")


def write_leaderboard(search: StoredSearch, top: int | None, fmt: Format, out: TextIO) -> None:
    """Write the best `top` trials (None: all).

    CSV and JSON have every column at full precision; the other formats the hyperparameters that
    vary, rounded.
    """
    table = leaderboard_table(search.journal.records, search.config.objective)
    table = dataclasses.replace(table, items=table.items[:top])
    if fmt == "csv":
        out.write(table.csv())
        return
    rows = table.rows()
    if fmt == "json":
        json.dump(rows, out, indent=2, allow_nan=False)
        out.write("\n")
        return
    names = shown_columns(search)
    if fmt == "md":
        out.writelines(_markdown(names, rows))
    else:
        cells = {name: [format_cell(name, row.get(name)) for row in rows] for name in names}
        _print_table(cells, search, out)


def shown_columns(search: StoredSearch) -> tuple[str, ...]:
    """Return the columns that are shown, with the hyperparameters that vary."""
    metrics = shown_metrics(search)
    names = ("rank", "trial_id", "status", *metrics, "epochs", "seconds")
    sizes = network_column_names(search.journal.records)
    return (*names, *sizes, *search.config.space.searched_names)


def _print_table(columns: dict[str, list[str]], search: StoredSearch, out: TextIO) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, highlight=False)
    width = console.width if console.is_terminal else math.inf
    titles = {name: "trial" if name == "trial_id" else name for name in columns}
    table = fit_table(
        {titles[name]: cells for name, cells in columns.items()},
        width,
        text=_LEFT_ALIGNED,
        droppable=_droppable(search),
    )
    best = table.body[0] if table.body else []
    for style, lines in (("bold", table.header), ("bold green", best)):
        for line in lines:
            console.print(Text(line, style), soft_wrap=True)
    out.writelines(f"{line}\n" for lines in table.body[1:] for line in lines)
    if table.dropped:
        note = f"({', '.join(table.dropped)}: in a wider terminal, or with --format csv)"
        out.write(wrap_text(note, None if math.isinf(width) else int(width)) + "\n")


def _droppable(search: StoredSearch) -> list[str]:
    """Return the columns that a narrow terminal drops, in order: the objective last."""
    metric, hyperparameters = search.config.objective.metric, search.config.space.searched_names
    other = [name for name in reversed(shown_metrics(search)) if name != metric]
    return ["seconds", "epochs", *other, *reversed(hyperparameters), "status", metric]


def _markdown(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    body = ([_markdown_cell(name, row.get(name)) for name in names] for row in rows)
    for cells in (names, ["---"] * len(names), *body):
        yield f"| {' | '.join(cells)} |\n"


def _markdown_cell(column: str, value: Any) -> str:
    return escape_markdown(value) if isinstance(value, str) else format_cell(column, value)


def format_cell(column: str, value: Any) -> str:
    """Return a leaderboard value as rounded text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if column in METRICS and METRICS[column].is_score:
        return percent(value)
    if column == "seconds":
        return f"{value:.1f}"
    return format_value(value)
