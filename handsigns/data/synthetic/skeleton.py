"""Hand skeleton: which fingers a sign raises, and the position of every joint.

Lengths are millimetres of an adult's right hand. The wrist is the origin, x points to the thumb's
side, y along the fingers and z out of the palm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

FINGERS = ("thumb", "index", "middle", "ring", "little")

SIGNS: tuple[tuple[tuple[str, float], ...], ...] = (
    ((".....", 1.0),),
    ((".I...", 0.94), ("T....", 0.06)),
    ((".IM..", 0.8), ("TI...", 0.2)),
    ((".IMR.", 0.6), ("TIM..", 0.4)),
    ((".IMRL", 1.0),),
    (("TIMRL", 1.0),),
)
"""Variants of each sign with their probabilities: one letter for each raised finger."""

_KNUCKLES = np.array([[27.0, 90.0, 0.0], [8.0, 94.0, 2.0], [-11.0, 89.0, 1.0], [-28.0, 79.0, -2.0]])
_PHALANGES = np.array(
    [[43.0, 26.0, 23.0], [47.0, 30.0, 24.0], [44.0, 28.0, 24.0], [35.0, 20.0, 21.0]]
)
_SPLAY_DEG = np.array([9.0, 1.0, -7.0, -17.0])
_CURL_DEG = np.array([82.0, 98.0, 62.0])

_THUMB_ROOT = np.array([20.0, 17.0, 6.0])
_THUMB_BONES = np.array([44.0, 34.0, 29.0])
_THUMB_OUT = np.array([[0.62, 0.74, 0.18], [0.74, 0.66, 0.05], [0.72, 0.69, -0.05]])
_THUMB_OVER_FIST = np.array([[0.30, 0.62, 0.70], [-0.50, 0.72, 0.42], [-0.95, 0.22, 0.02]])
_THUMB_OVER_PALM = np.array([[0.32, 0.78, 0.50], [-0.55, 0.80, 0.12], [-0.86, 0.50, -0.05]])
_THUMB_TO_LITTLE = np.array([[0.12, 0.66, 0.72], [-0.80, 0.42, 0.40], [-0.94, 0.30, 0.06]])


@dataclass(frozen=True)
class Skeleton:
    """Joints of a hand.

    Attributes:
        raised: whether each finger is raised, in the order of `FINGERS`.
        joints: float64 (5, 4, 3), from the root of each finger to its tip. The thumb's root is at
            the wrist, that of the others at the knuckle.
        forearm: float64 (3,), unit vector from the wrist to the elbow.
    """

    raised: tuple[bool, ...]
    joints: Float64Array
    forearm: Float64Array


def sample_pose(sign: int, rng: np.random.Generator) -> Skeleton:
    """Sample a hand that shows `sign`, 0 to 5, with random variant, proportions and pose."""
    raised = _sample_variant(sign, rng)
    scale = rng.normal(1.0, 0.03) * rng.normal(1.0, 0.02, 5)
    knuckles = _KNUCKLES * [rng.normal(1.0, 0.03), 1.0, 1.0]
    bends = _bends(raised, rng)
    splay = _splay(raised, rng)
    joints = np.empty((5, 4, 3))
    joints[0] = _chain(_THUMB_ROOT, _thumb(raised, rng), _THUMB_BONES * scale[0])
    for i in range(4):
        directions = _flexed(splay[i], np.cumsum(bends[i]))
        joints[i + 1] = _chain(knuckles[i], directions, _PHALANGES[i] * scale[i + 1])
    return Skeleton(raised, joints, _forearm(rng))


def _sample_variant(sign: int, rng: np.random.Generator) -> tuple[bool, ...]:
    variants = SIGNS[sign]
    chosen = rng.choice(len(variants), p=[probability for _, probability in variants])
    return tuple(letter != "." for letter in variants[chosen][0])


def _bends(raised: tuple[bool, ...], rng: np.random.Generator) -> Float64Array:
    """Sample the flexion (4, 3) of the four fingers' joints towards the palm, in radians."""
    folded = _CURL_DEG + rng.normal(0.0, [5.0, 6.0, 6.0], (4, 3))
    extended = rng.uniform([-6.0, 0.0, 0.0], [16.0, 18.0, 12.0]) + rng.normal(0.0, 3.0, (4, 3))
    return np.deg2rad(np.where(np.array(raised[1:])[:, None], extended, folded))


def _splay(raised: tuple[bool, ...], rng: np.random.Generator) -> Float64Array:
    """Sample the splay (4,) of the four fingers towards the thumb's side, in radians."""
    spread = rng.uniform(0.95, 1.6) * _SPLAY_DEG + rng.normal(0.0, 1.5, 4)
    return np.deg2rad(np.where(np.array(raised[1:]), spread, 0.25 * _SPLAY_DEG))


def _thumb(raised: tuple[bool, ...], rng: np.random.Generator) -> Float64Array:
    """Sample the unit vectors (3, 3) of the thumb's bones."""
    if raised[0]:
        directions = _rotate_about_z(_THUMB_OUT, np.deg2rad(rng.uniform(-16.0, 14.0)))
    elif raised[4]:
        directions = _THUMB_OVER_PALM
    elif raised[3]:
        directions = _THUMB_TO_LITTLE
    else:
        directions = _THUMB_OVER_FIST
    directions = directions + rng.normal(0.0, 0.05, (3, 3))
    return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True))


def _rotate_about_z(directions: Float64Array, angle: float) -> Float64Array:
    """Rotate about z by `angle` radians; positive angles lead away from the fingers."""
    c, s = np.cos(angle), np.sin(angle)
    return directions @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _flexed(splay: float, bend: Float64Array) -> Float64Array:
    """Return the unit vectors (3, 3) of bones of cumulative flexion `bend`, splayed by `splay`."""
    flat = np.cos(bend)
    return np.stack([np.sin(splay) * flat, np.cos(splay) * flat, np.sin(bend)], axis=1)


def _chain(root: Float64Array, directions: Float64Array, lengths: Float64Array) -> Float64Array:
    return np.vstack([root, root + np.cumsum(directions * lengths[:, None], axis=0)])


def _forearm(rng: np.random.Generator) -> Float64Array:
    side, tilt = np.deg2rad(rng.normal([0.0, 0.0], [10.0, 8.0]))
    direction = np.array([np.sin(side), -np.cos(side), np.sin(tilt)])
    return np.asarray(direction / np.linalg.norm(direction))
