"""Word wrapping for terminals; lines in a file or pipe are not wrapped."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import IO

from handsigns.console.sanitize import printable

_INDENT = "    "
_MIN_WIDTH = 20


def terminal_width(stream: IO[str]) -> int | None:
    """Return a stream's terminal width in characters; None if it is not a terminal."""
    if not stream.isatty():
        return None
    try:
        actual = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        actual = 0
    if not os.environ.get("COLUMNS", "").isdigit() and actual > 0:
        return actual
    return shutil.get_terminal_size().columns


def wrap_text(text: str, width: int | None) -> str:
    """Wrap text at whitespace to a width in characters (None: unlimited), never inside a word."""
    if width is None or len(text) <= width:
        return text
    lines = textwrap.wrap(
        text,
        max(_MIN_WIDTH, width),
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def print_line(text: str, file: IO[str] | None = None) -> None:
    """Sanitise, wrap and print a line to `file` (default: standard output)."""
    stream = file or sys.stdout
    print(wrap_text(printable(text), terminal_width(stream)), file=stream)
