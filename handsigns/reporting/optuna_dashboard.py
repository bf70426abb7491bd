# mypy: disable-error-code="import-untyped"
"""Local server of optuna-dashboard on a search's Optuna journal, bound to loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from handsigns.errors import ConfigError

HOST = "127.0.0.1"


def serve(file: Path, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the dashboard until interrupted.

    Args:
        file: path of an Optuna JournalStorage; trials appended while serving are shown, too.
        port: port to listen on; 0 takes a free one.
        on_ready: called with the URL once the dashboard is reachable.

    Raises:
        ConfigError: the port is in use.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna_dashboard import wsgi

    # The path of the lock must be absolute, as for `tracking.optuna_study`.
    app = wsgi(JournalStorage(JournalFileBackend(str(file.absolute()))))
    try:
        server = make_server(HOST, port, _loopback_only(app), _Server, _QuietHandler)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on --port {port} ({error.strerror}); choose another, or 0"
        ) from error
    with server:
        on_ready(f"http://{HOST}:{server.server_port}/")
        server.serve_forever()


def _loopback_only(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Refuse requests with a foreign host name (DNS rebinding)."""

    def restricted_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").partition(":")[0]
        if host not in (HOST, "localhost"):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"served to this machine only\n"]
        return app(environ, start_response)

    return restricted_app


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Log no requests."""
