"""Flesh on the bones: a hand, its forearm and its sleeve as tapered capsules ("cones") in space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from handsigns.data.synthetic.skeleton import Floats, Skeleton

_RADII = (
    (14.5, 11.6, 10.2, 7.8),
    (10.2, 9.3, 8.2, 6.6),
    (10.4, 9.5, 8.4, 6.8),
    (9.9, 9.0, 7.9, 6.4),
    (8.9, 7.9, 7.0, 5.7),
)
"""Of each finger at its root, its two joints and its tip; a hand's, in millimetres."""
_PALM_RADIUS = 12.5
_WRIST_RADIUS = 18.0
_FOREARM_MM = 270.0
_CUFF_MM = 5.0
"""How far cloth stands off from the skin."""


class Cone(NamedTuple):
    """A tapered capsule: a ball that runs from `start` to `end` and changes size on the way.

    Lengths are a hand's, in millimetres, or, once `view.seen`, a picture's, in pixels.

    Attributes:
        start, end: float64 (3,).
        first, last: radii at either end.
        melt: over what length it runs into what is painted before it.
        cloth: whether it is a sleeve's.
        crease: how much darker the skin is in the fold at its start, 0 to 1.
        nail: unit direction that its nail faces; zero where there is none.
    """

    start: Floats
    end: Floats
    first: float
    last: float
    melt: float
    cloth: bool = False
    crease: float = 0.0
    nail: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Build:
    """How a hand is built and dressed.

    Attributes:
        thickness: of the fingers, 1 on average.
        crease: darkness of the folds of the skin, 0 to 1.
        sleeve_mm: from the wrist to the cuff; None where the arm is bare.
    """

    thickness: float
    crease: float
    sleeve_mm: float | None


def build(rng: np.random.Generator) -> Build:
    """A build and a sleeve, drawn at random."""
    dressed = rng.random() < 0.6
    return Build(
        thickness=rng.uniform(0.88, 1.14),
        crease=rng.uniform(0.1, 0.45),
        sleeve_mm=rng.uniform(2.0, 90.0) if dressed else None,
    )


def cones(bones: Skeleton, form: Build) -> list[Cone]:
    """All parts of a hand, in the order in which they are to be painted."""
    parts = [*_arm(bones, form), *_palm(bones)]
    # Folded fingers lie over the palm and the thumb over them: depth decides, order only melts.
    for finger in (4, 3, 2, 1, 0):
        parts += _finger(bones, finger, form)
    return parts


def _arm(bones: Skeleton, form: Build) -> list[Cone]:
    """Wrist and forearm, flatter than wide, thus two cones side by side; and a sleeve."""
    parts = []
    side = np.array([1.0, 0.0, 0.0])
    for way in (-1.0, 1.0):
        start, end = way * 11.0 * side, bones.forearm * _FOREARM_MM + way * 16.0 * side
        parts.append(Cone(start, end, _WRIST_RADIUS, 30.0, 10.0))
        if form.sleeve_mm is not None:
            cuff = start + (end - start) * (form.sleeve_mm / _FOREARM_MM)
            radius = _WRIST_RADIUS + 12.0 * form.sleeve_mm / _FOREARM_MM + _CUFF_MM
            parts.append(Cone(cuff, end * 1.1, radius, 40.0, 10.0, cloth=True))
    return parts


def _palm(bones: Skeleton) -> list[Cone]:
    """A ridge for each metacarpal, the pads by the wrist, and the web that holds the thumb."""
    knuckles = bones.joints[1:, 0]
    parts = []
    for knuckle, root in zip(knuckles, (13.0, 5.0, -4.0, -12.0), strict=True):
        parts.append(Cone(np.array([root, 2.0, 0.0]), knuckle, 15.0, _PALM_RADIUS, 12.0))
    heel = np.array([-20.0, 16.0, 7.0])
    parts.append(Cone(heel, knuckles[3] - [0, 22, -2], 13.5, 11.0, 12.0))
    pad = 0.3 * bones.joints[0, 0] + 0.7 * bones.joints[0, 1]
    parts.append(Cone(np.array([13.0, 14.0, 8.0]), pad, 15.0, 12.5, 12.0))
    web = 0.45 * bones.joints[1, 0] + 0.55 * np.array([20.0, 17.0, 0.0])
    parts.append(Cone(web, 0.25 * bones.joints[0, 0] + 0.75 * bones.joints[0, 1], 11.0, 8.0, 14.0))
    return parts


def _finger(bones: Skeleton, finger: int, form: Build) -> list[Cone]:
    joints = bones.joints[finger]
    radii = [radius * form.thickness for radius in _RADII[finger]]
    back = _back(joints, finger)
    return [
        Cone(
            joints[i],
            joints[i + 1] - (_tip_inset(joints, radii[3]) if i == 2 else 0.0),
            radii[i],
            radii[i + 1],
            (9.0 if finger == 0 else 6.0) if i == 0 else 2.5,
            crease=form.crease if i else 0.0,
            nail=back if i == 2 else (0.0, 0.0, 0.0),
        )
        for i in range(3)
    ]


def _tip_inset(joints: Floats, radius: float) -> Floats:
    """From a finger's tip back to the middle of its last ball."""
    last = joints[3] - joints[2]
    return np.asarray(last / np.linalg.norm(last) * radius)


def _back(joints: Floats, finger: int) -> tuple[float, float, float]:
    """The unit direction that the nail faces: across the last bone, away from the palm."""
    along = joints[3] - joints[2]
    along = along / np.linalg.norm(along)
    # The thumb is turned by a quarter against the fingers: its nail faces its outer side.
    outward = np.array([0.75, -0.2, -0.6]) if finger == 0 else joints[1] - joints[3] - [0, 0, 30.0]
    across = outward - along * (outward @ along)
    x, y, z = (across / np.linalg.norm(across)).tolist()
    return x, y, z
