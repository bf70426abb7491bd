"""What a search changes in the process that runs it, and undoing it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def environment(settings: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables while this lasts; None unsets one.

    Variables that are set, or changed, within it are as before afterwards, too.
    """
    before = dict(os.environ)
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def process_as_before() -> Iterator[None]:
    """Undo what Ray and other libraries do to the process: signal handlers, warning filters."""
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for kind, handler in handlers.items():
                signal.signal(kind, handler)
