"""HTTP service of the winner with Ray Serve: image in, label and probabilities out.

``POST /predict`` takes an image as the body, or as a file of a multipart form; ``GET /`` describes
the service. Errors are JSON with the reason: 400 for an unusable image, 413 for one over the size
limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.message
import importlib.util
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from handsigns.cluster.ray_compat import serve_on_loopback
from handsigns.data.images import MAX_FILE_BYTES, InvalidImageError, decode
from handsigns.errors import ResultsError
from handsigns.host import available_cpus
from handsigns.winner.predict import Winner, load_winner

HOST = "127.0.0.1"
_MAX_CONCURRENT_REQUESTS = 4
"""Limit on concurrent requests, to bound their memory; others wait."""


class _TooLargeError(Exception):
    """Request body over the size limit of images."""


def check_extra() -> None:
    """Check that Ray Serve is installed.

    Raises:
        ResultsError: it is not.
    """
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise ResultsError("serve needs Ray Serve: pip install 'handsigns[serve]'")


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
    """
    from ray import serve

    deployment = serve.deployment(_PredictionService).options(
        name="winner",
        max_ongoing_requests=_MAX_CONCURRENT_REQUESTS,
        ray_actor_options={"num_cpus": 1},
    )
    serve.start(http_options={"host": HOST, "port": port})
    try:
        winner_app = deployment.bind(winner.resolve(), trust_user_code)
        serve.run(winner_app, name="winner", route_prefix="/")
        yield
    finally:
        serve.shutdown()


class _PredictionService:
    """Ray Serve deployment, which loads its own copy of the model."""

    def __init__(self, winner: Path, trust_user_code: bool) -> None:
        serve_on_loopback(HOST)
        torch.set_num_threads(available_cpus())
        self._winner = load_winner(winner, trust_user_code=trust_user_code)

    async def __call__(self, request: Any) -> Any:
        """Handle a Starlette request; return a Starlette response."""
        from starlette.responses import JSONResponse

        status, content = await self._route(request)
        return JSONResponse(content, status)

    async def _route(self, request: Any) -> tuple[int, dict[str, Any]]:
        match request.method, request.url.path:
            case "GET" | "HEAD", "/":
                return 200, service_info(self._winner)
            case "POST", "/predict":
                return await self._predict(request)
            case _, "/" | "/predict":
                return 405, {"error": "POST an image to /predict, or GET /"}
            case _:
                return 404, {"error": "unknown path; use / or /predict"}

    async def _predict(self, request: Any) -> tuple[int, dict[str, Any]]:
        try:
            body = await _read_body(request)
            image_bytes = extract_image(body, request.headers.get("content-type", ""))
            return 200, await asyncio.to_thread(classify, self._winner, image_bytes)
        except _TooLargeError:
            limit = MAX_FILE_BYTES // 2**20
            return 413, {"error": f"image larger than the limit of {limit} MiB"}
        except InvalidImageError as error:
            return 400, {"error": str(error)}


def service_info(winner: Winner) -> dict[str, Any]:
    """Return the response to ``GET /``."""
    card = winner.card
    return {
        "description": "an image classifier made by handsigns",
        "usage": "POST an image to /predict, as the body or as a file of a multipart form",
        "search": card.search,
        "trial_id": card.trial_id,
        "classes": list(card.classes),
        "size": card.size,
    }


def classify(winner: Winner, image_bytes: bytes) -> dict[str, Any]:
    """Return the label and the probabilities of an image file's content.

    Raises:
        InvalidImageError: it is not a usable image.
    """
    if not image_bytes:
        raise InvalidImageError("empty: 0 bytes")
    image = decode(image_bytes, winner.card.size)
    probs = winner.probabilities(image[None])[0].tolist()
    probabilities = dict(zip(winner.card.classes, probs, strict=True))
    label = max(probabilities, key=lambda name: probabilities[name])
    return {"label": label, "probabilities": probabilities}


def extract_image(body: bytes, content_type: str) -> bytes:
    """Return the image in a request: its body, or the first file of a multipart form (RFC 7578).

    Raises:
        InvalidImageError: the form has no file.
    """
    header = email.message.Message()
    header["content-type"] = content_type
    if header.get_content_type() != "multipart/form-data":
        return body
    boundary = str(header.get_boundary("")).encode()
    # Each part starts after a line with the boundary; no part may contain such a line.
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1] if boundary else []:
        head, _, content = part.partition(b"\r\n\r\n")
        if b"filename" in head.lower():
            return content
    raise InvalidImageError("the form has no file")


async def _read_body(request: Any) -> bytes:
    """Return the body, read up to the size limit, and not at all if its header exceeds that."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_FILE_BYTES:
        raise _TooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FILE_BYTES:
            raise _TooLargeError
    return bytes(body)
