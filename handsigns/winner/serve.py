"""Start and stop of the winner's HTTP service with Ray Serve, on loopback."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from handsigns.errors import ResourceError, ResultsError
from handsigns.host import is_installed

HOST = "127.0.0.1"

_MAX_START_ATTEMPTS = 3
"""Attempts to start Ray Serve: on a very busy machine its actors may not start in time."""


def check_extra() -> None:
    """Check that Ray Serve is installed.

    Raises:
        ResultsError: it is not.
    """
    if not all(map(is_installed, ("starlette", "uvicorn"))):
        raise ResultsError("serve needs Ray Serve: pip install 'handsigns[serve]'")


def check_model(winner: Path, *, trust_user_code: bool) -> None:
    """Check that the model can be loaded: of a failing replica Ray reports no reason.

    Args:
        winner: folder of the retrained model.
        trust_user_code: see `load_model`.

    Raises:
        ResultsError: the model is missing or damaged, or needs user code that is not trusted.
    """
    import torch

    from handsigns.winner.model import load_model

    load_model(winner, torch.device("cpu"), trust_user_code=trust_user_code)


def check_port(port: int) -> None:
    """Check that a port is available.

    Raises:
        ResultsError: it is in use, or binding it is not permitted.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ResultsError(
                f"port {port} cannot be used ({error.strerror}); choose another (--port)"
            ) from error


@contextlib.contextmanager
def served(winner: Path, port: int, *, trust_user_code: bool = False) -> Iterator[None]:
    """Serve requests on loopback within the context; Ray must be running.

    Args:
        winner: folder of the retrained model.
        port: port on 127.0.0.1.
        trust_user_code: see `load_model`.

    Raises:
        ResourceError: Ray Serve does not start.
    """
    from ray import serve

    try:
        _start(winner, port, trust_user_code)
        yield
    finally:
        serve.shutdown()


def _start(winner: Path, port: int, trust_user_code: bool) -> None:
    from ray import serve
    from ray.exceptions import RayError

    attempts_left = _MAX_START_ATTEMPTS
    while attempts_left:
        attempts_left -= 1
        try:
            _deploy(winner, port, trust_user_code)
        except (RayError, RuntimeError, TimeoutError) as error:
            serve.shutdown()
            # Before a RuntimeError, Ray Serve has itself tried repeatedly.
            if attempts_left and not isinstance(error, RuntimeError):
                continue
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ResourceError(
                f"Ray Serve did not start: {reason}\nIf other programs use the CPUs or the memory, "
                f"try again when they have finished."
            ) from error
        else:
            return


def _deploy(winner: Path, port: int, trust_user_code: bool) -> None:
    from ray import serve

    from handsigns.winner.service import (
        MAX_CONCURRENT_REQUESTS,
        MAX_QUEUED_REQUESTS,
        PredictionService,
    )

    deployment = serve.deployment(PredictionService).options(
        name="winner",
        max_ongoing_requests=MAX_CONCURRENT_REQUESTS,
        max_queued_requests=MAX_QUEUED_REQUESTS,
        ray_actor_options={"num_cpus": 1},
    )
    serve.start(http_options={"host": HOST, "port": port})
    winner_app = deployment.bind(winner.resolve(), HOST, trust_user_code)
    serve.run(winner_app, name="winner", route_prefix="/")
