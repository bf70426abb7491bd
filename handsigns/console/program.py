"""Commands as messages suggest them: in the form in which the user invoked this program."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

SCRIPT = "tune_main.py"
"""The entry point in a checkout."""
INSTALLED = "handsigns"
"""The console script of an installed package; files that outlive an invocation name it."""
_TO_FILL_IN = re.compile("[A-Z]+…?")


def program() -> str:
    """Return how this program was invoked: as a script, a console script or a module.

    Within another program, such as a notebook, it is the module, which any Python finds that has
    the package.
    """
    invoked = Path(sys.argv[0]) if sys.argv and sys.argv[0] else Path()
    if invoked.name == SCRIPT:
        return f"python {shlex.quote(sys.argv[0])}"
    if invoked.stem == INSTALLED:
        return INSTALLED
    return f"python -m {INSTALLED}"


def command(*words: str | Path, form: str | None = None) -> str:
    """Return a command line that can be pasted; words are quoted where a shell needs it.

    Args:
        words: the command and its arguments.
        form: how the program is named; None: as it was invoked.
    """
    return " ".join([form or program(), *(_quoted(str(word)) for word in words)])


def _quoted(word: str) -> str:
    """Quote a word unless it is for the user to fill in: capitals, perhaps an ellipsis: IMAGE…."""
    return word if _TO_FILL_IN.fullmatch(word) else shlex.quote(word)
