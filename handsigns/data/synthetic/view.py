"""Where the viewer stands: turning a hand in space and placing it in the picture.

Picture coordinates are pixels: x to the right, y down, z to the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handsigns.data.synthetic.flesh import Cone
from handsigns.data.synthetic.skeleton import Floats, Skeleton

_LENGTH_MM = 190.0
"""Of a hand, wrist to tip; the sizes of hands in pictures are given in it."""
_MARGIN = 0.05
"""Share of the picture at each side that no joint enters."""


@dataclass(frozen=True)
class View:
    """A turn, a size and a place.

    Attributes:
        turn: float64 (3, 3), from the hand's coordinates to the viewer's, y still up; a left hand
            has a mirror in it.
        distance_mm: from the hand to the camera; the nearer, the larger is what stands out.
        scale: share of the picture's height that a millimetre takes.
        place: float64 (2,), of the wrist, in shares of the picture, y down.
        palm: whether the palm is seen, rather than the back.
    """

    turn: Floats
    distance_mm: float
    scale: float
    place: Floats
    palm: bool


def view(bones: Skeleton, rng: np.random.Generator) -> View:
    """A view of the hand, drawn at random, with every joint in the picture."""
    palm = bool(rng.random() < 0.8)
    turn = _turn(rng, palm, left=bool(rng.random() < 0.5))
    distance = rng.uniform(420.0, 900.0)
    shown = _project(bones.joints.reshape(-1, 3), turn, distance)[0]
    shown = np.vstack([shown, [-25.0, 0.0], [25.0, 0.0]])
    low, high = shown.min(axis=0), shown.max(axis=0)
    room = 1.0 - 2 * _MARGIN
    scale = min(rng.uniform(0.8, 1.04) / _LENGTH_MM, room / float(max(high - low)))
    slack = np.maximum(room - scale * (high - low), 0.0) / 2
    centre = 0.5 + rng.uniform(-1.0, 1.0, 2) * np.minimum(slack, 0.1)
    return View(turn, distance, scale, centre - scale * (low + high) / 2, palm)


def _turn(rng: np.random.Generator, palm: bool, left: bool) -> Floats:
    yaw = np.deg2rad(rng.normal(0.0, 7.0) + (0.0 if palm else 180.0))
    pitch, roll = np.deg2rad(rng.normal([0.0, 0.0], [6.0, 9.0]))
    mirror = np.diag([-1.0 if left else 1.0, 1.0, 1.0])
    return _about(2, roll) @ _about(0, pitch) @ _about(1, yaw) @ mirror


def _about(axis: int, angle: float) -> Floats:
    """The rotation (3, 3) by `angle` about an axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i] = np.sin(angle)
    matrix[i, j] = -matrix[j, i]
    return matrix


def _project(points: Floats, turn: Floats, distance_mm: float) -> tuple[Floats, Floats]:
    """Millimetres in the picture's plane (N, 2), y down, and the magnification (N,) there."""
    turned = points @ turn.T
    nearer = distance_mm / np.maximum(distance_mm - turned[:, 2], 0.3 * distance_mm)
    return turned[:, :2] * [1.0, -1.0] * nearer[:, None], nearer


def seen(parts: list[Cone], view: View, size: int) -> list[Cone]:
    """The parts in pixels of a picture of `size`, with z to the viewer."""
    ends = np.array([part.start for part in parts] + [part.end for part in parts])
    flat, nearer = _project(ends, view.turn, view.distance_mm)
    pixels = view.scale * size
    depth = (ends @ view.turn.T)[:, 2:] * nearer[:, None]
    points = np.hstack([flat, depth]) * pixels + [*(view.place * size), 0.0]
    sizes = nearer * pixels
    half = len(parts)
    nails = np.array([part.nail for part in parts]) @ view.turn.T * [1.0, -1.0, 1.0]
    return [
        part._replace(
            start=points[i],
            end=points[half + i],
            first=part.first * float(sizes[i]),
            last=part.last * float(sizes[half + i]),
            melt=part.melt * pixels,
            nail=tuple(nails[i].tolist()),
        )
        for i, part in enumerate(parts)
    ]
