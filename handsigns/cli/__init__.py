"""The command line, `tune_main.py COMMAND …`. Heavy imports are left to the commands."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Iterator, Sequence

from handsigns.console.sanitize import printable
from handsigns.errors import HandsignsError

USER_ERROR = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 2 for the user's mistakes, 130 for Ctrl-C."""
    from handsigns.cli.parser import make_parser

    # Loading libraries and journals makes many objects and little garbage; looking for it at
    # Python's usual rate takes a third of the time.
    gc.set_threshold(100_000, 20, 20)
    options = make_parser().parse_args(arguments)
    try:
        with _in_step(options):
            status: int = options.command(options)
            sys.stdout.flush()
    except HandsignsError as error:
        # Each line by itself, as messages have several.
        text = "\n".join(map(printable, str(error).split("\n")))
        print(f"error: {text}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Nothing more can be written there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        # A disk that is full, a folder that may not be written, a file that may not be read.
        print(f"error: {printable(f'{error.filename}: {error.strerror}')}", file=sys.stderr)
        return USER_ERROR
    return status


@contextlib.contextmanager
def _in_step(options: argparse.Namespace) -> Iterator[None]:
    """Bring here what a search has in a storage, before; and take there what is new, after."""
    if "storage" not in options:
        yield
        return

    from handsigns.workflow.flow import bring_here, take_there

    if options.begun:
        bring_here(options.results, options.name, options.storage)
    try:
        yield
    finally:
        if options.name:  # a new search has it by now
            take_there(options.results, options.name)
