"""Scaling of greyscale of more than 8 bits to 8 bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

EIGHT_BITS = "16-bit TIFF whose values have 8 bits, which are kept"
TWELVE_BITS = "16-bit TIFF whose values have 12 bits, scaled by 4095"
NEARLY_BLACK = (
    "16-bit PNG without values above 4095, thus nearly black, as a PNG's range is 0 to 65535; "
    "multiply 12-bit values by 16, or save them as TIFF"
)
OWN_RANGE = "greyscale with negative or large values, scaled by its own minimum and maximum"
_BLOCK = 2**18
"""Number of values that are scaled at once, in float32: a large image would need much memory."""


def to_8_bits(
    values: npt.NDArray[Any], mode: str, file_format: str | None
) -> tuple[npt.NDArray[np.uint8], str]:
    """Scale greyscale linearly to 8 bits; return it, with a remark if the scale is remarkable.

    The range is that of the type rather than of the image, so that a dark image stays dark: 0 to
    65535 for 16 bits, as the PNG specification requires. A TIFF holds what the camera delivers: the
    smallest of 8, 12 and 16 bits that holds its values. Floating-point values are between 0 and 1,
    or 0 and 255; anything else, such as Hounsfield units, has no range but the image's own.

    Args:
        values: (H, W).
        mode: Pillow's mode: ``I``, ``F``, or one that starts with ``I;16``.
        file_format: Pillow's name of the file's format.
    """
    low, high = _range(values)
    limits = _limits(mode, file_format) if low >= 0 else ()
    limit = next((limit for limit in limits if high <= limit), 0)
    remark = _remark(limit, mode, file_format, high)
    start, span = (0.0, float(limit)) if limit else (low, high - low or 1.0)
    grey = np.empty(values.size, np.uint8)
    for number, block in enumerate(_blocks(values)):
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.clip((block - np.float32(start)) * (255 / span) + 0.5, 0, 255)
        grey[number * _BLOCK :][: block.size] = np.nan_to_num(scaled)
    return grey.reshape(values.shape), remark


def _range(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the smallest and the largest finite value; 0 and 0 if there is none."""
    finite = (block[np.isfinite(block)] for block in _blocks(values))
    ranges = [(float(block.min()), float(block.max())) for block in finite if block.size]
    lows, highs = zip(*ranges, strict=True) if ranges else ((0.0,), (0.0,))
    return min(lows), max(highs)


def _blocks(values: npt.NDArray[Any]) -> Iterator[npt.NDArray[np.float32]]:
    flat = values.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        yield flat[start : start + _BLOCK].astype(np.float32)


def _limits(mode: str, file_format: str | None) -> tuple[int, ...]:
    """Return the upper ends of the ranges from 0 that values of a mode can have."""
    if mode == "F":
        return 1, 255
    if file_format == "TIFF":
        return 255, 4095, 65535
    # Mode I;16 has 16 bits, as has PGM, whose maximum Pillow scales. I is used for 8 bits too.
    return (65535,) if mode.startswith("I;16") or file_format == "PPM" else (255, 65535)


def _remark(limit: int, mode: str, file_format: str | None, high: float) -> str:
    if not limit:
        return OWN_RANGE
    if limit == 4095:
        return TWELVE_BITS
    if limit == 255 and mode.startswith("I;16") and high > 0:
        return EIGHT_BITS
    return NEARLY_BLACK if file_format == "PNG" and 0 < high <= 4095 and limit == 65535 else ""
