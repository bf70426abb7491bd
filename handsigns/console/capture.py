"""Keeps the terminal for us: what Ray and its processes print goes to a log file instead."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

from handsigns.console.steady import SteadyStream


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[TextIO]:
    """Send standard output and error to `log`, for child processes too; yields the terminal.

    The terminal may disappear meanwhile, which is noted in the log.

    Works on the file descriptors, since Ray's processes inherit those. In a notebook Python's own
    output goes elsewhere, past the descriptors; meanwhile it is sent there, too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    terminal = os.fdopen(os.dup(saved[0]), "w", encoding="utf-8", errors="replace")
    own_out, own_err = sys.__stdout__ or sys.stdout, sys.__stderr__ or sys.stderr
    try:
        with contextlib.redirect_stdout(own_out), contextlib.redirect_stderr(own_err):
            yield cast(TextIO, SteadyStream(terminal, _note_loss))
    finally:
        with contextlib.suppress(OSError):
            terminal.close()
        with contextlib.suppress(OSError):  # the disk with the log may be full
            own_out.flush()
            own_err.flush()
        for number, descriptor in enumerate(saved, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _note_loss(error: OSError) -> None:
    print(f"nobody reads the output any more ({error}); the search continues", flush=True)
