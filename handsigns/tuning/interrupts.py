"""Ctrl-C, and requests to terminate, while a search runs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, TextIO

from handsigns.policy.stopping import StoppingCriteria

INTERRUPTED = 130
"""Exit status of a command that the user interrupted."""


@contextlib.contextmanager
def interrupts(
    stopping: StoppingCriteria, terminal: TextIO, resume_command: str, *, exit_at_second: bool
) -> Iterator[None]:
    """End the search in order at the first interrupt, and at once at a second one.

    Args:
        exit_at_second: end the whole process then; else KeyboardInterrupt is raised.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_interrupt(*_: Any) -> None:
        if not stopping.interrupted:
            stopping.interrupt()
            return
        if not exit_at_second:
            raise KeyboardInterrupt
        # Ray's processes end with this one, and the journal has all that was reported.
        shown = "\x1b[?25h" if terminal.isatty() else ""  # the live display hides the cursor
        text = f"{shown}\ninterrupted; go on with: {resume_command}\n"
        os.write(terminal.fileno(), text.encode())
        os._exit(INTERRUPTED)

    before = {kind: signal.signal(kind, on_interrupt) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
