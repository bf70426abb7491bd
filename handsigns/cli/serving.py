"""The command `serve`."""

from __future__ import annotations

import contextlib
import signal
import threading
from argparse import Namespace
from collections.abc import Iterator

from handsigns.results.paths import SearchPaths


def serve(options: Namespace) -> int:
    """Answer requests with the winner until the user ends it."""
    paths = SearchPaths.existing(options.results, options.name)

    from handsigns.cluster.session import ray_session
    from handsigns.console.capture import output_to
    from handsigns.winner.model import load_card
    from handsigns.winner.serve import HOST, check_extra, check_port, served

    check_extra()
    load_card(paths.winner)
    check_port(options.port)
    print(f"starting; Ray's own output goes to {paths.log}", flush=True)
    with _ended_by_user() as end, output_to(paths.log) as terminal:
        with (
            ray_session(None, 0),
            served(paths.winner, options.port, allow_own_code=options.own_code),
        ):
            address = f"http://{HOST}:{options.port}"
            print(f"{paths.name} answers on {address}; Ctrl-C ends it. Try it:", file=terminal)
            print(f"  curl --data-binary @photo.jpg {address}/predict", file=terminal, flush=True)
            end.wait()
        print("ended", file=terminal, flush=True)
    return 0


@contextlib.contextmanager
def _ended_by_user() -> Iterator[threading.Event]:
    """An event that Ctrl-C, or a request to terminate, brings about."""
    end = threading.Event()
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda *_: end.set()) for kind in kinds}
    try:
        yield end
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
