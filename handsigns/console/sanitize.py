"""Sanitising of untrusted text for output."""

from __future__ import annotations

import sys
import unicodedata

_MARKDOWN = frozenset(r"\`*_{}[]()#+-.!|~$@:=\"'")


def printable(text: str) -> str:
    """Return text with control characters, such as terminal escapes and newlines, escaped."""
    return "".join(
        repr(character)[1:-1]
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


def escape_csv_formula(text: str) -> str:
    """Return text for a CSV cell that no spreadsheet interprets as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def unescape_csv_formula(text: str) -> str:
    """Return the text of a CSV cell that `escape_csv_formula` wrote."""
    return text[1:] if text.startswith("'") and escape_csv_formula(text[1:]) == text else text


def escape_markdown(text: str) -> str:
    """Return text as one line of Markdown without active links, markup or HTML."""
    shown = "".join(f"\\{c}" if c in _MARKDOWN else c for c in printable(text))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def note(text: str) -> None:
    """Print a note to standard error."""
    print(f"note: {printable(text)}", file=sys.stderr, flush=True)
