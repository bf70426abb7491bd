"""Geometry of a hand, its forearm and its sleeve as tapered capsules in space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from handsigns.data.synthetic.skeleton import Float64Array, Skeleton

_RADII = (
    (14.5, 11.6, 10.2, 7.8),
    (10.2, 9.3, 8.2, 6.6),
    (10.4, 9.5, 8.4, 6.8),
    (9.9, 9.0, 7.9, 6.4),
    (8.9, 7.9, 7.0, 5.7),
)
"""Radii in millimetres of each finger at its root, its two joints and its tip."""
_PALM_RADIUS = 12.5
_WRIST_RADIUS = 18.0
_FOREARM_MM = 270.0
_CUFF_MM = 5.0
"""Distance of the cloth from the skin."""


class Capsule(NamedTuple):
    """Tapered capsule: the hull of two balls at `start` and `end`.

    Lengths are millimetres of a hand or, after `view.project_capsules`, pixels of an image.

    Attributes:
        start, end: end points, float64 (3,).
        radius_start, radius_end: radii at the end points.
        blend_distance: length over which it blends into the parts rendered before it.
        cloth: whether it is part of a sleeve.
        crease: darkening of the skin in the fold at its start, 0 to 1.
        nail: unit vector that its nail faces; zero without a nail.
    """

    start: Float64Array
    end: Float64Array
    radius_start: float
    radius_end: float
    blend_distance: float
    cloth: bool = False
    crease: float = 0.0
    nail: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class HandShape:
    """Build and clothing of a hand.

    Attributes:
        thickness: relative thickness of the fingers, 1 on average.
        crease: darkness of the skin's folds, 0 to 1.
        sleeve_mm: distance from the wrist to the cuff; None for a bare arm.
    """

    thickness: float
    crease: float
    sleeve_mm: float | None


def sample_hand_shape(rng: np.random.Generator) -> HandShape:
    """Sample a build and a sleeve."""
    has_sleeve = rng.random() < 0.6
    return HandShape(
        thickness=rng.uniform(0.88, 1.14),
        crease=rng.uniform(0.1, 0.45),
        sleeve_mm=rng.uniform(2.0, 90.0) if has_sleeve else None,
    )


def build_capsules(bones: Skeleton, shape: HandShape) -> list[Capsule]:
    """Build all parts of a hand, in rendering order."""
    parts = [*_arm(bones, shape), *_palm(bones)]
    # Folded fingers lie over the palm and the thumb over them: depth decides what is visible, the
    # order only what blends into what.
    for finger in (4, 3, 2, 1, 0):
        parts += _finger(bones, finger, shape)
    return parts


def _arm(bones: Skeleton, shape: HandShape) -> list[Capsule]:
    """Build the forearm, whose flat section takes two capsules side by side, and a sleeve."""
    parts = []
    x_axis = np.array([1.0, 0.0, 0.0])
    for side in (-1.0, 1.0):
        start = side * 11.0 * x_axis
        end = bones.forearm * _FOREARM_MM + side * 16.0 * x_axis
        parts.append(Capsule(start, end, _WRIST_RADIUS, 30.0, 10.0))
        if shape.sleeve_mm is not None:
            cuff = start + (end - start) * (shape.sleeve_mm / _FOREARM_MM)
            radius = _WRIST_RADIUS + 12.0 * shape.sleeve_mm / _FOREARM_MM + _CUFF_MM
            parts.append(Capsule(cuff, end * 1.1, radius, 40.0, 10.0, cloth=True))
    return parts


def _palm(bones: Skeleton) -> list[Capsule]:
    """Build a ridge per metacarpal, the pads at the wrist, and the web of the thumb."""
    knuckles = bones.joints[1:, 0]
    parts = []
    for knuckle, root in zip(knuckles, (13.0, 5.0, -4.0, -12.0), strict=True):
        parts.append(Capsule(np.array([root, 2.0, 0.0]), knuckle, 15.0, _PALM_RADIUS, 12.0))
    heel = np.array([-20.0, 16.0, 7.0])
    parts.append(Capsule(heel, knuckles[3] - [0, 22, -2], 13.5, 11.0, 12.0))
    pad = 0.3 * bones.joints[0, 0] + 0.7 * bones.joints[0, 1]
    parts.append(Capsule(np.array([13.0, 14.0, 8.0]), pad, 15.0, 12.5, 12.0))
    web = 0.45 * bones.joints[1, 0] + 0.55 * np.array([20.0, 17.0, 0.0])
    parts.append(
        Capsule(web, 0.25 * bones.joints[0, 0] + 0.75 * bones.joints[0, 1], 11.0, 8.0, 14.0)
    )
    return parts


def _finger(bones: Skeleton, finger: int, shape: HandShape) -> list[Capsule]:
    joints = bones.joints[finger]
    radii = [radius * shape.thickness for radius in _RADII[finger]]
    nail = _nail_direction(joints, finger)
    return [
        Capsule(
            joints[i],
            joints[i + 1] - (_tip_inset(joints, radii[3]) if i == 2 else 0.0),
            radii[i],
            radii[i + 1],
            (9.0 if finger == 0 else 6.0) if i == 0 else 2.5,
            crease=shape.crease if i else 0.0,
            nail=nail if i == 2 else (0.0, 0.0, 0.0),
        )
        for i in range(3)
    ]


def _tip_inset(joints: Float64Array, radius: float) -> Float64Array:
    """Return the vector from the centre of a finger's last ball to its tip."""
    last = joints[3] - joints[2]
    return np.asarray(last / np.linalg.norm(last) * radius)


def _nail_direction(joints: Float64Array, finger: int) -> tuple[float, float, float]:
    """Return the unit vector that the nail faces: normal to the last bone, away from the palm."""
    along = joints[3] - joints[2]
    along = along / np.linalg.norm(along)
    # The thumb is rotated by a quarter turn against the fingers: its nail faces outwards.
    outward = np.array([0.75, -0.2, -0.6]) if finger == 0 else joints[1] - joints[3] - [0, 0, 30.0]
    across = outward - along * (outward @ along)
    x, y, z = (across / np.linalg.norm(across)).tolist()
    return x, y, z
