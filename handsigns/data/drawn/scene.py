"""What surrounds a hand: light, skin, sleeve, background, and what the camera makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]  # float32 throughout, which numpy's types do not follow

_SKIN = np.array(
    [(250, 214, 190), (238, 190, 158), (222, 166, 126), (192, 130, 92), (150, 96, 64),
     (108, 68, 46), (78, 50, 36)]
)  # fmt: skip
"""Skin in white light, from light to dark."""


@dataclass(frozen=True)
class Scene:
    """All that is in a picture beside the hand's shape. Colours are linear shares, about 0 to 1.

    Attributes:
        skin: float32 (3,).
        light: float32 (3,), unit vector towards the light, z to the viewer.
        ambient: share of the light that comes from everywhere.
        back: whether the back of the hand, with its nails, is seen.
        sleeve: float32 (3,); its edge lies `sleeve_edge` palm lengths from the wrist.
        background: float32 (S, S, 3).
        shadow: how dark the hand's shadow is, and how far it falls (x, y, in half pictures).
        blur: share of a 3x3 blur in the picture.
        gain: float32 (3,), exposure and white balance.
        noise: float32 (S, S, 3), added at the end.
    """

    skin: Floats
    light: Floats
    ambient: float
    back: bool
    sleeve: Floats
    sleeve_edge: float
    background: Floats
    shadow: tuple[float, float, float]
    blur: float
    gain: Floats
    noise: Floats


def draw_scene(rng: np.random.Generator, size: int) -> Scene:
    """A scene drawn at random, for pictures of `size` pixels."""
    angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.45, 0.9)
    flat = np.sqrt(1 - height**2)
    grain = rng.gamma(2.0, 0.006)
    reach = rng.uniform(0.04, 0.2)
    return Scene(
        skin=_skin(rng),
        light=np.array([flat * np.cos(angle), flat * np.sin(angle), height], np.float32),
        ambient=float(rng.uniform(0.35, 0.7)),
        back=bool(rng.random() < 0.5),
        sleeve=_color(rng),
        sleeve_edge=float(rng.uniform(0.05, 0.9)),
        background=_background(rng, size),
        shadow=(
            float(rng.uniform(0, 0.55)),
            float(-reach * np.cos(angle)),
            float(-reach * np.sin(angle)),
        ),
        blur=float(rng.uniform(0, 0.8)),
        gain=(rng.uniform(0.8, 1.15) * rng.normal(1, 0.05, 3)).astype(np.float32),
        noise=rng.normal(0, grain, (size, size, 3)).astype(np.float32),
    )


def _skin(rng: np.random.Generator) -> Floats:
    place = rng.uniform(0, len(_SKIN) - 1)
    low = min(int(place), len(_SKIN) - 2)
    tone = _SKIN[low] + (place - low) * (_SKIN[low + 1] - _SKIN[low])
    return (tone / 255 * rng.normal(1, 0.025, 3)).astype(np.float32)


def _color(rng: np.random.Generator) -> Floats:
    """Mostly muted, as walls, furniture and clothes are."""
    grey = rng.uniform(0.08, 0.95)
    vivid = rng.beta(1.0, 3.5)
    return np.clip(grey + vivid * rng.uniform(-0.45, 0.45, 3), 0.02, 1).astype(np.float32)


def _background(rng: np.random.Generator, size: int) -> Floats:
    """A wall in uneven light; at times with wood, cloth, or things in front of it."""
    steps = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = steps[None, :, None], -steps[:, None, None]
    field = np.broadcast_to(_color(rng), (size, size, 3)).copy()
    kind = rng.random()
    if kind < 0.2:
        field *= 1 + rng.uniform(0.03, 0.14) * _grain(rng, x, y)
    elif kind < 0.4:
        field += rng.uniform(0.04, 0.18) * _patches(rng, size)
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        _put_thing(field, rng, x, y)
    across, up = rng.normal(0, 0.12, 2)
    return field * (1 + across * x + up * y).astype(np.float32)


def _grain(rng: np.random.Generator, x: Floats, y: Floats) -> Floats:
    """Lines of wood or cloth, slightly wavy."""
    angle, wavelength = rng.uniform(0, np.pi), rng.uniform(0.06, 0.5)
    along = np.cos(angle) * x + np.sin(angle) * y
    across = np.cos(angle) * y - np.sin(angle) * x
    waves = across + rng.uniform(0, 0.06) * np.sin(along * rng.uniform(2, 9))
    return np.sin(2 * np.pi * waves / wavelength).astype(np.float32)


def _patches(rng: np.random.Generator, size: int) -> Floats:
    """Blotches of light and colour: random values on a coarse grid, smoothly between."""
    cells = int(rng.integers(2, 8))
    light = rng.normal(0, 1, (cells + 1, cells + 1, 1))
    coarse = light + rng.normal(0, rng.uniform(0.1, 0.6), (cells + 1, cells + 1, 3))
    place = np.linspace(0, cells, size, endpoint=False)
    low = place.astype(int)
    share = place - low
    share = share * share * (3 - 2 * share)
    rows = coarse[low] * (1 - share)[:, None, None] + coarse[low + 1] * share[:, None, None]
    columns = rows[:, low] * (1 - share)[None, :, None] + rows[:, low + 1] * share[None, :, None]
    return columns.astype(np.float32)


def _put_thing(field: Floats, rng: np.random.Generator, x: Floats, y: Floats) -> None:
    """A turned rectangle: a door, a shelf, a screen, the edge of a table."""
    angle = rng.normal(0, 0.25) + rng.choice([0, np.pi / 2])
    cx, cy = rng.uniform(-1, 1, 2)
    width, height = rng.uniform(0.08, 0.9, 2)
    u = np.cos(angle) * (x - cx) + np.sin(angle) * (y - cy)
    v = np.cos(angle) * (y - cy) - np.sin(angle) * (x - cx)
    edge = np.maximum(np.abs(u) - width, np.abs(v) - height)
    alpha = np.clip(0.5 - edge * field.shape[0] / 2, 0, 1)
    field += alpha * (_color(rng) - field)
