"""The leaderboard for a reader: in the terminal, as CSV, JSON or Markdown."""

from __future__ import annotations

import csv
import html
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TextIO

from handsigns.console.format import MISSING, percent, value_text
from handsigns.console.table import lay_out
from handsigns.console.wrap import wrapped
from handsigns.results.store import StoredSearch
from handsigns.results.tables import leaderboard_table

Format = Literal["table", "csv", "json", "md"]
FORMATS: tuple[Format, ...] = ("table", "csv", "json", "md")

ALWAYS = ("rank", "trial_id", "status", "val_accuracy", "val_loss", "epochs", "seconds")
"""Columns that are shown beside the hyperparameters that vary."""
_LEFT = ("trial", "status")


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
        _print_table(columns, search.study.objective.metric, out)


def _print_table(columns: dict[str, list[str]], metric: str, out: TextIO) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, highlight=False)
    edge = console.width if console.is_terminal else math.inf
    titles = {name: "trial" if name == "trial_id" else name for name in columns}
    table = lay_out(
        {titles[name]: cells for name, cells in columns.items()},
        edge,
        text=_LEFT,
        spared=_spared(columns, metric),
    )
    best = table.body[0] if table.body else []
    for style, lines in (("bold", table.header), ("bold green", best)):
        for line in lines:
            console.print(Text(line, style), soft_wrap=True)
    out.writelines(f"{line}\n" for lines in table.body[1:] for line in lines)
    if table.dropped:
        note = f"({', '.join(table.dropped)}: in a wider terminal, or with --format csv)"
        out.write(wrapped(note, None if math.isinf(edge) else int(edge)) + "\n")


def _spared(names: Iterable[str], metric: str) -> list[str]:
    """What a narrow terminal does without, in that order: the objective goes last."""
    hyperparameters = [name for name in names if name not in ALWAYS]
    other = [name for name in ("val_loss", "val_accuracy") if name != metric]
    return ["seconds", "epochs", *other, *reversed(hyperparameters), "status", metric]


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
