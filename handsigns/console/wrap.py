"""Lines for a terminal, wrapped at words; in a file or pipe they stay whole."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import IO

from handsigns.console.sanitize import printable

_INDENT = "    "
_NARROWEST = 20


def width_of(stream: IO[str]) -> int | None:
    """Return the columns of the terminal that a stream writes to; None where it is no terminal."""
    if not stream.isatty():
        return None
    try:
        actual = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        actual = 0
    if not os.environ.get("COLUMNS", "").isdigit() and actual > 0:
        return actual
    return shutil.get_terminal_size().columns


def wrapped(text: str, width: int | None) -> str:
    """Return the text with line breaks between words, none inside one, at that width (None: no
    limit).
    """
    if width is None or len(text) <= width:
        return text
    lines = textwrap.wrap(
        text,
        max(_NARROWEST, width),
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def show_line(text: str, file: IO[str] | None = None) -> None:
    """Print a line on standard output, or another stream. The text may be from outside."""
    stream = file or sys.stdout
    print(wrapped(printable(text), width_of(stream)), file=stream)
