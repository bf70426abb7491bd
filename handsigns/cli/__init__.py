"""Command-line interface: `main` runs a command and maps errors to an exit status."""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from handsigns.console.safe_stream import open_missing_streams, tolerate_broken_pipe
from handsigns.console.sanitize import printable
from handsigns.errors import INTERRUPTED, HandsignsError

USER_ERROR = 2
_LONG_RUNNING = ("run", "search", "resume", "reevaluate", "retrain", "test", "submit", "prepare")
"""Commands that keep running when the reader of their output goes away."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status, as the reference of the command line has it."""
    from handsigns.cli.parser import parse

    # Loading libraries and journals creates many objects and little garbage; at Python's default
    # thresholds, garbage collection takes a third of the time.
    gc.set_threshold(100_000, 20, 20)
    open_missing_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error has it
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    long_running = arguments[0] in _LONG_RUNNING
    with tolerate_broken_pipe() if long_running else contextlib.nullcontext():
        return _run(options, long_running=long_running)


def _run(options: Namespace, *, long_running: bool = False) -> int:
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except HandsignsError as error:
        # Line by line, to keep the line breaks of the message.
        text = "\n".join(map(printable, str(error).split("\n")))
        print(f"error: {text}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if error.errno is None:
            raise
        return _end_after(error, long_running=long_running)
    return status


def _end_after(error: OSError, *, long_running: bool) -> int:
    """Print an error of the system, such as a full disk; return the exit status.

    Output of a long-running command raises none, so that its error is of a file.
    """
    if error.filename is None and not long_running:
        # Probably of standard output: discard the rest, which would be written again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno in (errno.EPIPE, errno.EIO):
            # The reader, such as `head`, has exited, or the terminal was closed.
            return 0
    where = "" if error.filename is None else f"{error.filename}: "
    print(f"error: {printable(f'{where}{error.strerror}')}", file=sys.stderr)
    return USER_ERROR
