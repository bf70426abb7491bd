"""Isolation of the calling process from the changes that a search makes to it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def environment(settings: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables within the context (None unsets one), and restore all afterwards.

    Variables that the body itself sets or changes are restored, too.
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
def restore_process_state() -> Iterator[None]:
    """Restore the signal handlers and warning filters that Ray and other libraries change."""
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for kind, handler in handlers.items():
                signal.signal(kind, handler)
