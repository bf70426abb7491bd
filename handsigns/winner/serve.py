"""The winner behind HTTP, by Ray Serve: a picture in, a label and probabilities out.

``POST /predict`` takes a picture as the body, or as a file of a multipart form; ``GET /`` says what
is here. Errors are JSON with the reason: 400 for what is no usable picture, 413 for what is larger
than any picture may be.
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
from handsigns.data.images import LARGEST_BYTES, BadPictureError, decode
from handsigns.errors import ResultsError
from handsigns.host import available_cpus
from handsigns.winner.predict import Winner, load_winner

HOST = "127.0.0.1"
_AT_ONCE = 4
"""Requests that are answered at the same time; others wait. Bounds the memory they take."""


class _TooLargeError(Exception):
    """A body of more bytes than any picture may have."""


def check_extra() -> None:
    """See that Ray Serve is installed.

    Raises:
        ResultsError: it is not.
    """
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise ResultsError("serve needs Ray Serve: pip install 'handsigns[serve]'")


def check_port(port: int) -> None:
    """See that a port is free.

    Raises:
        ResultsError: it is not, or it is not for us.
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
def served(winner: Path, port: int, *, allow_own_code: bool = False) -> Iterator[None]:
    """Answer requests on loopback for as long as this lasts; Ray must be running.

    Args:
        winner: folder of the retrained model.
        port: on 127.0.0.1.
        allow_own_code: see `load_model`.
    """
    from ray import serve

    deployment = serve.deployment(_Answers).options(
        name="winner", max_ongoing_requests=_AT_ONCE, ray_actor_options={"num_cpus": 1}
    )
    serve.start(http_options={"host": HOST, "port": port})
    try:
        winner_app = deployment.bind(winner.resolve(), allow_own_code)
        serve.run(winner_app, name="winner", route_prefix="/")
        yield
    finally:
        serve.shutdown()


class _Answers:
    """Runs in a process of Ray's, with a model of its own."""

    def __init__(self, winner: Path, allow_own_code: bool) -> None:
        serve_on_loopback(HOST)
        torch.set_num_threads(available_cpus())
        self._winner = load_winner(winner, allow_own_code=allow_own_code)

    async def __call__(self, request: Any) -> Any:
        """Answer a Starlette request with a Starlette response."""
        from starlette.responses import JSONResponse

        status, content = await self._answer(request)
        return JSONResponse(content, status)

    async def _answer(self, request: Any) -> tuple[int, dict[str, Any]]:
        match request.method, request.url.path:
            case "GET" | "HEAD", "/":
                return 200, describe(self._winner)
            case "POST", "/predict":
                return await self._predict(request)
            case _, "/" | "/predict":
                return 405, {"error": "POST a picture to /predict, or GET /"}
            case _:
                return 404, {"error": "there are only / and /predict"}

    async def _predict(self, request: Any) -> tuple[int, dict[str, Any]]:
        try:
            body = await _read(request)
            picture = picture_in(body, request.headers.get("content-type", ""))
            return 200, await asyncio.to_thread(classify, self._winner, picture)
        except _TooLargeError:
            limit = LARGEST_BYTES // 2**20
            return 413, {"error": f"larger than a picture may be, which is {limit} MiB"}
        except BadPictureError as error:
            return 400, {"error": str(error)}


def describe(winner: Winner) -> dict[str, Any]:
    """What ``GET /`` says."""
    card = winner.card
    return {
        "what": "an image classifier made by handsigns",
        "use": "POST a picture to /predict, as the body or as a file of a multipart form",
        "search": card.search,
        "trial_id": card.trial_id,
        "classes": list(card.classes),
        "size": card.size,
    }


def classify(winner: Winner, picture: bytes) -> dict[str, Any]:
    """Label and probabilities of a picture file's content.

    Raises:
        BadPictureError: it is no usable picture.
    """
    if not picture:
        raise BadPictureError("empty: 0 bytes")
    image = decode(picture, winner.card.size)
    shares = winner.probabilities(image[None])[0].tolist()
    probabilities = dict(zip(winner.card.classes, shares, strict=True))
    label = max(probabilities, key=lambda name: probabilities[name])
    return {"label": label, "probabilities": probabilities}


def picture_in(body: bytes, content_type: str) -> bytes:
    """The picture in a request: its whole body, or the first file of a multipart form (RFC 7578).

    Raises:
        BadPictureError: the form has no file.
    """
    header = email.message.Message()
    header["content-type"] = content_type
    if header.get_content_type() != "multipart/form-data":
        return body
    boundary = str(header.get_boundary("")).encode()
    # Each part begins after a line with the boundary, and no part may contain such a line.
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1] if boundary else []:
        head, _, content = part.partition(b"\r\n\r\n")
        if b"filename" in head.lower():
            return content
    raise BadPictureError("the form has no file in it")


async def _read(request: Any) -> bytes:
    """The body, as long as it is no larger than a picture may be; what says it is, is not read."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > LARGEST_BYTES:
        raise _TooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BYTES:
            raise _TooLargeError
    return bytes(body)
