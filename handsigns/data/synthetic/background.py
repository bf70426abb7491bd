"""Random backgrounds, and the colours of skin and cloth.

Colours are linear light, 0 to 1: the squares of sRGB values, which is close enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from handsigns.data.synthetic.shading import gaussian_blur
from handsigns.data.synthetic.surface import FloatArray

_SKIN = np.array(
    [(252, 216, 194), (244, 198, 168), (230, 176, 140), (208, 152, 113), (180, 122, 84),
     (146, 94, 63), (110, 70, 48), (80, 52, 38)]
)  # fmt: skip
"""Skin tones (sRGB) in white light, from light to dark."""
_WOOD = np.array([(196, 158, 116), (160, 118, 78), (120, 82, 54), (86, 60, 44), (208, 186, 156)])
_PALM_LIGHTENING = 0.35
"""Blend of a palm towards the palest skin, for the darkest tone; proportional to darkness."""


def _linear(colour: FloatArray) -> FloatArray:
    return np.asarray(np.square(np.clip(np.asarray(colour) / 255.0, 0.0, 1.0)), np.float32)


def sample_skin_colour(rng: np.random.Generator, palm: bool) -> FloatArray:
    """Sample a skin colour, float32 (3,); palms are paler and redder than backs."""
    darkness = rng.uniform(0.0, len(_SKIN) - 1.0)
    tone = _interpolate(_SKIN, darkness)
    if palm:
        lightening = _PALM_LIGHTENING * darkness / len(_SKIN)
        tone = tone + lightening * (np.array([236, 186, 160]) - tone)
    return _linear(tone * rng.normal(1.0, 0.015, 3) * [1.0, 0.97 if palm else 1.0, 1.0])


def _interpolate(table: FloatArray, position: float) -> FloatArray:
    low = min(int(position), len(table) - 2)
    return np.asarray(table[low] + (position - low) * (table[low + 1] - table[low]))


def sample_colour(rng: np.random.Generator, vividness: float = 0.5) -> FloatArray:
    """Sample the colour of an artificial object, float32 (3,): mostly muted, sometimes vivid."""
    grey = rng.uniform(35.0, 235.0)
    chroma = rng.normal(0.0, 1.0, 3)
    chroma = np.clip(chroma - chroma.mean(), -1.2, 1.2)
    return _linear(grey * (1.0 + 0.75 * vividness * rng.beta(1.0, 2.5) * chroma))


def sample_background(rng: np.random.Generator, size: int) -> FloatArray:
    """Sample the background of the hand, float32 (size, size, 3)."""
    kinds: tuple[tuple[float, Callable[[np.random.Generator, int], FloatArray]], ...] = (
        (0.55, _wall), (0.08, _plaster), (0.13, _wood), (0.08, _curtain), (0.16, _room)
    )  # fmt: skip
    chosen = rng.choice(len(kinds), p=[share for share, _ in kinds])
    field = kinds[chosen][1](rng, size)
    across, down = np.clip(rng.normal(0.0, 0.16, 2), -0.4, 0.4).tolist()
    x, y = _grid(size)
    return np.asarray(field * (1 + across * x + down * y)[:, :, None], np.float32)


def _grid(size: int) -> tuple[FloatArray, FloatArray]:
    steps = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    return steps[None, :], steps[:, None]


def _wall(rng: np.random.Generator, size: int) -> FloatArray:
    """Render an unevenly lit wall, sometimes with the edge of a table, a door, or another wall."""
    field = np.broadcast_to(_wall_colour(rng), (size, size, 3)).copy()
    field *= 1 + rng.uniform(0.0, 0.12) * _smooth_noise(rng, size, 3, 3)[:, :, None]
    if rng.random() < 0.4:
        _paint_shape(field, rng, sample_colour(rng, 0.3), half_plane=True)
    return field


def _wall_colour(rng: np.random.Generator) -> FloatArray:
    if rng.random() < 0.35:
        return sample_colour(rng, 0.6)
    return _linear(rng.uniform(120.0, 240.0) * rng.normal(1.0, 0.05, 3))


def _plaster(rng: np.random.Generator, size: int) -> FloatArray:
    """Render rough plaster, cloth, or leaves: several octaves of noise."""
    field = np.zeros((size, size), np.float32)
    for cells, amplitude in ((4, 1.0), (9, 0.7), (20, 0.6), (32, 0.5)):
        field += amplitude * _smooth_noise(rng, size, cells, cells)
    first, second = sample_colour(rng, 0.6), sample_colour(rng, 0.6)
    second = first + rng.uniform(0.15, 0.7) * (second - first)
    share = np.clip(0.5 + 0.35 * field, 0, 1)[:, :, None]
    return first + share * (second - first)


def _wood(rng: np.random.Generator, size: int) -> FloatArray:
    """Render a table or a floor: planks of wood with grain."""
    grain = sum(
        amplitude * _smooth_noise(rng, size, rows, columns)
        for rows, columns, amplitude in ((10, 2, 1.0), (26, 3, 0.8), (size // 2, 5, 0.5))
    )
    planks = int(rng.integers(1, 6))
    position = (np.arange(size) / size + rng.random()) * planks
    plank = position.astype(int)
    # The joint between planks is dark and a pixel or two wide.
    joint = np.clip(1.2 - (position - plank) * size / planks / 1.2, 0, 1) * (planks > 1)
    tone = rng.normal(0.0, 0.09, 2 * planks + 1)[plank]
    lines = ((1 + tone) * (1 - 0.45 * joint)).astype(np.float32)[:, None]
    base = _linear(_interpolate(_WOOD, rng.uniform(0.0, len(_WOOD) - 1.0)))
    strength = rng.uniform(0.06, 0.2)
    field = (lines * (1 + strength * grain))[:, :, None] * base
    return np.asarray(field if rng.random() < 0.6 else field.swapaxes(0, 1), np.float32)


def _curtain(rng: np.random.Generator, size: int) -> FloatArray:
    """Render folds of cloth, or a blind."""
    x, y = _grid(size)
    angle = rng.normal(0.0, 0.2) + rng.choice([0.0, np.pi / 2], p=[0.7, 0.3])
    phase = math.cos(angle) * x + math.sin(angle) * y + 0.12 * _smooth_noise(rng, size, 3, 3)
    folds = np.sin(phase * rng.uniform(6.0, 26.0) + rng.uniform(0.0, 6.0))
    strength = rng.uniform(0.08, 0.35)
    return (1 + strength * folds)[:, :, None] * sample_colour(rng, 0.6)


def _room(rng: np.random.Generator, size: int) -> FloatArray:
    """Render a room out of focus: furniture, books, a window, objects on a table."""
    field = np.broadcast_to(_wall_colour(rng), (size, size, 3)).copy()
    for _ in range(int(rng.integers(2, 8))):
        _paint_shape(field, rng, sample_colour(rng, 0.8), half_plane=False)
    for _ in range(int(rng.integers(0, 3))):
        _paint_stick(field, rng, sample_colour(rng, 0.8))
    return gaussian_blur(field, rng.uniform(0.3, 2.5) * size / 64)


def _paint_shape(
    field: FloatArray, rng: np.random.Generator, paint: FloatArray, *, half_plane: bool
) -> None:
    """Paint a rotated, shaded rectangle or disc, or the half-plane beyond a line."""
    x, y = _grid(len(field))
    angle = rng.normal(0.0, 0.12) + rng.choice([0.0, np.pi / 2])
    u, v = _rotate(x, y, angle, rng)
    if half_plane:
        distance = u
    else:
        width, height = rng.uniform(0.06, 0.6, 2).tolist()
        is_disc = rng.random() < 0.25
        box = np.maximum(abs(u) - width, abs(v) - height)
        distance = np.hypot(u, v) - width if is_disc else box
    _paint(field, distance, paint * (1 + rng.normal(0.0, 0.2) * v)[:, :, None])


def _paint_stick(field: FloatArray, rng: np.random.Generator, paint: FloatArray) -> None:
    """Paint a pen, a lamp's arm or a chair's leg: a distractor of a finger's shape."""
    x, y = _grid(len(field))
    u, v = _rotate(x, y, rng.uniform(0.0, np.pi), rng)
    width, length = rng.uniform(0.02, 0.09), rng.uniform(0.2, 1.0)
    distance = np.hypot(u, np.maximum(abs(v) - length, 0)) - width
    _paint(field, distance, paint * (1 - 0.3 * np.clip(u / width, -1, 1))[:, :, None])


