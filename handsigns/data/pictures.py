"""Decoding one picture file, of whatever size and kind, to a small square of RGB."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

LARGEST_PIXELS = 100_000_000
LARGEST_BYTES = 200 * 2**20

Pixels = npt.NDArray[np.uint8]


class BadPictureError(Exception):
    """A file that is no usable picture; the message is the reason."""


def read_bytes(path: Path) -> bytes:
    """A file's content.

    Raises:
        BadPictureError: it is empty, absurdly large, or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise BadPictureError(f"absurdly large: {size / 2**20:,.0f} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise BadPictureError(f"unreadable: {error.strerror}") from error
    if not content:
        raise BadPictureError("empty: 0 bytes")
    return content


def decode(content: bytes, size: int) -> Pixels:
    """A picture as uint8 (size, size, 3): upright, the central square, antialiased.

    Grey and palette images become RGB; transparent parts become white, as on paper. A picture that
    has the size already is not resampled, so its pixels stay exact.

    Raises:
        BadPictureError: it is no image, truncated, or has more than `LARGEST_PIXELS` pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of what is checked here anyway
        try:
            with Image.open(io.BytesIO(content)) as image:
                if image.width * image.height > LARGEST_PIXELS:
                    megapixels = image.width * image.height / 1e6
                    raise BadPictureError(f"absurdly large: {megapixels:,.0f} megapixels")
                # JPEGs can be decoded at a fraction of their size, several times faster.
                image.draft("RGB", (4 * size, 4 * size))
                return np.asarray(_square(_as_rgb(image), size))
        except UnidentifiedImageError as error:
            raise BadPictureError("not an image") from error
        except Image.DecompressionBombError as error:
            raise BadPictureError("absurdly large: a decompression bomb") from error
        except (OSError, SyntaxError, ValueError, TypeError, EOFError, MemoryError) as error:
            reason = "truncated" if "truncated" in str(error).lower() else "damaged"
            raise BadPictureError(f"{reason}: {error}") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        # 16 bits a pixel: Pillow's own conversion would clip where it should scale.
        values = np.asarray(image, dtype=np.float64)
        scale = 255 / 65535 if image.mode != "F" and values.max(initial=0) > 255 else 1.0
        image = Image.fromarray(np.clip(values * scale + 0.5, 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    return image.convert("RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
