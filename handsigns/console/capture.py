"""Redirection of everything that Ray and its processes print to a log file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

from handsigns.console.safe_stream import BrokenPipeSafeStream


@contextlib.contextmanager
def redirect_output(log: Path) -> Iterator[TextIO]:
    """Redirect standard output and error to `log`, for child processes too; yield the terminal.

    If the terminal is closed meanwhile, the log says so.

    Works on the file descriptors, since Ray's processes inherit those. A notebook replaces
    `sys.stdout` and `sys.stderr`; within this context they write to the descriptors again.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    terminal = os.fdopen(os.dup(saved[0]), "w", encoding="utf-8", errors="replace")
    out, err = sys.__stdout__ or sys.stdout, sys.__stderr__ or sys.stderr
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield cast(TextIO, BrokenPipeSafeStream(terminal, _report_lost_terminal))
    finally:
        with contextlib.suppress(OSError):
            terminal.close()
        with contextlib.suppress(OSError):  # the disk with the log may be full
            out.flush()
            err.flush()
        for number, descriptor in enumerate(saved, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _report_lost_terminal(error: OSError) -> None:
    print(f"the terminal was closed ({error}); the search continues", flush=True)