def _rotate(
    x: FloatArray, y: FloatArray, angle: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Rotate coordinates about a random point of the image."""
    c, s = math.cos(angle), math.sin(angle)
    px, py = x - rng.uniform(-1.0, 1.0), y - rng.uniform(-1.0, 1.0)
    return c * px + s * py, c * py - s * px


def _paint(field: FloatArray, distance: FloatArray, paint: FloatArray) -> None:
    """Paint where the signed distance, in half image widths, is negative."""
    alpha = np.clip(0.5 - distance * (len(field) / 2), 0, 1)[:, :, None]
    field += alpha * (np.maximum(paint, 0) - field)


def _smooth_noise(rng: np.random.Generator, size: int, rows: int, columns: int) -> FloatArray:
    """Sample value noise on a coarse grid, smoothly interpolated: float32 (size, size), ±2."""
    coarse = rng.standard_normal((rows + 1, columns + 1), dtype=np.float32)
    return _interpolation_weights(size, rows) @ coarse @ _interpolation_weights(size, columns).T


def _interpolation_weights(size: int, cells: int) -> FloatArray:
    """Return the smoothstep weights (size, cells + 1) of the grid points at each pixel."""
    position = np.arange(size, dtype=np.float32)[:, None] * (cells / size)
    weight = np.maximum(1 - abs(position - np.arange(cells + 1, dtype=np.float32)), 0)
    return weight * weight * (3 - 2 * weight)
