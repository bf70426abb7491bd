"""Command lines suggested in messages, in the form in which the user invoked this program."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

SCRIPT = "tune_main.py"
"""Entry point in a checkout."""
CONSOLE_SCRIPT = "handsigns"
"""Console script of the installed package; also named in files that outlive the invocation."""
_PLACEHOLDER = re.compile("[A-Z]+…?")


def program() -> str:
    """Return how this program was invoked: as a script, a console script or a module.

    Within another program, such as a notebook, this is the module form, which works wherever the
    package is installed.
    """
    invoked = Path(sys.argv[0]) if sys.argv and sys.argv[0] else Path()
    if invoked.name == SCRIPT:
        return f"python {shlex.quote(sys.argv[0])}"
    if invoked.stem == CONSOLE_SCRIPT:
        return CONSOLE_SCRIPT
    return f"python -m {CONSOLE_SCRIPT}"


def command(*words: str | Path, program_name: str | None = None) -> str:
    """Return a command line to paste into a shell, quoted where necessary.

    Args:
        words: the command and its arguments.
        program_name: name of the program; None: as it was invoked.
    """
    return " ".join([program_name or program(), *(_quoted(str(word)) for word in words)])


def _quoted(word: str) -> str:
    """Quote a word unless it is a placeholder (capitals, optionally an ellipsis: ``IMAGE…``)."""
    return word if _PLACEHOLDER.fullmatch(word) else shlex.quote(word)
