# mypy: disable-error-code="import-untyped"
"""optuna-dashboard on a search's Optuna file, for this machine alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from handsigns.errors import ConfigError

HOST = "127.0.0.1"


def serve(file: Path, port: int, ready: Callable[[str], None]) -> None:
    """Serve the dashboard until it is interrupted.

    Args:
        file: in the format of Optuna's JournalStorage; what is appended meanwhile is shown, too.
        port: to listen on; 0 takes a free one.
        ready: told the address once the dashboard can be reached.

    Raises:
        ConfigError: the port is taken.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna_dashboard import wsgi

    app = wsgi(JournalStorage(JournalFileBackend(str(file))))
    try:
        server = make_server(HOST, port, _only_here(app), _Server, _QuietHandler)
    except OSError as error:
        raise ConfigError(
            f"--port {port} cannot be listened on ({error.strerror}); choose another, or 0"
        ) from error
    with server:
        ready(f"http://{HOST}:{server.server_port}/")
        server.serve_forever()


def _only_here(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Refuse what a page from elsewhere would send here under a name of its own (DNS rebinding)."""

    def guarded(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").partition(":")[0]
        if host not in (HOST, "localhost"):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"only for this machine\n"]
        return app(environ, start_response)

    return guarded


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Requests are no news."""
