"""Text tables that drop columns rather than truncate numbers when they do not fit.

Aligned here because rich's tables truncate cells, and take a minute for ten thousand rows.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

GAP = "  "
_MIN_TEXT_WIDTH = 10
"""Smallest width of a wrapped text column, in characters."""


@dataclass(frozen=True)
class TableLayout:
    """Table fitted to a width.

    Attributes:
        header: lines of the header.
        body: lines of each row; a row with wrapped text has several.
        dropped: names of the columns that did not fit.
    """

    header: list[str]
    body: list[list[str]]
    dropped: list[str]


def fit_table(
    columns: Mapping[str, Sequence[str]],
    width: float = math.inf,
    *,
    text: Collection[str] = (),
    droppable: Sequence[str] = (),
) -> TableLayout:
    """Fit a table into a width: headers are folded, text is wrapped, then columns are dropped.

    Args:
        columns: cells by header; every cell is on one line.
        width: width of the terminal in characters.
        text: names of text columns: left-aligned, and wrapped at words if necessary.
        droppable: names of columns that may be dropped, the least important first.
    """
    kept = dict(columns)
    headers = {name: [name] for name in kept}
    cells = {name: [[cell] for cell in column] for name, column in kept.items()}
    dropped: list[str] = []
    if _total_width(headers, cells) > width:
        headers = {name: _fold_header(name) for name in kept}
    _wrap_text(headers, cells, width, text)
    for name in droppable:
        if _total_width(headers, cells) <= width:
            break
        if name not in kept:
            continue
        del headers[name], cells[name], kept[name]
        dropped.append(name)
        # The remaining columns may have room for unwrapped text again.
        cells |= {n: [[cell] for cell in kept[n]] for n in kept if n in text}
        _wrap_text(headers, cells, width, text)
    height = max((len(lines) for lines in headers.values()), default=0)
    widths = {name: _column_width(headers[name], cells[name]) for name in kept}
    header = list(
        _format_row({n: _pad_lines(lines, height) for n, lines in headers.items()}, widths, text)
    )
    body = []
    for row in zip(*cells.values(), strict=True):
        height = max(map(len, row), default=0)
        padded = {name: _pad_lines(lines, height) for name, lines in zip(cells, row, strict=True)}
        body.append(list(_format_row(padded, widths, text)))
    return TableLayout(header, body, [name for name in columns if name in dropped])


def _wrap_text(
    headers: Mapping[str, list[str]],
    cells: dict[str, list[list[str]]],
    width: float,
    text: Collection[str],
) -> None:
    """Wrap text columns, the widest first, until the table fits."""
    widest_first = sorted(
        (name for name in cells if name in text),
        key=lambda name: -_column_width(headers[name], cells[name]),
    )
    for name in widest_first:
        excess = _total_width(headers, cells) - width
        if excess <= 0:
            return
        minimum = max(_MIN_TEXT_WIDTH, *map(_display_width, headers[name]))
        target = max(minimum, int(_column_width(headers[name], cells[name]) - excess))
        cells[name] = [_wrap(lines[0], target) for lines in cells[name]]


def _wrap(text: str, width: int) -> list[str]:
    """Wrap text at words to a display width; a longer word is broken."""
    if _display_width(text) == len(text):
        return textwrap.wrap(text, width) or [""]
    from rich import get_console
    from rich.text import Text

    return [line.plain.rstrip() for line in Text(text).wrap(get_console(), width)]


def _fold_header(name: str) -> list[str]:
    """Split a header into lines at whitespace, keeping ``%`` with the preceding word."""
    return re.split(r"\s+(?!%)", name.strip())


def _column_width(header: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    widest = max((_display_width(line) for lines in cells for line in lines), default=0)
    return max(widest, *map(_display_width, header))


def _total_width(
    headers: Mapping[str, Sequence[str]], cells: Mapping[str, Sequence[Sequence[str]]]
) -> int:
    widths = [_column_width(headers[name], cells[name]) for name in headers]
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _pad_lines(lines: Sequence[str], height: int) -> list[str]:
    return [*lines, *[""] * (height - len(lines))]


def _format_row(
    cells: Mapping[str, Sequence[str]], widths: Mapping[str, int], text: Collection[str]
) -> Iterator[str]:
    for line in zip(*cells.values(), strict=True):
        aligned = []
        for name, cell in zip(cells, line, strict=True):
            blank = " " * (widths[name] - _display_width(cell))
            aligned.append(cell + blank if name in text else blank + cell)
        yield GAP.join(aligned).rstrip()


def _display_width(text: str) -> int:
    """Return the display width in characters; East Asian letters count as two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
