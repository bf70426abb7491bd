"""What is around a hand: the colours of skin and cloth, and what stands behind.

Colours are linear light, 0 to 1: the squares of what a screen is told, near enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from handsigns.data.synthetic.light import blurred
from handsigns.data.synthetic.surface import Field

_SKIN = np.array(
    [(252, 216, 194), (244, 198, 168), (230, 176, 140), (208, 152, 113), (180, 122, 84),
     (146, 94, 63), (110, 70, 48), (80, 52, 38)]
)  # fmt: skip
"""Skin in white light, from light to dark."""
_WOOD = np.array([(196, 158, 116), (160, 118, 78), (120, 82, 54), (86, 60, 44), (208, 186, 156)])
_PALM_PALER = 0.35
"""How far a palm is on its way to the palest skin, by how dark its owner is."""


def _linear(colour: Field) -> Field:
    return np.asarray(np.square(np.clip(np.asarray(colour) / 255.0, 0.0, 1.0)), np.float32)


def skin(rng: np.random.Generator, palm: bool) -> Field:
    """The colour of a hand's skin, float32 (3,); palms are paler and redder than backs."""
    place = rng.uniform(0.0, len(_SKIN) - 1.0)
    tone = _between(_SKIN, place)
    if palm:
        tone = tone + _PALM_PALER * place / len(_SKIN) * (np.array([236, 186, 160]) - tone)
    return _linear(tone * rng.normal(1.0, 0.015, 3) * [1.0, 0.97 if palm else 1.0, 1.0])


def _between(table: Field, place: float) -> Field:
    low = min(int(place), len(table) - 2)
    return np.asarray(table[low] + (place - low) * (table[low + 1] - table[low]))


def colour(rng: np.random.Generator, vividness: float = 0.5) -> Field:
    """A colour of things people make, float32 (3,): mostly muted, at times strong."""
    grey = rng.uniform(35.0, 235.0)
    chroma = rng.normal(0.0, 1.0, 3)
    chroma = np.clip(chroma - chroma.mean(), -1.2, 1.2)
    return _linear(grey * (1.0 + 0.75 * vividness * rng.beta(1.0, 2.5) * chroma))


def background(rng: np.random.Generator, size: int) -> Field:
    """What stands behind the hand: float32 (size, size, 3)."""
    kinds: tuple[tuple[float, Callable[[np.random.Generator, int], Field]], ...] = (
        (0.55, _wall), (0.08, _plaster), (0.13, _wood), (0.08, _curtain), (0.16, _room)
    )  # fmt: skip
    chosen = rng.choice(len(kinds), p=[share for share, _ in kinds])
    field = kinds[chosen][1](rng, size)
    across, down = np.clip(rng.normal(0.0, 0.16, 2), -0.4, 0.4).tolist()
    x, y = _grid(size)
    return np.asarray(field * (1 + across * x + down * y)[:, :, None], np.float32)


def _grid(size: int) -> tuple[Field, Field]:
    steps = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    return steps[None, :], steps[:, None]


def _wall(rng: np.random.Generator, size: int) -> Field:
    """Plain, in uneven light; at times with the edge of a table, a door, or the next wall."""
    field = np.broadcast_to(_wall_colour(rng), (size, size, 3)).copy()
    field *= 1 + rng.uniform(0.0, 0.12) * _clouds(rng, size, 3, 3)[:, :, None]
    if rng.random() < 0.4:
        _put_thing(field, rng, colour(rng, 0.3), at_edge=True)
    return field


def _wall_colour(rng: np.random.Generator) -> Field:
    if rng.random() < 0.35:
        return colour(rng, 0.6)
    return _linear(rng.uniform(120.0, 240.0) * rng.normal(1.0, 0.05, 3))


def _plaster(rng: np.random.Generator, size: int) -> Field:
    """Rough plaster, cloth, or leaves: blotches on blotches."""
    field = np.zeros((size, size), np.float32)
    for cells, share in ((4, 1.0), (9, 0.7), (20, 0.6), (32, 0.5)):
        field += share * _clouds(rng, size, cells, cells)
    one, other = colour(rng, 0.6), colour(rng, 0.6)
    other = one + rng.uniform(0.15, 0.7) * (other - one)
    share = np.clip(0.5 + 0.35 * field, 0, 1)[:, :, None]
    return one + share * (other - one)


