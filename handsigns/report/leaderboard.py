"""The leaderboard for a reader: in the terminal, as CSV, JSON or Markdown."""

from __future__ import annotations

import json
from typing import Any, Literal, TextIO

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handsigns.search.store import StoredSearch
from handsigns.search.tables import leaderboard_table
from handsigns.text import printable

Format = Literal["table", "csv", "json", "md"]
FORMATS: tuple[Format, ...] = ("table", "csv", "json", "md")

_ALWAYS = ["rank", "trial_id", "status", "val_accuracy", "val_loss", "epochs", "seconds"]


def write_leaderboard(search: StoredSearch, top: int | None, form: Format, out: TextIO) -> None:
    """Write the best `top` trials (None: all).

    CSV and JSON have every column, at full precision; the others those that differ from trial to
    trial, rounded.
    """
    table = leaderboard_table(search.journal.records, search.study.objective)[:top]
    if form == "csv":
        table.to_csv(out, index=False)
    elif form == "json":
        rows = table.astype(object).where(table.notna(), None).to_dict(orient="records")
        json.dump(rows, out, indent=2, allow_nan=False)
        out.write("\n")
    else:
        varied = [name for name in search.study.space.varied if name in table]
        short = table[[*_ALWAYS, *varied]].map(_shown).astype(object)
        short["val_accuracy"] = [_percent(value) for value in table["val_accuracy"]]
        short["seconds"] = [f"{value:.1f}" for value in table["seconds"]]
        if form == "md":
            out.write(_markdown(short))
        else:
            _print_table(short, out)


def _print_table(table: pd.DataFrame, out: TextIO) -> None:
    console = Console(file=out, highlight=False)
    if not console.is_terminal:
        console.width = 250  # a pipe or file has no edge to fold at
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    names = [str(column) for column in table]
    widths = [max(len(name), *map(len, table[name]), 0) for name in names]
    narrow = sum(widths) + 2 * len(names) > console.width
    for name in names:
        left = name in ("status", "trial_id")
        # In a narrow terminal a name breaks after its underscores, rather than being cut.
        header = name.replace("_", "_\n") if narrow else name
        shown.add_column(header, justify="left" if left else "right", no_wrap=True)
    for position, row in enumerate(table.itertuples(index=False)):
        cells = [Text(cell) for cell in row]
        shown.add_row(*cells, style="bold green" if position == 0 else None)
    console.print(shown)


def _markdown(table: pd.DataFrame) -> str:
    def line(cells: list[Any]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"

    header = line(list(table.columns)) + line(["---"] * len(table.columns))
    return header + "".join(line(list(row)) for row in table.itertuples(index=False))


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return printable(str(value))


def _percent(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.2%}"
