"""View of a hand: its rotation in space and projection into the image.

Image coordinates are pixels: x to the right, y down, z to the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handsigns.data.synthetic.capsules import Capsule
from handsigns.data.synthetic.skeleton import Float64Array, Skeleton

_LENGTH_MM = 190.0
"""Length of a hand, wrist to tip; the sizes of hands in images are relative to it."""
_MARGIN = 0.05
"""Fraction of the image at each side that is free of joints."""


@dataclass(frozen=True)
class View:
    """Rotation, scale and position of a hand.

    Attributes:
        rotation: float64 (3, 3), from the hand's coordinates to the viewer's, y still up; includes
            a reflection for a left hand.
        distance_mm: distance from the hand to the camera; smaller means a stronger perspective.
        scale: fraction of the image's height per millimetre.
        position: float64 (2,), position of the wrist, in fractions of the image, y down.
        palm: whether the palm is visible, rather than the back.
    """

    rotation: Float64Array
    distance_mm: float
    scale: float
    position: Float64Array
    palm: bool


def sample_view(bones: Skeleton, rng: np.random.Generator) -> View:
    """Sample a view of the hand with every joint inside the image."""
    palm = bool(rng.random() < 0.8)
    rotation = _sample_rotation(rng, palm, left=bool(rng.random() < 0.5))
    distance = rng.uniform(420.0, 900.0)
    points = _project(bones.joints.reshape(-1, 3), rotation, distance)[0]
    points = np.vstack([points, [-25.0, 0.0], [25.0, 0.0]])
    low, high = points.min(axis=0), points.max(axis=0)
    available = 1.0 - 2 * _MARGIN
    scale = min(rng.uniform(0.8, 1.04) / _LENGTH_MM, available / float(max(high - low)))
    slack = np.maximum(available - scale * (high - low), 0.0) / 2
    centre = 0.5 + rng.uniform(-1.0, 1.0, 2) * np.minimum(slack, 0.1)
    return View(rotation, distance, scale, centre - scale * (low + high) / 2, palm)


def _sample_rotation(rng: np.random.Generator, palm: bool, left: bool) -> Float64Array:
    yaw = np.deg2rad(rng.normal(0.0, 7.0) + (0.0 if palm else 180.0))
    pitch, roll = np.deg2rad(rng.normal([0.0, 0.0], [6.0, 9.0]))
    mirror = np.diag([-1.0 if left else 1.0, 1.0, 1.0])
    return _axis_rotation(2, roll) @ _axis_rotation(0, pitch) @ _axis_rotation(1, yaw) @ mirror


def _axis_rotation(axis: int, angle: float) -> Float64Array:
    """Return the rotation matrix (3, 3) by `angle` radians about an axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i] = np.sin(angle)
    matrix[i, j] = -matrix[j, i]
    return matrix


def _project(
    points: Float64Array, rotation: Float64Array, distance_mm: float
) -> tuple[Float64Array, Float64Array]:
    """Project points to the image plane (N, 2), y down, in mm; also return magnifications (N,)."""
    rotated = points @ rotation.T
    magnification = distance_mm / np.maximum(distance_mm - rotated[:, 2], 0.3 * distance_mm)
    return rotated[:, :2] * [1.0, -1.0] * magnification[:, None], magnification


def project_capsules(parts: list[Capsule], view: View, size: int) -> list[Capsule]:
    """Project the parts to pixels of an image of `size`, with z to the viewer."""
    ends = np.array([part.start for part in parts] + [part.end for part in parts])
    flat, magnification = _project(ends, view.rotation, view.distance_mm)
    pixels_per_mm = view.scale * size
    depth = (ends @ view.rotation.T)[:, 2:] * magnification[:, None]
    points = np.hstack([flat, depth]) * pixels_per_mm + [*(view.position * size), 0.0]
    scales = magnification * pixels_per_mm
    half = len(parts)
    nails = np.array([part.nail for part in parts]) @ view.rotation.T * [1.0, -1.0, 1.0]
    return [
        part._replace(
            start=points[i],
            end=points[half + i],
            radius_start=part.radius_start * float(scales[i]),
            radius_end=part.radius_end * float(scales[half + i]),
            blend_distance=part.blend_distance * pixels_per_mm,
            nail=tuple(nails[i].tolist()),
        )
        for i, part in enumerate(parts)
    ]
