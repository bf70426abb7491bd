"""HTTP service of the winner: a page with the camera, and image in, probabilities out.

``GET /`` is the page, ``GET /model`` describes the model, and ``POST /predict`` takes an image as
the body, or as a file of a multipart form. Errors are JSON with the reason: 400 for an unusable
image, 403 for a request of another site's page, 408 for an image that does not arrive in time, 413
for one over the size limit.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from handsigns.cluster.ray_compat import serve_on_loopback
from handsigns.data.image_files import MAX_FILE_BYTES, InvalidImageError
from handsigns.data.images import Pixels, decode
from handsigns.host import available_cpus
from handsigns.results.winner import ModelCard
from handsigns.winner.page import PAGE_HEADERS, load_page
from handsigns.winner.predict import load_winner
from handsigns.winner.request_body import TooLargeError, check_length, extract_image, read_body
from handsigns.winner.request_origin import foreign_origin

MAX_CONCURRENT_REQUESTS = 16
"""Limit on concurrent requests, and so on the images of a batch; others wait."""
MAX_QUEUED_REQUESTS = 256
"""Limit on requests that wait; Ray Serve answers others with status 503."""
_MAX_CONCURRENT_BODIES = 4
"""Limit on requests that are read and decoded at once, to bound their memory."""
_READ_TIMEOUT_S = 30
"""Time in which a body must arrive: one that stalls would keep others from being read."""
_MAJORITY = 0.5
"""Threshold of a model without a calibrated one: the class is more likely than all others."""


class PredictionService:
    """Ray Serve deployment, which loads its own copy of the model.

    Args:
        winner: folder of the retrained model.
        host: the only address to listen on.
        trust_user_code: see `load_model`.
    """

    def __init__(self, winner: Path, host: str, trust_user_code: bool) -> None:
        serve_on_loopback(host)
        torch.set_num_threads(available_cpus())
        self._winner = load_winner(winner, trust_user_code=trust_user_code)
        self._bodies = asyncio.Semaphore(_MAX_CONCURRENT_BODIES)
        self._page = load_page()

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        if reason := foreign_origin(request):
            return _error(403, reason)
        path = request.url.path
        match request.method, path:
            case "GET" | "HEAD", _ if path in self._page:
                asset = self._page[path]
                return Response(asset.content, headers=PAGE_HEADERS, media_type=asset.media_type)
            case "GET" | "HEAD", "/model":
                return JSONResponse(describe_model(self._winner.card))
            case "POST", "/predict":
                return await self._predict(request)
            case _ if path in self._page or path in ("/model", "/predict"):
                return _error(405, "POST an image to /predict, or GET / or /model")
            case _:
                return _error(404, "unknown path; use /, /model or /predict")

    async def _predict(self, request: Request) -> Response:
        try:
            check_length(request)
            async with self._bodies:
                image = await self._read_image(request)
        except TooLargeError:
            return _error(413, f"image larger than the limit of {MAX_FILE_BYTES // 2**20} MiB")
        except TimeoutError:
            return _error(408, f"the image did not arrive within {_READ_TIMEOUT_S} s")
        except InvalidImageError as error:
            return _error(400, str(error))
        return JSONResponse(prediction(self._winner.card, await self._classify(image)))

    async def _read_image(self, request: Request) -> Pixels:
        async with asyncio.timeout(_READ_TIMEOUT_S):
            body = await read_body(request)
        return await asyncio.to_thread(self._decode, body, request.headers.get("content-type", ""))

    def _decode(self, body: bytes, content_type: str) -> Pixels:
        content = extract_image(body, content_type)
        if not content:
            raise InvalidImageError("empty: 0 bytes")
        return decode(content, self._winner.card.size)

    # Without a wait, a batch has the requests that arrived while the one before was running.
    @serve.batch(  # type: ignore[untyped-decorator]
        max_batch_size=MAX_CONCURRENT_REQUESTS, batch_wait_timeout_s=0
    )
    async def _classify(self, images: list[Pixels]) -> list[list[float]]:
        """Return the probabilities of each image; called with one, Ray Serve makes batches."""
        probs = await asyncio.to_thread(self._winner.probabilities, np.stack(images))
        rows: list[list[float]] = probs.tolist()
        return rows


def describe_model(card: ModelCard) -> dict[str, Any]:
    """Return the response to ``GET /model``."""
    return {
        "description": "an image classifier made by handsigns",
        "usage": "POST an image to /predict, as the body or as a file of a multipart form",
        "search": card.search,
        "trial_id": card.trial_id,
        "classes": list(card.classes),
        "size": card.size,
        "threshold": _threshold(card),
        "threshold_calibrated": card.confidence_threshold is not None,
    }


def prediction(card: ModelCard, probs: list[float]) -> dict[str, Any]:
    """Return the response to ``POST /predict``, given the probability of each class.

    It is sure if exactly one class reaches the threshold; see `confidence_threshold`.
    """
    probabilities = dict(zip(card.classes, probs, strict=True))
    return {
        "label": max(probabilities, key=lambda name: probabilities[name]),
        "sure": sum(p >= _threshold(card) for p in probs) == 1,
        "probabilities": probabilities,
    }


def _threshold(card: ModelCard) -> float:
    return _MAJORITY if card.confidence_threshold is None else card.confidence_threshold


def _error(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status)
