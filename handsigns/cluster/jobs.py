"""Client of a Ray cluster's job server."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

from handsigns.console.sanitize import printable
from handsigns.errors import ConfigError, ResourceError


def client_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of Ray's client for a lost connection or a rejected token."""
    try:
        import aiohttp
        from ray.exceptions import RayError
    except ImportError:  # reported by job_client
        return ()
    return RayError, OSError, RuntimeError, ValueError, aiohttp.ClientError


def job_client(address: str, log: Path) -> Any:
    """Connect Ray's client to a cluster's job server.

    Args:
        address: URL of the cluster's dashboard.
        log: path of the client's log file; created with the first record.

    Raises:
        ConfigError: the address is not a URL, or Ray would use another one.
        ResourceError: packages are missing.
        client_errors(): no server responds there, or it rejects the token.
    """
    if not address.startswith(("http://", "https://")):
        raise ConfigError(
            f"--address {address} is not the URL of a job server, such as http://HOST:8265"
        )
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        if os.environ.get(name, address) != address:
            raise ConfigError(
                f"{name} is set to {os.environ[name]}, which Ray would use instead of "
                f"--address {address}; unset it"
            )
    try:
        from ray.job_submission import JobSubmissionClient

        _log_to(log)
        return JobSubmissionClient(address)
    except ImportError as error:
        raise ResourceError(
            f"submitting jobs to a cluster needs more packages ({error}): "
            f"pip install 'ray[default]'"
        ) from error


def stream_job_logs(client: Any, job: str) -> None:
    """Print a job's output until the job ends."""

    async def follow() -> None:
        async for lines in client.tail_job_logs(job):
            for line in lines.splitlines():
                print(printable(line), flush=True)

    asyncio.run(follow())


def _log_to(log: Path) -> None:
    """Redirect Ray's logging in this process to a file."""
    logger = logging.getLogger("ray")
    logger.handlers = [_LazyFileHandler(log)]
    logger.propagate = False


class _LazyFileHandler(logging.FileHandler):
    """File handler that creates its file and folder with the first record."""

    def __init__(self, log: Path) -> None:
        super().__init__(log, delay=True, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        super().emit(record)
