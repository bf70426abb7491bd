"""Handling of SIGINT (Ctrl-C) and SIGTERM during a search."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, TextIO

from handsigns.errors import INTERRUPTED
from handsigns.policy.stopping import StoppingCriteria


@contextlib.contextmanager
def handle_interrupts(
    stopping: StoppingCriteria, terminal: TextIO, resume_command: str, *, exit_on_second: bool
) -> Iterator[None]:
    """Stop the search gracefully at the first interrupt, and immediately at the second.

    Args:
        stopping: criteria that are notified of the first interrupt.
        terminal: stream of the message at the second interrupt.
        resume_command: command that resumes the search, for that message.
        exit_on_second: exit the process at the second interrupt; else raise KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    signalled = False  # a search that stops by itself does not count as interrupted

    def on_interrupt(*_: Any) -> None:
        nonlocal signalled
        if not signalled:
            signalled = True
            stopping.interrupt()
            return
        if not exit_on_second:
            raise KeyboardInterrupt
        # Ray's processes end with this one, and the journal has everything that was reported.
        show_cursor = "\x1b[?25h" if terminal.isatty() else ""  # the live display hides it
        text = f"{show_cursor}\ninterrupted; resume with: {resume_command}\n"
        os.write(terminal.fileno(), text.encode())
        os._exit(INTERRUPTED)

    previous = {sig: signal.signal(sig, on_interrupt) for sig in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sig, handler in previous.items():
            signal.signal(sig, handler)
