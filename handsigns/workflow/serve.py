"""HTTP service of the winner, with a page for the camera, on loopback."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from handsigns.workflow.next_step import ensure_winner

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths


def serve(paths: SearchPaths, port: int, *, trust_user_code: bool = False) -> None:
    """Serve the page and predictions until SIGINT (Ctrl-C) or SIGTERM.

    Args:
        paths: paths of the search.
        port: port to listen on, on loopback.
        trust_user_code: whether a user-defined network may be run.

    Raises:
        ResultsError: there is no winner, it cannot be loaded, packages are missing, or the port is
            taken.
        ResourceError: Ray Serve does not start.
    """
    from handsigns.cluster.session import ray_session
    from handsigns.console.capture import redirect_output
    from handsigns.winner.serve import HOST, check_extra, check_model, check_port, served

    check_extra()
    ensure_winner(paths)
    check_model(paths.winner, trust_user_code=trust_user_code)
    check_port(port)
    print(f"starting; Ray's own output goes to {paths.ray_log}", flush=True)
    with redirect_output(paths.ray_log) as terminal:
        with (
            ray_session(None, 0),
            served(paths.winner, port, trust_user_code=trust_user_code),
            # Last: Ray installs handlers of its own, and its start is to remain interruptible.
            _shutdown_event() as shutdown,
        ):
            address = f"http://{HOST}:{port}"
            print(
                f"serving {paths.name} on {address}, a page with the camera; stop with Ctrl-C. "
                f"From a program:",
                file=terminal,
            )
            print(f"  curl --data-binary @photo.jpg {address}/predict", file=terminal, flush=True)
            shutdown.wait()
        print("stopped", file=terminal, flush=True)


@contextlib.contextmanager
def _shutdown_event() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set."""
    shutdown = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, lambda *_: shutdown.set()) for number in signals}
    try:
        yield shutdown
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
