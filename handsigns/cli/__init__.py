"""The command line: `main` parses it, runs a command and turns errors into an exit status."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from handsigns.console.sanitize import printable
from handsigns.console.steady import open_missing_streams, steady_output
from handsigns.errors import HandsignsError

USER_ERROR = 2
INTERRUPTED = 130
_LASTING = ("run", "search", "resume", "reevaluate", "retrain", "test", "submit", "prepare")
"""Commands whose work matters more than that somebody reads what they print."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 2 for the user's mistakes, 130 for Ctrl-C."""
    from handsigns.cli.parser import parse

    # Loading libraries and journals makes many objects and little garbage; looking for it at
    # Python's usual rate takes a third of the time.
    gc.set_threshold(100_000, 20, 20)
    open_missing_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    steady = steady_output() if arguments[0] in _LASTING else contextlib.nullcontext()
    with steady:
        return _run(options)


def _run(options: Namespace) -> int:
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except HandsignsError as error:
        # Each line by itself, as messages have several.
        text = "\n".join(map(printable, str(error).split("\n")))
        print(f"error: {text}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.EIO) and error.filename is None:
            # The reader, such as `head`, has seen enough, or the terminal was closed. Nothing more
            # can be written there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        if error.filename is None:
            raise
        # A disk that is full, a folder that may not be written, a file that may not be read.
        print(f"error: {printable(f'{error.filename}: {error.strerror}')}", file=sys.stderr)
        return USER_ERROR
    return status
