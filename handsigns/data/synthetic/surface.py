"""The visible surface of a hand: for each pixel its height, where it faces, and what it is made of.

Cones are met exactly: along a line of sight, the height of a ball that runs from start to end is a
concave function of how far it has run, with its maximum in closed form. Only where a cone points
straight at the viewer, it has the size of its nearer end throughout.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from handsigns.data.synthetic.flesh import Cone

Field = npt.NDArray[Any]  # float32 throughout, which numpy's types do not follow

FINER = 2
"""Cones are met on twice as fine a grid as the picture's, for smooth edges."""
_NOTHING = -1e4
_X, _Y, _CLOTH, _CREASE, _NAIL = range(5)
_CREASE_WIDTH = 0.18
"""How wide a crease is, in radii of the finger."""


@dataclass(frozen=True)
class Surface:
    """What is seen of a hand; all fields are float32 (S, S), means over a pixel's area.

    Attributes:
        cover: share of the pixel that the hand covers; the other fields are means over that share,
            and 0 where it is 0.
        height: in pixels towards the viewer; that of the lowest part where there is no hand.
        facing: float32 (3, S, S), the normal: x to the right, y down, z to the viewer; shorter than
            1 where the pixel's parts face different ways.
        cloth: 1 on a sleeve, 0 on skin.
        nail: 1 on a nail.
        crease: 1 in the deepest fold of the skin.
    """

    cover: Field
    height: Field
    facing: Field
    cloth: Field
    nail: Field
    crease: Field


def surface(parts: Iterable[Cone], size: int) -> Surface:
    """What is seen of a hand in a picture of `size` pixels.

    Args:
        parts: of the hand, in pixels of a picture `FINER` times finer.
        size: height and width of the picture.
    """
    relief = _Relief(FINER * size)
    for part in parts:
        relief.add(part)
    here = relief.height > _NOTHING / 2
    cover = _coarser(here.astype(np.float32))
    floor = relief.height[here].min() if here.any() else 0.0
    height = _coarser(np.where(here, relief.height, floor)) / FINER
    nx, ny, cloth, crease, nail = relief.fields
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0)) * here
    whole = np.maximum(cover, 1e-6)
    means = _coarser(np.stack([nx, ny, nz, cloth, crease, nail])) / whole
    return Surface(cover, height, means[:3], means[3], means[5], means[4])


def _coarser(field: Field) -> Field:
    """Means over squares of two by two pixels of the last two axes."""
    rows = field[..., ::2, :] + field[..., 1::2, :]
    return np.asarray((rows[..., ::2] + rows[..., 1::2]) * 0.25)


def between(field: Field) -> Field:
    """`field` held between 0 and 1, in place; numpy's clip takes thrice as long to call."""
    np.maximum(field, 0, out=field)
    np.minimum(field, 1, out=field)
    return field


class _Relief:
    """A height field in the making.

    Attributes:
        height: float32 (S, S), `_NOTHING` where nothing is yet.
        fields: float32 (5, S, S), in the order of `_X` to `_NAIL`.
    """

    def __init__(self, size: int) -> None:
        self.height = np.full((size, size), _NOTHING, np.float32)
        self.fields = np.zeros((5, size, size), np.float32)

    def add(self, cone: Cone) -> None:
        """Let a cone come in front of what lies behind it, and melt into what lies near."""
        rows, columns = (self._span(cone, axis) for axis in (1, 0))
        if not rows or not columns:
            return
        hit, height, fields = _meet(cone, rows, columns)
        window = slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        behind = self.height[window]
        above = height - behind
        weight = between(above * (0.5 / cone.melt) + 0.5) * hit
        # Where two parts are as high as each other the skin swells over the seam.
        behind += weight * (above + cone.melt * (1 - weight))
        old = self.fields[:, *window]
        old *= 1 - weight
        for place, field in fields.items():
            old[place] += weight * field

    def _span(self, cone: Cone, axis: int) -> range:
        """The columns (axis 0) or rows (axis 1) that a cone can touch."""
        ends = float(cone.start[axis]), float(cone.end[axis])
        reach = max(cone.first, cone.last) + 1
        low, high = int(min(ends) - reach), int(max(ends) + reach) + 1
        return range(max(low, 0), min(high, len(self.height)))


def _meet(
    cone: Cone, rows: range, columns: range
) -> tuple[npt.NDArray[np.bool_], Field, dict[int, Field | float]]:
    """Where lines of sight meet a cone: hit or not, the height, and the fields that are not 0.

    With t from 0 to 1 along the cone, a pixel sees z(t) + sqrt(q(t)), q(t) = c + 2bt - at²: the
    ball's squared radius less the squared distance to its middle.
    """
    ax, ay, az = cone.start.tolist()
    lx, ly, lz = (cone.end - cone.start).tolist()
    across = math.hypot(lx, ly)
    first, grow = _taper(cone, across)
    px = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + (0.5 - ax)
    py = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + (0.5 - ay)
    a = max(across * across - grow * grow, 1e-2)
    b = (px * lx + first * grow) + py * ly
    c = (first * first - px * px) - py * py
    t = np.sqrt(np.maximum(b * b * (1 / a) + c, 0)) * (lz / (a * (a + lz * lz)) ** 0.5)
    t = between(t + b * (1 / a))
    q = c + t * (2 * b - a * t)
    root = np.sqrt(np.maximum(q, 0))
    inverse = 1 / (t * grow + first)
    nx, ny = (px - t * lx) * inverse, (py - t * ly) * inverse
    fields: dict[int, Field | float] = {_X: nx, _Y: ny}
    if cone.cloth:
        fields[_CLOTH] = 1.0
    if cone.crease:
        fields[_CREASE] = _crease(cone, t)
    if cone.nail[2] > 0.15:
        fields[_NAIL] = _nail(cone, t, nx, ny)
    return q > 0, t * lz + (root + az), fields


def _taper(cone: Cone, across: float) -> tuple[float, float]:
    """A cone's first radius and its growth, held below its length `across` the picture.

    Where one end's outline is within the other's, the heights have no closed form that is as short.
    """
    grow = cone.last - cone.first
    if abs(grow) <= 0.9 * across:
        return cone.first, grow
    grow = math.copysign(0.9 * across, grow)
    return (cone.last - grow if cone.end[2] > cone.start[2] else cone.first), grow


def _crease(cone: Cone, t: Field) -> Field:
    """A fold at the cone's start."""
    length = math.dist(cone.start, cone.end)
    off = t * (length / (_CREASE_WIDTH * cone.first))
    return cone.crease * np.maximum(1 - off * off * 0.4, 0)


def _nail(cone: Cone, t: Field, nx: Field, ny: Field) -> Field:
    """A nail lies where the surface of a last bone faces as the nail does, near the tip."""
    dx, dy, dz = cone.nail
    facing = nx * dx + ny * dy + np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0)) * dz
    return between((facing - 0.72) * 8) * between((t - 0.35) * 6)
