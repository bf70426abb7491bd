"""Visible surface of a hand: for each pixel its height, normal and material.

Capsules are intersected exactly: along a line of sight, the height of a ball that moves from start
to end is a concave function of its position, with its maximum in closed form. Only a capsule that
points straight at the viewer is approximated, by a constant radius.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from handsigns.data.synthetic.capsules import Capsule

FloatArray = npt.NDArray[Any]  # float32 throughout, which numpy's types do not follow

SUPERSAMPLING = 2
"""Factor by which the rendering grid is finer than the image, for antialiased edges."""
_NO_HEIGHT = -1e4
_X, _Y, _CLOTH, _CREASE, _NAIL = range(5)
_CREASE_WIDTH = 0.18
"""Width of a crease, in radii of the finger."""


@dataclass(frozen=True)
class Surface:
    """Visible surface; all fields are float32 (S, S), means over a pixel's area.

    Attributes:
        coverage: fraction of the pixel that the hand covers; the other fields are means over
            that fraction, and 0 where it is 0.
        height: height in pixels towards the viewer; the lowest height where there is no hand.
        normal: float32 (3, S, S), x right, y down, z to the viewer; shorter than 1 where normals
            within the pixel differ.
        cloth: 1 on a sleeve, 0 on skin.
        nail: 1 on a nail.
        crease: 1 in the deepest fold of the skin.
    """

    coverage: FloatArray
    height: FloatArray
    normal: FloatArray
    cloth: FloatArray
    nail: FloatArray
    crease: FloatArray


def render_surface(parts: Iterable[Capsule], size: int) -> Surface:
    """Compute the visible surface of a hand in an image of `size` pixels.

    Args:
        parts: parts of the hand, in pixels of an image `SUPERSAMPLING` times finer.
        size: height and width of the image.
    """
    heights = _HeightField(SUPERSAMPLING * size)
    for part in parts:
        heights.add(part)
    covered = heights.height > _NO_HEIGHT / 2
    coverage = _downsample_2x(covered.astype(np.float32))
    floor = heights.height[covered].min() if covered.any() else 0.0
    height = _downsample_2x(np.where(covered, heights.height, floor)) / SUPERSAMPLING
    nx, ny, cloth, crease, nail = heights.fields
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0)) * covered
    area = np.maximum(coverage, 1e-6)
    means = _downsample_2x(np.stack([nx, ny, nz, cloth, crease, nail])) / area
    return Surface(coverage, height, means[:3], means[3], means[5], means[4])


def _downsample_2x(field: FloatArray) -> FloatArray:
    """Average blocks of two by two pixels of the last two axes."""
    rows = field[..., ::2, :] + field[..., 1::2, :]
    return np.asarray((rows[..., ::2] + rows[..., 1::2]) * 0.25)


def clip01(field: FloatArray) -> FloatArray:
    """Clip `field` to [0, 1] in place; the call of numpy's clip takes three times as long."""
    np.maximum(field, 0, out=field)
    np.minimum(field, 1, out=field)
    return field


class _HeightField:
    """Height field that accumulates capsules.

    Attributes:
        height: float32 (S, S), `_NO_HEIGHT` where empty.
        fields: float32 (5, S, S), in the order of `_X` to `_NAIL`.
    """

    def __init__(self, size: int) -> None:
        self.height = np.full((size, size), _NO_HEIGHT, np.float32)
        self.fields = np.zeros((5, size, size), np.float32)

    def add(self, capsule: Capsule) -> None:
        """Add a capsule in front of what is behind it, blending where the heights are close."""
        rows, columns = (self._span(capsule, axis) for axis in (1, 0))
        if not rows or not columns:
            return
        hit, height, fields = _intersect(capsule, rows, columns)
        window = slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        current = self.height[window]
        above = height - current
        weight = clip01(above * (0.5 / capsule.blend_distance) + 0.5) * hit
        # A smooth maximum: where two parts are equally high, the skin swells over the seam.
        current += weight * (above + capsule.blend_distance * (1 - weight))
        current_fields = self.fields[:, *window]
        current_fields *= 1 - weight
        for index, field in fields.items():
            current_fields[index] += weight * field

    def _span(self, capsule: Capsule, axis: int) -> range:
        """Return the columns (axis 0) or rows (axis 1) that a capsule can cover."""
        ends = float(capsule.start[axis]), float(capsule.end[axis])
        reach = max(capsule.radius_start, capsule.radius_end) + 1
        low, high = int(min(ends) - reach), int(max(ends) + reach) + 1
        return range(max(low, 0), min(high, len(self.height)))


def _intersect(
    capsule: Capsule, rows: range, columns: range
) -> tuple[npt.NDArray[np.bool_], FloatArray, dict[int, FloatArray | float]]:
    """Intersect lines of sight with a capsule; return hits, heights, and the non-zero fields.

    With t from 0 to 1 along the capsule, a pixel sees z(t) + sqrt(q(t)), q(t) = c + 2bt - at²: the
    ball's squared radius less the squared distance to its centre.
    """
    ax, ay, az = capsule.start.tolist()
    lx, ly, lz = (capsule.end - capsule.start).tolist()
    across = math.hypot(lx, ly)
    first, grow = _taper(capsule, across)
    px = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + (0.5 - ax)
    py = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + (0.5 - ay)
    a = max(across * across - grow * grow, 1e-2)
    b = (px * lx + first * grow) + py * ly
    c = (first * first - px * px) - py * py
    t = np.sqrt(np.maximum(b * b * (1 / a) + c, 0)) * (lz / (a * (a + lz * lz)) ** 0.5)
    t = clip01(t + b * (1 / a))
    q = c + t * (2 * b - a * t)
    root = np.sqrt(np.maximum(q, 0))
    inverse = 1 / (t * grow + first)
    nx, ny = (px - t * lx) * inverse, (py - t * ly) * inverse
    fields: dict[int, FloatArray | float] = {_X: nx, _Y: ny}
    if capsule.cloth:
        fields[_CLOTH] = 1.0
    if capsule.crease:
        fields[_CREASE] = _crease(capsule, t)
    if capsule.nail[2] > 0.15:
        fields[_NAIL] = _nail(capsule, t, nx, ny)
    return q > 0, t * lz + (root + az), fields


def _taper(capsule: Capsule, across: float) -> tuple[float, float]:
    """Return a capsule's first radius and its growth, limited by its length `across` the image.

    Where one end's outline is within the other's, the heights have no such short closed form.
    """
    grow = capsule.radius_end - capsule.radius_start
    if abs(grow) <= 0.9 * across:
        return capsule.radius_start, grow
    grow = math.copysign(0.9 * across, grow)
    return (
        capsule.radius_end - grow if capsule.end[2] > capsule.start[2] else capsule.radius_start
    ), grow


def _crease(capsule: Capsule, t: FloatArray) -> FloatArray:
    """Return the depth of the fold at the capsule's start."""
    length = math.dist(capsule.start, capsule.end)
    off = t * (length / (_CREASE_WIDTH * capsule.radius_start))
    return capsule.crease * np.maximum(1 - off * off * 0.4, 0)


def _nail(capsule: Capsule, t: FloatArray, nx: FloatArray, ny: FloatArray) -> FloatArray:
    """Return the nail mask: where the surface near the tip faces the nail's direction."""
    dx, dy, dz = capsule.nail
    normal = nx * dx + ny * dy + np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0)) * dz
    return clip01((normal - 0.72) * 8) * clip01((t - 0.35) * 6)
