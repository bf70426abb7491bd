"""Alignment of pairs of small grey images by shift, scale and turn, in batches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_LIMITS = np.array([0.1, 0.1, 0.15, 0.12], np.float32)
"""Largest motion: shifts as fractions of the width, relative change of scale, angle in radians."""
_STEPS = 2
"""Gauss-Newton steps; more change little, as the motion found in smaller images comes first."""
_MIN_GAIN = 0.2
"""Smallest change of contrast, below which a step would be arbitrarily long."""


def tangent_planes(images: Floats) -> Floats:
    """Return vectors (N, 5, W²) that span an image's small transformations, without their means.

    They are the image (N, W, W) itself, for its contrast, and its derivatives by shift in both
    directions, scale and angle.
    """
    width = images.shape[1]
    dy, dx = np.gradient(images, axis=(1, 2))
    # As fractions of the width, so that all derivatives are by the same motion at the border.
    y, x = (position / width for position in _coordinates(width))
    planes = np.stack([images, dx, dy, x * dx + y * dy, x * dy - y * dx], 1)
    planes = planes.reshape(len(images), 5, width * width)
    return np.asarray(planes - planes.mean(2, keepdims=True), np.float32)


def align(first: Floats, second: Floats, motion: Floats) -> tuple[Floats, Floats]:
    """Move `first` onto `second`; return the correlation (N,) of their details, and the motion.

    Args:
        first, second: images (N, W, W).
        motion: initial motion (N, 4): shifts as fractions of the width, relative change of scale,
            angle in radians.
    """
    width = first.shape[1]
    target = second.reshape(len(second), width * width, 1)
    # Tiny, so that images without structure in a direction have a solution.
    ridge = np.eye(5, dtype=np.float32) * 1e-3
    for _ in range(_STEPS):
        planes = tangent_planes(_move(first, motion)[0])
        gram = planes @ planes.transpose(0, 2, 1)
        step = np.linalg.solve(gram + ridge, planes @ target)[:, :, 0]
        change = step[:, 1:] / np.maximum(step[:, :1], _MIN_GAIN) / width
        motion = np.clip(motion + change, -_LIMITS, _LIMITS)
    moved, inside = _move(first, motion)
    return _masked_correlation(_details(moved), _details(second), inside), motion


def _coordinates(width: int) -> tuple[Floats, Floats]:
    """Return y (W, 1) and x (1, W) of the pixels, from the centre."""
    axis = np.arange(width, dtype=np.float32) - np.float32(width - 1) / 2
    return axis[:, None], axis[None, :]


def _move(images: Floats, motion: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the moved images (N, W, W), and which of their pixels were inside the original."""
    width = images.shape[1]
    y, x = _coordinates(width)
    dx, dy, scale, angle = motion.T[:, :, None, None]
    centre = (width - 1) / 2
    column = centre + x + dx * width + scale * x - angle * y
    row = centre + y + dy * width + scale * y + angle * x
    inside = (np.minimum(column, row) >= 0) & (np.maximum(column, row) <= width - 1)
    column, row = (np.clip(position, 0, width - 1.001) for position in (column, row))
    left, top = column.astype(np.int64), row.astype(np.int64)
    column, row = column - left, row - top
    at = (np.arange(len(images))[:, None, None] * width + top) * width + left
    flat = images.reshape(-1)
    upper = flat[at] * (1 - column) + flat[at + 1] * column
    lower = flat[at + width] * (1 - column) + flat[at + width + 1] * column
    return (upper * (1 - row) + lower * row).astype(np.float32), inside


def _details(images: Floats) -> Floats:
    """Return the images without their local mean, over a square of about a sixth of the width."""
    reach = images.shape[1] // 12
    size = 2 * reach + 1
    padded = np.pad(images, ((0, 0), (reach + 1, reach), (reach + 1, reach)), mode="edge")
    sums = padded.cumsum(1, dtype=np.float64).cumsum(2)
    total = sums[:, size:, size:] - sums[:, :-size, size:]
    total += sums[:, :-size, :-size] - sums[:, size:, :-size]
    return np.asarray(images - total / size**2, np.float32)


def _masked_correlation(first: Floats, second: Floats, inside: npt.NDArray[np.bool_]) -> Floats:
    """Return the correlation (N,) of two images over the pixels inside."""
    weights = inside.astype(np.float32)
    count = weights.sum((1, 2), keepdims=True)
    first, second = (
        (image - (image * weights).sum((1, 2), keepdims=True) / count) * weights
        for image in (first, second)
    )
    norms = np.sqrt((first**2).sum((1, 2)) * (second**2).sum((1, 2)))
    return np.asarray((first * second).sum((1, 2)) / np.maximum(norms, 1e-6), np.float32)
