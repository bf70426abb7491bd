"""Commands as messages suggest them: in the form in which the user has called this program."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

SCRIPT = "tune_main.py"
"""The entry point in a checkout."""


def program() -> str:
    """Return how this program was called: as a script, a console command or a module.

    Within another program, such as a notebook, the module is named, which any Python finds in which
    the package is installed.
    """
    called = Path(sys.argv[0]) if sys.argv and sys.argv[0] else Path()
    if called.name == SCRIPT:
        return f"python {shlex.quote(sys.argv[0])}"
    if called.stem == "handsigns":
        return "handsigns"
    return "python -m handsigns"


def command(*words: str | Path) -> str:
    """Return a command line that can be pasted; words are quoted where a shell needs it."""
    return " ".join([program(), *(_quoted(str(word)) for word in words)])


def _quoted(word: str) -> str:
    """A word in capitals, such as IMAGE…, is for the user to fill in."""
    return word if word.isupper() or word.endswith("…") else shlex.quote(word)
