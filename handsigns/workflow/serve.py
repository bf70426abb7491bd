"""Serve predictions of the winner over HTTP, on this machine alone."""

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
    """Answer requests until Ctrl-C or a request to terminate.

    Args:
        paths: of the search.
        port: to listen on, on loopback.
        trust_user_code: whether a network of the user's may be run.

    Raises:
        ResultsError: there is no winner, or packages are missing.
        ResourceError: the port is taken.
    """
    from handsigns.cluster.session import ray_session
    from handsigns.console.capture import output_to
    from handsigns.results.winner import read_card
    from handsigns.winner.serve import HOST, check_extra, check_port, served

    check_extra()
    ensure_winner(paths)
    read_card(paths.winner)
    check_port(port)
    print(f"starting; Ray's own output goes to {paths.log}", flush=True)
    with _termination() as end, output_to(paths.log) as terminal:
        with (
            ray_session(None, 0),
            served(paths.winner, port, allow_own_code=trust_user_code),
        ):
            address = f"http://{HOST}:{port}"
            print(f"{paths.name} answers on {address}; Ctrl-C ends it. Try it:", file=terminal)
            print(f"  curl --data-binary @photo.jpg {address}/predict", file=terminal, flush=True)
            end.wait()
        print("ended", file=terminal, flush=True)


@contextlib.contextmanager
def _termination() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C, or a request to terminate, sets."""
    end = threading.Event()
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda *_: end.set()) for kind in kinds}
    try:
        yield end
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
