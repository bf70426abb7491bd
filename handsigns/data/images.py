"""Decoding one picture file, of whatever size and kind, to a small square of RGB."""

from __future__ import annotations

import contextlib
import io
import math
import os
import stat
import threading
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

LARGEST_BYTES = 200 * 2**20
_LIMIT = "HANDSIGNS_MAX_MEGAPIXELS"
_MEGAPIXELS = 100.0
"""Decoded at once, at most, unless the user sets another number: 4 bytes of memory a pixel, for
each of the threads that decode."""
KINDS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""What is tried, in this order, whatever a file is called. Pillow knows more, but would hand EPS to
Ghostscript, a program of its own; no data set may start one."""

Pixels = npt.NDArray[np.uint8]
_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def preparation(size: int) -> str:
    """What `decode` does with an image, for the metadata of an exported model."""
    return f"upright, transparency on white, central square, Lanczos to {size} pixels"


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
        BadPictureError: it is no image, truncated, or has more pixels than may be decoded.
    """
    with _SILENCE:
        try:
            with Image.open(io.BytesIO(_bare(content)), formats=KINDS) as image:
                whole = image.size
                # JPEGs can be decoded at a fraction of their size, several times faster.
                image.draft("RGB", (4 * size, 4 * size))
                # A progressive one is kept whole meanwhile all the same.
                _refuse_absurd(whole if image.info.get("progressive") else image.size)
                return np.asarray(_square(_as_rgb(image), size))
        except BadPictureError:
            raise
        except UnidentifiedImageError as error:
            raise BadPictureError(
                "not an image of a kind that is read (JPEG, PNG, WebP, BMP)"
            ) from error
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged content.
            reason = "truncated" if "truncated" in str(error) else "damaged"
            raise BadPictureError(f"{reason}: {error}") from error


def _refuse_absurd(size: tuple[int, int]) -> None:
    megapixels = size[0] * size[1] / 1e6
    asked = os.environ.get(_LIMIT) or _MEGAPIXELS
    try:
        limit = float(asked)
    except ValueError as error:
        raise BadPictureError(f"the variable {_LIMIT} is no number: {asked}") from error
    if megapixels > limit:
        raise BadPictureError(
            f"absurdly large: {megapixels:,.0f} megapixels to decode, where {limit:g} are allowed; "
            f"shrink it, or allow more ({_LIMIT}={math.ceil(megapixels)})"
        )


def _bare(content: bytes) -> bytes:
    """A PNG without its texts and colour profile, for the size or damage of which Pillow would
    refuse it; anything else as it is.
    """
    if not content.startswith(_PNG):
        return content
    kept, at = [_PNG], len(_PNG)
    while at + 8 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        if content[at + 4 : at + 8] not in (b"iCCP", b"iTXt", b"tEXt", b"zTXt"):
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def _orientation(image: Image.Image) -> int:
    """How the camera was held, by the one field of the metadata that matters; 1, which is
    upright, where that cannot be read.
    """
    try:
        return int(image.getexif()[_ORIENTATION])
    except Exception:  # Pillow's reader raises nearly anything on odd metadata
        return 1


def _as_rgb(image: Image.Image) -> Image.Image:
    turned = _TURNS.get(_orientation(image))
    if turned is not None:
        image = image.transpose(turned)
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
    """No warnings, and none of Pillow's own limits, while any thread is within: what it warns of is
    checked here anyway.

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
                self._restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
                Image.MAX_IMAGE_PIXELS = None
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if self._within == 0:
                self._restore.close()


_SILENCE = _Silence()
