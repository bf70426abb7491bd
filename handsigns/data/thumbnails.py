"""Thumbnails of images, for pages."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from handsigns.data.images import Pixels

_SIZE = 96
"""Size in pixels up to which thumbnails are stored."""


def encode_thumbnail(pixels: Pixels) -> str:
    """Return an image as JPEG in Base64, reduced to at most `_SIZE` pixels."""
    image = Image.fromarray(np.asarray(pixels))
    image.thumbnail((_SIZE, _SIZE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode()
