"""Image files, which may be anything: reading, formats, limits and Pillow's errors."""

from __future__ import annotations

import contextlib
import io
import math
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError, features

from handsigns.data.file_types import is_avif, is_heif
from handsigns.host import is_installed

MAX_FILE_BYTES = 200 * 2**20
_MAX_MEGAPIXELS_VAR = "HANDSIGNS_MAX_MEGAPIXELS"
_DEFAULT_MAX_MEGAPIXELS = "100"
"""Default limit of a decoded image: each decoding thread needs up to 20 bytes per pixel.

Measured: 4 for RGB, 8 if transparent, 12 if floating-point, and 4 more if turned; 20 for WebP."""
IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF")
"""Formats tried, in this order, whatever the file's suffix. Pillow knows more, but would pass EPS
to Ghostscript, an external program, which no data set may start."""
_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_PNG_CHUNKS = 100_000
"""A PNG of the largest size allowed, in chunks of 8 KiB, has a quarter of them."""


class InvalidImageError(Exception):
    """Unusable image file; the message is the reason."""


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        InvalidImageError: it is empty, too large, not a regular file, or cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # A folder; or a pipe or device, which might never end.
            raise InvalidImageError("not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise InvalidImageError(
                f"too large: {status.st_size / 2**20:,.0f} MiB, limit {MAX_FILE_BYTES >> 20} MiB"
            )
        content = path.read_bytes()
    except OSError as error:
        raise InvalidImageError(f"unreadable: {error.strerror}") from error
    except ValueError as error:  # a path with a null byte
        raise InvalidImageError(f"unreadable: {error}") from error
    if not content:
        raise InvalidImageError("empty: 0 bytes")
    return content


def file_size(path: Path) -> int:
    """Return a file's size in bytes; -1 if unknown, for `read_bytes` to report why."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def open_image(content: bytes) -> Image.Image:
    """Open an image without decoding it.

    Raises:
        InvalidImageError: it is in no supported format, or its decoder is not installed.
    """
    if is_heif(content):
        if not is_heif_supported():
            raise InvalidImageError("HEIC needs pillow-heif: pip install 'handsigns[heif]'")
        from pillow_heif import HeifImageFile

        return HeifImageFile(io.BytesIO(content))  # type: ignore[no-untyped-call]
    try:
        return Image.open(io.BytesIO(_strip_png_metadata(content)), formats=IMAGE_FORMATS)
    except UnidentifiedImageError as error:
        if is_avif(content):
            raise InvalidImageError(
                "damaged AVIF, or AVIF is not part of this Pillow: pip install --upgrade pillow"
            ) from error
        raise InvalidImageError(
            "not an image in a supported format (JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, HEIC)"
        ) from error


@contextlib.contextmanager
def invalid_image_errors() -> Iterator[None]:
    """Convert errors of Pillow to `InvalidImageError`, without its warnings and size limit."""
    with _SUPPRESS_WARNINGS:
        try:
            yield
        except InvalidImageError:
            raise
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged content.
            reason = "truncated" if "truncated" in str(error) else "damaged"
            raise InvalidImageError(f"{reason}: {error}") from error


def is_heif_supported() -> bool:
    """Return whether the optional decoder of HEIC and HEIF is installed."""
    return is_installed("pillow_heif")


def decoding_options() -> tuple[object, ...]:
    """Return what decides here which images can be decoded, and not their content."""
    return is_heif_supported(), features.check("avif"), _max_megapixels_setting()


def _max_megapixels_setting() -> str:
    return os.environ.get(_MAX_MEGAPIXELS_VAR) or _DEFAULT_MAX_MEGAPIXELS


def check_megapixels(size: tuple[int, int]) -> None:
    """Check that an image of this size, (width, height) in pixels, may be decoded.

    Raises:
        InvalidImageError: it has more pixels than the limit, or the limit is not a number.
    """
    megapixels = size[0] * size[1] / 1e6
    setting = _max_megapixels_setting()
    try:
        limit = float(setting)
    except ValueError as error:
        raise InvalidImageError(
            f"environment variable {_MAX_MEGAPIXELS_VAR} is not a number: {setting}"
        ) from error
    if megapixels > limit:
        raise InvalidImageError(
            f"too large: {megapixels:,.0f} megapixels to decode, limit {limit:g}; shrink it, or "
            f"raise the limit ({_MAX_MEGAPIXELS_VAR}={math.ceil(megapixels)})"
        )


def _strip_png_metadata(content: bytes) -> bytes:
    """Strip texts and colour profile from a PNG: Pillow rejects large or damaged ones.

    Other formats are returned unchanged.

    Raises:
        InvalidImageError: it has so many chunks that reading them would take long.
    """
    if not content.startswith(_PNG):
        return content
    kept: list[bytes] = []
    start, position = 0, len(_PNG)
    for _ in range(_MAX_PNG_CHUNKS):
        if position + 8 > len(content):
            return b"".join([*kept, content[start:position]])
        end = position + 12 + int.from_bytes(content[position : position + 4])
        if content[position + 4 : position + 8] in (b"iCCP", b"iTXt", b"tEXt", b"zTXt"):
            kept.append(content[start:position])
            start = end
        position = end
    raise InvalidImageError(f"damaged: a PNG of more than {_MAX_PNG_CHUNKS:,} chunks")


class _SuppressPillowWarnings:
    """Context manager without Pillow's warnings and size limit, which are checked here anyway.

    `warnings.catch_warnings` alone is not thread-safe: it restores the filters it found, so threads
    that overlap would leave the process with each other's settings.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_inside = 0
        self._restore = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._num_inside == 0:
                self._restore.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                self._restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
                Image.MAX_IMAGE_PIXELS = None
            self._num_inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._num_inside -= 1
            if self._num_inside == 0:
                self._restore.close()


_SUPPRESS_WARNINGS = _SuppressPillowWarnings()
