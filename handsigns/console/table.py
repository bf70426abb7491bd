"""Tables as text: as many columns as the width has room for, with each number whole.

Aligned by hand: rich's own tables cut cells in the middle, and take a minute for ten thousand rows.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

GAP = "  "
_NARROWEST_TEXT = 10
"""Columns that text, which can be wrapped at words, is left with at least."""


@dataclass(frozen=True)
class Layout:
    """A table that fits.

    Attributes:
        header, body: its lines; a row with wrapped text has several.
        dropped: names of the columns for which there is no room.
    """

    header: list[str]
    body: list[list[str]]
    dropped: list[str]


def lay_out(
    columns: Mapping[str, Sequence[str]],
    width: float = math.inf,
    *,
    text: Collection[str] = (),
    spared: Sequence[str] = (),
) -> Layout:
    """Fit a table into a width: headers are folded, text is wrapped, then columns are dropped.

    Args:
        columns: cells by header; every cell is on one line.
        width: of the terminal.
        text: columns that hold text: aligned left, and wrapped at words where that helps.
        spared: columns that can be dropped, the least important first.
    """
    kept = dict(columns)
    headers = {name: [name] for name in kept}
    cells = {name: [[cell] for cell in column] for name, column in kept.items()}
    dropped: list[str] = []
    if _total(headers, cells) > width:
        headers = {name: _folded(name) for name in kept}
    _wrap_text(headers, cells, width, text)
    for name in spared:
        if _total(headers, cells) <= width:
            break
        if name not in kept:
            continue
        del headers[name], cells[name], kept[name]
        dropped.append(name)
        # What is left may have room for its text again.
        cells |= {n: [[cell] for cell in kept[n]] for n in kept if n in text}
        _wrap_text(headers, cells, width, text)
    height = max((len(lines) for lines in headers.values()), default=0)
    widths = {name: _width(headers[name], cells[name]) for name in kept}
    header = list(_lines({n: _padded(lines, height) for n, lines in headers.items()}, widths, text))
    body = []
    for row in zip(*cells.values(), strict=True):
        height = max(map(len, row), default=0)
        whole = {name: _padded(lines, height) for name, lines in zip(cells, row, strict=True)}
        body.append(list(_lines(whole, widths, text)))
    order = [name for name in columns if name in dropped]
    return Layout(header, body, order)


def _wrap_text(
    headers: Mapping[str, list[str]],
    cells: dict[str, list[list[str]]],
    width: float,
    text: Collection[str],
) -> None:
    """Narrow the text, the widest column first, by as much as is missing."""
    wide = sorted(
        (name for name in cells if name in text),
        key=lambda name: -_width(headers[name], cells[name]),
    )
    for name in wide:
        missing = _total(headers, cells) - width
        if missing <= 0:
            return
        least = max(_NARROWEST_TEXT, *map(_cells, headers[name]))
        room = max(least, int(_width(headers[name], cells[name]) - missing))
        cells[name] = [textwrap.wrap(lines[0], room) or [""] for lines in cells[name]]


def _folded(name: str) -> list[str]:
    """A header over several lines, broken at blanks alone; a number stays with its unit."""
    return re.split(r"\s+(?!%)", name.strip())


def _width(header: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    widest = max((_cells(line) for lines in cells for line in lines), default=0)
    return max(widest, *map(_cells, header))


def _total(
    headers: Mapping[str, Sequence[str]], cells: Mapping[str, Sequence[Sequence[str]]]
) -> int:
    widths = [_width(headers[name], cells[name]) for name in headers]
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _padded(lines: Sequence[str], height: int) -> list[str]:
    return [*lines, *[""] * (height - len(lines))]


def _lines(
    cells: Mapping[str, Sequence[str]], widths: Mapping[str, int], text: Collection[str]
) -> Iterator[str]:
    for line in zip(*cells.values(), strict=True):
        aligned = []
        for name, cell in zip(cells, line, strict=True):
            blank = " " * (widths[name] - _cells(cell))
            aligned.append(cell + blank if name in text else blank + cell)
        yield GAP.join(aligned).rstrip()


def _cells(text: str) -> int:
    """Columns that a text takes up; East Asian letters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
