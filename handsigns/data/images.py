"""Decoding one picture file, of whatever size and kind, to a small square of RGB."""

from __future__ import annotations

import contextlib
import io
import stat
import threading
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

LARGEST_PIXELS = 100_000_000
LARGEST_BYTES = 200 * 2**20
KINDS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
"""What is tried, in this order, whatever a file is called. Pillow knows more, but would hand EPS to
Ghostscript, a program of its own; no data set may start one."""

Pixels = npt.NDArray[np.uint8]


class BadPictureError(Exception):
    """A file that is no usable picture; the message is the reason."""


def read_bytes(path: Path) -> bytes:
    """A file's content.

    Raises:
        BadPictureError: it is empty, absurdly large, no regular file, or cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # A folder; or a pipe or device, which might never end.
            raise BadPictureError("not a regular file")
        if status.st_size > LARGEST_BYTES:
            raise BadPictureError(f"absurdly large: {status.st_size / 2**20:,.0f} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise BadPictureError(f"unreadable: {error.strerror}") from error
    if not content:
        raise BadPictureError("empty: 0 bytes")
    return content


def file_size(path: Path) -> int:
    """The bytes in a file; -1 where that cannot be known, and `read_bytes` will say why."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def decode(content: bytes, size: int) -> Pixels:
    """A picture as uint8 (size, size, 3): upright, the central square, antialiased.

    Grey and palette images become RGB; 16 bits become 8 in proportion; transparent parts become
    white, as on paper and in most viewers. Smaller pictures are enlarged. A picture that has the
    size already is not resampled, so its pixels stay exact.

    Raises:
        BadPictureError: it is no image, truncated, or has more than `LARGEST_PIXELS` pixels.
    """
    with _SILENCE:
        try:
            with Image.open(io.BytesIO(content), formats=KINDS) as image:
                if image.width * image.height > LARGEST_PIXELS:
                    megapixels = image.width * image.height / 1e6
                    raise BadPictureError(f"absurdly large: {megapixels:,.0f} megapixels")
                # JPEGs can be decoded at a fraction of their size, several times faster.
                image.draft("RGB", (4 * size, 4 * size))
                return np.asarray(_square(_as_rgb(image), size))
        except BadPictureError:
            raise
        except UnidentifiedImageError as error:
            raise BadPictureError(
                "not an image of a kind that is read (JPEG, PNG, WebP, BMP)"
            ) from error
        except Image.DecompressionBombError as error:
            raise BadPictureError("absurdly large: a decompression bomb") from error
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged content.
            reason = "truncated" if "truncated" in str(error) else "damaged"
            raise BadPictureError(f"{reason}: {error}") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _as_grey(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    return image.convert("RGB")


def _as_grey(image: Image.Image) -> Image.Image:
    """More than 8 bits a pixel, scaled; Pillow's own conversion would clip."""
    values = np.asarray(image, dtype=np.float32)
    # The mode I;16 says what its range is. I is used for 16 bits and for 8.
    deep = image.mode.startswith("I;16") or (image.mode == "I" and values.max(initial=0) > 255)
    scale = 255 / 65535 if deep else 1.0
    return Image.fromarray(np.clip(values * scale + 0.5, 0, 255).astype(np.uint8))


def _square(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


class _Silence:
    """No warnings while any thread is within: what Pillow warns of is checked here anyway.

    `warnings.catch_warnings` alone is of no use: it puts back what it found, so threads whose times
    overlap leave the whole process with each other's settings.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._restore = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._within == 0:
                self._restore.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if self._within == 0:
                self._restore.close()


_SILENCE = _Silence()