def _wood(rng: np.random.Generator, size: int) -> Field:
    """A table or a floor: planks of wood with their grain."""
    grain = sum(
        share * _clouds(rng, size, rows, columns)
        for rows, columns, share in ((10, 2, 1.0), (26, 3, 0.8), (size // 2, 5, 0.5))
    )
    planks = int(rng.integers(1, 6))
    place = (np.arange(size) / size + rng.random()) * planks
    plank = place.astype(int)
    # The joint between planks is dark and a pixel or two wide.
    joint = np.clip(1.2 - (place - plank) * size / planks / 1.2, 0, 1) * (planks > 1)
    tone = rng.normal(0.0, 0.09, 2 * planks + 1)[plank]
    lines = ((1 + tone) * (1 - 0.45 * joint)).astype(np.float32)[:, None]
    base = _linear(_between(_WOOD, rng.uniform(0.0, len(_WOOD) - 1.0)))
    strength = rng.uniform(0.06, 0.2)
    field = (lines * (1 + strength * grain))[:, :, None] * base
    return np.asarray(field if rng.random() < 0.6 else field.swapaxes(0, 1), np.float32)


def _curtain(rng: np.random.Generator, size: int) -> Field:
    """Folds of cloth, or a blind."""
    x, y = _grid(size)
    angle = rng.normal(0.0, 0.2) + rng.choice([0.0, np.pi / 2], p=[0.7, 0.3])
    along = math.cos(angle) * x + math.sin(angle) * y + 0.12 * _clouds(rng, size, 3, 3)
    folds = np.sin(along * rng.uniform(6.0, 26.0) + rng.uniform(0.0, 6.0))
    strength = rng.uniform(0.08, 0.35)
    return (1 + strength * folds)[:, :, None] * colour(rng, 0.6)


def _room(rng: np.random.Generator, size: int) -> Field:
    """A room out of focus: furniture, books, a window, things on a table."""
    field = np.broadcast_to(_wall_colour(rng), (size, size, 3)).copy()
    for _ in range(int(rng.integers(2, 8))):
        _put_thing(field, rng, colour(rng, 0.8), at_edge=False)
    for _ in range(int(rng.integers(0, 3))):
        _put_stick(field, rng, colour(rng, 0.8))
    return blurred(field, rng.uniform(0.3, 2.5) * size / 64)


def _put_thing(field: Field, rng: np.random.Generator, paint: Field, *, at_edge: bool) -> None:
    """A turned rectangle or disc, shaded from side to side; at an edge, all beyond a line."""
    x, y = _grid(len(field))
    angle = rng.normal(0.0, 0.12) + rng.choice([0.0, np.pi / 2])
    u, v = _turned(x, y, angle, rng)
    if at_edge:
        edge = u
    else:
        width, height = rng.uniform(0.06, 0.6, 2).tolist()
        round_one = rng.random() < 0.25
        edge = np.hypot(u, v) - width if round_one else np.maximum(abs(u) - width, abs(v) - height)
    _paint(field, edge, paint * (1 + rng.normal(0.0, 0.2) * v)[:, :, None])


def _put_stick(field: Field, rng: np.random.Generator, paint: Field) -> None:
    """A pen, a lamp's arm, a chair's leg: as long and thin as a finger, and no finger."""
    x, y = _grid(len(field))
    u, v = _turned(x, y, rng.uniform(0.0, np.pi), rng)
    width, length = rng.uniform(0.02, 0.09), rng.uniform(0.2, 1.0)
    edge = np.hypot(u, np.maximum(abs(v) - length, 0)) - width
    _paint(field, edge, paint * (1 - 0.3 * np.clip(u / width, -1, 1))[:, :, None])


def _turned(x: Field, y: Field, angle: float, rng: np.random.Generator) -> tuple[Field, Field]:
    """Coordinates turned about a point somewhere in the picture."""
    c, s = math.cos(angle), math.sin(angle)
    px, py = x - rng.uniform(-1.0, 1.0), y - rng.uniform(-1.0, 1.0)
    return c * px + s * py, c * py - s * px


def _paint(field: Field, edge: Field, paint: Field) -> None:
    """Paint where the distance `edge`, in half pictures, is negative."""
    alpha = np.clip(0.5 - edge * (len(field) / 2), 0, 1)[:, :, None]
    field += alpha * (np.maximum(paint, 0) - field)


def _clouds(rng: np.random.Generator, size: int, rows: int, columns: int) -> Field:
    """Random values on a coarse grid with smooth passages: float32 (size, size), about -2 to 2."""
    coarse = rng.standard_normal((rows + 1, columns + 1), dtype=np.float32)
    return _passages(size, rows) @ coarse @ _passages(size, columns).T


def _passages(size: int, cells: int) -> Field:
    """The weights (size, cells + 1) of a grid's lines at each pixel."""
    place = np.arange(size, dtype=np.float32)[:, None] * (cells / size)
    near = np.maximum(1 - abs(place - np.arange(cells + 1, dtype=np.float32)), 0)
    return near * near * (3 - 2 * near)
