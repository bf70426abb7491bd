"""A hand's pose: which fingers are raised, how every joint is bent, and where the hand is.

Lengths are in palm lengths. The wrist is the origin, y points to the fingers, and a right hand is
seen from its back, so that the thumb is at negative x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.floating[Any]]

FINGERS = ("thumb", "index", "middle", "ring", "little")
SIGNS: tuple[tuple[tuple[float, tuple[int, ...]], ...], ...] = (
    ((1.0, ()),),
    ((1.0, (1,)),),
    ((0.9, (1, 2)), (0.1, (0, 1))),
    ((0.9, (1, 2, 3)), (0.1, (0, 1, 2))),
    ((1.0, (1, 2, 3, 4)),),
    ((1.0, (0, 1, 2, 3, 4)),),
)
"""For each sign the ways to show it: how often, and the fingers (by place in `FINGERS`) raised."""

_KNUCKLES = np.array([(-0.36, 0.30), (-0.30, 0.95), (-0.10, 1.02), (0.10, 0.97), (0.28, 0.84)])
_LENGTHS = np.array(
    [(0.36, 0.34, 0.27), (0.44, 0.28, 0.22), (0.48, 0.31, 0.23), (0.44, 0.29, 0.22),
     (0.34, 0.22, 0.19)]
)  # fmt: skip
_WIDTHS = np.array(
    [(0.155, 0.125, 0.115, 0.09), (0.118, 0.108, 0.098, 0.08), (0.122, 0.110, 0.100, 0.082),
     (0.114, 0.104, 0.094, 0.078), (0.098, 0.088, 0.080, 0.066)]
)  # fmt: skip
_SPREAD = np.radians([58.0, 13.0, 2.0, -9.0, -21.0])
"""Usual direction of each finger, anticlockwise from straight up."""

PALM = np.array(
    [
        # from x, y, to x, y, radius at either end
        (-0.12, 0.02, -0.27, 0.82, 0.21, 0.17),
        (-0.04, 0.02, -0.09, 0.88, 0.22, 0.17),
        (0.06, 0.02, 0.09, 0.84, 0.22, 0.17),
        (0.11, 0.02, 0.23, 0.72, 0.20, 0.16),
        (-0.08, 0.06, -0.33, 0.34, 0.20, 0.17),
    ],
    np.float32,
)
"""The palm as tapered capsules that melt into one another."""


@dataclass(frozen=True)
class Pose:
    """A hand, ready to be painted.

    Attributes:
        raised: which of the five fingers are raised.
        joints: float32 (5, 4, 2), from knuckle to tip of each finger.
        radii: float32 (5, 4), of the finger at each joint.
        to_hand: float32 (2, 3), from picture coordinates (x to the right, y up, both from -1 to 1)
            to those of the hand.
    """

    raised: tuple[bool, ...]
    joints: Points
    radii: Points
    to_hand: Points


def draw_pose(sign: int, rng: np.random.Generator) -> Pose:
    """A pose of the sign, drawn at random."""
    raised = _raised(sign, rng)
    thickness = rng.uniform(0.88, 1.12)
    spread = rng.uniform(0.9, 1.4)
    joints = np.empty((5, 4, 2))
    for finger in range(5):
        bend = _raise if raised[finger] else _fold
        joints[finger] = bend(finger, spread, rng)
    radii = _WIDTHS * thickness
    return Pose(
        raised=tuple(raised),
        joints=joints.astype(np.float32),
        radii=radii.astype(np.float32),
        to_hand=_placement(joints, rng),
    )


def _raised(sign: int, rng: np.random.Generator) -> list[bool]:
    ways = SIGNS[sign]
    chosen = ways[rng.choice(len(ways), p=[share for share, _ in ways])][1]
    return [finger in chosen for finger in range(5)]


def _raise(finger: int, spread: float, rng: np.random.Generator) -> Points:
    """Straight, or nearly: each joint turns a little, and the finger may lean to the viewer."""
    if finger == 0:
        angle = _SPREAD[0] + rng.normal(0, 0.16)
        turns = rng.normal(-0.12, 0.12, 2)
    else:
        angle = _SPREAD[finger] * spread + rng.normal(0, 0.06)
        turns = rng.normal(0, 0.06, 2)
    directions = angle + np.array([0, turns[0], turns.sum()])
    lengths = _LENGTHS[finger] * rng.uniform(0.82, 1.02)
    return _chain(_KNUCKLES[finger] + rng.normal(0, 0.012, 2), directions, lengths)


def _fold(finger: int, spread: float, rng: np.random.Generator) -> Points:
    """Curled onto the palm: a short way up towards the viewer, then back down."""
    start = _KNUCKLES[finger] + rng.normal(0, 0.012, 2)
    if finger == 0:
        # The thumb lies across the palm, or along its side.
        across = rng.uniform(0.5, 1.0)
        directions = np.array([0.15, -0.35 - 0.55 * across, -0.7 - 0.75 * across])
        directions += rng.normal(0, 0.08, 3)
        return _chain(start, directions, _LENGTHS[0] * (0.86, 0.86, 0.8))
    angle = _SPREAD[finger] * 0.35 * spread + rng.normal(0, 0.04)
    directions = np.array([angle, angle + np.pi, angle + np.pi + rng.normal(0, 0.08)])
    shares = np.array([0.17, 1.0, 0.75]) * rng.uniform(0.9, 1.1)
    return _chain(start, directions, _LENGTHS[finger] * shares)


def _chain(start: Points, directions: Points, lengths: Points) -> Points:
    """Joints of a finger, from the directions (anticlockwise from up) of its segments."""
    steps = np.stack([-np.sin(directions), np.cos(directions)], 1) * np.asarray(lengths)[:, None]
    return np.concatenate([start[None], start + np.cumsum(steps, 0)])


def _placement(joints: Points, rng: np.random.Generator) -> Points:
    """Where in the picture the hand is: turned, sized, mirrored and sheared; never cut at a tip."""
    angle = rng.normal(0, 0.18)
    mirror = rng.choice([-1.0, 1.0])
    shear = rng.normal(0, 0.07)
    stretch = rng.uniform(0.92, 1.08)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    matrix = turn @ np.array([(mirror, shear), (0.0, stretch)])
    visible = np.concatenate([joints.reshape(-1, 2), [(-0.3, 0.0), (0.3, 0.0)]]) @ matrix.T
    low, high = visible.min(0) - 0.16, visible.max(0) + 0.16
    scale = rng.uniform(1.55, 1.9) / max(high - low)
    room = np.maximum(1 - scale * (high - low) / 2, 0)
    centre = rng.uniform(-0.7, 0.7, 2) * room - scale * (low + high) / 2
    inverse = np.linalg.inv(matrix * scale)
    return np.concatenate([inverse, (-inverse @ centre)[:, None]], 1).astype(np.float32)
