"""Light on a hand: sun and sky, folds in the shade of others, skin that glows a little."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from handsigns.data.synthetic.surface import Field, Surface, between

_SHADOW_STEPS = (1.2, 2.4, 4.0, 6.5, 10.0)
"""How far towards the light something is looked for that keeps it away; 64ths of the picture."""
_WRAP = (0.34, 0.20, 0.15)
"""How far light reaches round an edge, through skin, for red, green and blue."""


@dataclass(frozen=True)
class Light:
    """Light on a scene.

    Attributes:
        towards: unit vector to the light; x right, y down, z to the viewer.
        sun: float32 (3,), light from there.
        sky: float32 (3,), light from everywhere.
        shine: how much of the light oily skin mirrors.
    """

    towards: tuple[float, float, float]
    sun: Field
    sky: Field
    shine: float


def draw_light(rng: np.random.Generator) -> Light:
    """Light drawn at random, mostly from above."""
    angle = rng.normal(-np.pi / 2, 1.1)
    height = rng.uniform(0.35, 0.85)
    flat = (1 - height**2) ** 0.5
    share = rng.uniform(0.45, 0.8)
    warmth = rng.normal(0.0, 0.035)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    return Light(
        towards=(flat * math.cos(angle), flat * math.sin(angle), height),
        sun=(share * 1.35 * tint).astype(np.float32),
        sky=((1 - share) * (2 - tint)).astype(np.float32),
        shine=rng.uniform(0.0, 0.05),
    )


def lit(hand: Surface, skin: Field, cloth: Field, light: Light) -> Field:
    """What a hand looks like: float32 (S, S, 3), linear light; black where there is no hand."""
    nx, ny, nz = hand.facing
    lx, ly, lz = light.towards
    direct = nx * lx + ny * ly + nz * lz
    shade, sky = _shade(hand, light)
    colour = _colour(hand, skin, cloth)
    # Where the surface faces half-way between the light and the viewer, it shines.
    half = (2 + 2 * lz) ** 0.5
    mirror = np.maximum(direct * (1 / half) + nz * (1 / half), 0)
    for _ in range(4):
        mirror *= mirror
    mirror *= shade * (1 - hand.cloth) * light.shine
    sky *= 0.45 + 0.55 * nz
    for i, wrap in enumerate(_WRAP):
        sun = np.maximum((direct + wrap) * (1 / (1 + wrap)), 0) * shade
        colour[:, :, i] *= light.sun[i] * sun + light.sky[i] * sky
        colour[:, :, i] += mirror * light.sun[i]
    return colour


def _colour(hand: Surface, skin: Field, cloth: Field) -> Field:
    # Creases are redder than they are dark, for blood shines through.
    fold = hand.crease[:, :, None] * np.array([0.7, 1.0, 1.0], np.float32)
    colour = skin * (1 - fold)
    colour += 0.6 * hand.nail[:, :, None] * (skin * 1.15 + 0.08 - colour)
    colour += hand.cloth[:, :, None] * (cloth - colour)
    return colour


def _shade(hand: Surface, light: Light) -> tuple[Field, Field]:
    """How much of the light and of the sky each pixel sees, 0 to 1."""
    height = hand.height
    unit = len(height) / 64
    lx, ly, lz = light.towards
    flat = (lx * lx + ly * ly) ** 0.5
    over = np.zeros_like(height)
    for steps in _SHADOW_STEPS:
        step = steps * unit
        there = shifted(height, round(step * ly / flat), round(step * lx / flat))
        np.maximum(over, there - height - step * lz / flat, out=over)
    shade = 1 - 0.88 * between(over / (2.4 * unit))
    # What lies lower than its surroundings, near and less near, sees less of the sky.
    around = np.maximum(blurred(height, 2.0 * unit) - height, 0)
    near = np.maximum(blurred(height, 0.8 * unit) - height, 0)
    sky = np.maximum(1 - around / (6 * unit) - near / (2.5 * unit), 0.15)
    return blurred(shade, 0.5 * unit), sky


def shifted(field: Field, rows: int, columns: int) -> Field:
    """`field` (S, S) as it is so many rows and columns further on, its edges carried on."""
    places = np.arange(len(field))
    last = len(field) - 1
    return field[np.clip(places + rows, 0, last)][:, np.clip(places + columns, 0, last)]


def blurred(field: Field, deviation: float) -> Field:
    """`field` (S, S) or (S, S, C) under a Gaussian of so many pixels' deviation."""
    places = np.arange(len(field), dtype=np.float32) * (0.5**0.5 / max(deviation, 1e-3))
    apart = places[:, None] - places[None, :]
    weights = np.exp(-np.minimum(apart * apart, 80))
    weights /= weights.sum(axis=1, keepdims=True)
    if field.ndim == 2:
        return np.asarray(weights @ field @ weights.T)
    rows = (weights @ field.reshape(len(field), -1)).reshape(field.shape)
    return np.asarray(np.matmul(weights, rows))
