"""A cluster's job server, through Ray's own client."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

from handsigns.console.sanitize import printable
from handsigns.errors import ConfigError, ResourceError


def troubles() -> tuple[type[Exception], ...]:
    """What Ray's client raises where the line is cut or the token is not the cluster's."""
    try:
        import aiohttp
        from ray.exceptions import RayError
    except ImportError:  # which was told
        return ()
    return RayError, OSError, RuntimeError, ValueError, aiohttp.ClientError


def job_client(address: str, log: Path) -> Any:
    """Ray's client of a cluster's job server.

    Args:
        address: of the cluster's dashboard.
        log: where what the client logs goes; made once there is something.

    Raises:
        ConfigError: it can be none, or Ray would take another.
        ResourceError: packages are missing.
        troubles(): there is none, or it does not let us in.
    """
    if not address.startswith(("http://", "https://")):
        raise ConfigError(f"--address {address}: jobs are taken at http://HOST:8265")
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        if os.environ.get(name, address) != address:
            raise ConfigError(
                f"{name} is set to {os.environ[name]}, which Ray would take in place of "
                f"--address {address}; unset it"
            )
    try:
        from ray.job_submission import JobSubmissionClient

        _log_to(log)
        return JobSubmissionClient(address)
    except ImportError as error:
        raise ResourceError(
            f"handing jobs to a cluster needs more packages ({error}): pip install 'ray[default]'"
        ) from error


def print_log(client: Any, job: str) -> None:
    """Print what a job prints, until it ends."""

    async def follow() -> None:
        async for lines in client.tail_job_logs(job):
            for line in lines.splitlines():
                print(printable(line), flush=True)

    asyncio.run(follow())


def _log_to(log: Path) -> None:
    """Send what Ray logs in this process to a file alone."""
    logger = logging.getLogger("ray")
    logger.handlers = [_FileOnDemand(log)]
    logger.propagate = False


class _FileOnDemand(logging.FileHandler):
    """Makes its file, and the folder of that, when something is logged."""

    def __init__(self, log: Path) -> None:
        super().__init__(log, delay=True, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        super().emit(record)
