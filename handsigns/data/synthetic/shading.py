"""Shading of a hand: sun and sky, cast shadows, ambient occlusion and subsurface scattering."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from handsigns.data.synthetic.surface import FloatArray, Surface, clip01

_SHADOW_STEPS = (1.2, 2.4, 4.0, 6.5, 10.0)
"""Distances towards the light at which occluders are searched, in 64ths of the image."""
_WRAP = (0.34, 0.20, 0.15)
"""Wrap lighting of red, green and blue: how far light scatters round an edge through skin."""


@dataclass(frozen=True)
class Light:
    """Light of a scene.

    Attributes:
        direction: unit vector to the light; x right, y down, z to the viewer.
        sun: float32 (3,), directional light.
        sky: float32 (3,), ambient light.
        specular: fraction of the light that oily skin reflects.
    """

    direction: tuple[float, float, float]
    sun: FloatArray
    sky: FloatArray
    specular: float


def sample_light(rng: np.random.Generator) -> Light:
    """Sample light, mostly from above."""
    angle = rng.normal(-np.pi / 2, 1.1)
    height = rng.uniform(0.35, 0.85)
    flat = (1 - height**2) ** 0.5
    share = rng.uniform(0.45, 0.8)
    warmth = rng.normal(0.0, 0.035)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    return Light(
        direction=(flat * math.cos(angle), flat * math.sin(angle), height),
        sun=(share * 1.35 * tint).astype(np.float32),
        sky=((1 - share) * (2 - tint)).astype(np.float32),
        specular=rng.uniform(0.0, 0.05),
    )


def shade_surface(hand: Surface, skin: FloatArray, cloth: FloatArray, light: Light) -> FloatArray:
    """Compute a hand's linear light, float32 (S, S, 3); black where there is no hand."""
    nx, ny, nz = hand.normal
    lx, ly, lz = light.direction
    direct = nx * lx + ny * ly + nz * lz
    shade, sky = _visibility(hand, light)
    colour = _colour(hand, skin, cloth)
    # Blinn-Phong: the highlight is where the normal is half-way between light and viewer.
    half = (2 + 2 * lz) ** 0.5
    highlight = np.maximum(direct * (1 / half) + nz * (1 / half), 0)
    for _ in range(4):
        highlight *= highlight
    highlight *= shade * (1 - hand.cloth) * light.specular
    sky *= 0.45 + 0.55 * nz
    for i, wrap in enumerate(_WRAP):
        sun = np.maximum((direct + wrap) * (1 / (1 + wrap)), 0) * shade
        colour[:, :, i] *= light.sun[i] * sun + light.sky[i] * sky
        colour[:, :, i] += highlight * light.sun[i]
    return colour


def _colour(hand: Surface, skin: FloatArray, cloth: FloatArray) -> FloatArray:
    # Creases lose less red than green and blue, as blood shines through.
    fold = hand.crease[:, :, None] * np.array([0.7, 1.0, 1.0], np.float32)
    colour = skin * (1 - fold)
    colour += 0.6 * hand.nail[:, :, None] * (skin * 1.15 + 0.08 - colour)
    colour += hand.cloth[:, :, None] * (cloth - colour)
    return colour


def _visibility(hand: Surface, light: Light) -> tuple[FloatArray, FloatArray]:
    """Compute how much of the light and of the sky each pixel sees, 0 to 1."""
    height = hand.height
    unit = len(height) / 64
    lx, ly, lz = light.direction
    flat = (lx * lx + ly * ly) ** 0.5
    excess = np.zeros_like(height)
    for steps in _SHADOW_STEPS:
        step = steps * unit
        occluder = shift(height, round(step * ly / flat), round(step * lx / flat))
        np.maximum(excess, occluder - height - step * lz / flat, out=excess)
    shade = 1 - 0.88 * clip01(excess / (2.4 * unit))
    # Ambient occlusion: pixels lower than their surroundings, at two scales, see less sky.
    around = np.maximum(gaussian_blur(height, 2.0 * unit) - height, 0)
    near = np.maximum(gaussian_blur(height, 0.8 * unit) - height, 0)
    sky = np.maximum(1 - around / (6 * unit) - near / (2.5 * unit), 0.15)
    return gaussian_blur(shade, 0.5 * unit), sky


def shift(field: FloatArray, rows: int, columns: int) -> FloatArray:
    """Shift `field` (S, S) up and to the left by rows and columns, repeating its edges."""
    indices = np.arange(len(field))
    last = len(field) - 1
    return field[np.clip(indices + rows, 0, last)][:, np.clip(indices + columns, 0, last)]


def gaussian_blur(field: FloatArray, sigma: float) -> FloatArray:
    """Blur `field` (S, S) or (S, S, C) with a Gaussian of `sigma` pixels."""
    positions = np.arange(len(field), dtype=np.float32) * (0.5**0.5 / max(sigma, 1e-3))
    distance = positions[:, None] - positions[None, :]
    weights = np.exp(-np.minimum(distance * distance, 80))
    weights /= weights.sum(axis=1, keepdims=True)
    if field.ndim == 2:
        return np.asarray(weights @ field @ weights.T)
    rows = (weights @ field.reshape(len(field), -1)).reshape(field.shape)
    return np.asarray(np.matmul(weights, rows))
