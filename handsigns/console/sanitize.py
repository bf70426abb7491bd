"""Text from outside, made safe to print."""

from __future__ import annotations

import sys
import unicodedata

_MARKDOWN = frozenset(r"\`*_{}[]()#+-.!|~$@:=\"'")


def printable(text: str) -> str:
    """The text with control characters, such as terminal escapes and line breaks, made visible."""
    return "".join(
        repr(character)[1:-1]
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


def no_formula(text: str) -> str:
    """The text for a cell of CSV, such that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def inert(text: str) -> str:
    """The text on one line of Markdown, such that nothing in it is a link, markup or HTML."""
    shown = "".join(f"\\{c}" if c in _MARKDOWN else c for c in printable(text))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def note(text: str) -> None:
    """Tell the user something beside what was asked for, on standard error."""
    print(f"note: {printable(text)}", file=sys.stderr, flush=True)
