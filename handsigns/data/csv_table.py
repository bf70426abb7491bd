"""CSV tables that users write, perhaps with a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from handsigns.console.sanitize import printable
from handsigns.errors import DataError


def read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and each row below it that is not empty: its line number and its cells.

    Commas, semicolons or tabs separate the cells: spreadsheets save with the separator of the
    user's language. Rows that are shorter than the header are filled up with empty cells.

    Raises:
        DataError: the file cannot be read, or is not CSV in UTF-8.
    """
    shown = printable(str(path))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            header = next(reader, [])
            rows = [(reader.line_num, cells) for cells in reader if any(cells)]
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise DataError(
            f"{shown} cannot be read as a CSV file in UTF-8: {error}; save it as one"
        ) from error
    return header, [(line, cells + [""] * (len(header) - len(cells))) for line, cells in rows]


def column_names(header: Iterable[str]) -> list[str]:
    """Return names of columns in lower case, without spaces, underscores and hyphens."""
    return [name.strip().lower().translate({ord(c): None for c in " _-"}) for name in header]
