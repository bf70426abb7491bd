"""Rendering of one image: from a sign to pixels."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from handsigns.data.synthetic.background import (
    sample_background,
    sample_colour,
    sample_skin_colour,
)
from handsigns.data.synthetic.camera import apply_camera, sample_camera
from handsigns.data.synthetic.capsules import build_capsules, sample_hand_shape
from handsigns.data.synthetic.shading import (
    Light,
    gaussian_blur,
    sample_light,
    shade_surface,
    shift,
)
from handsigns.data.synthetic.skeleton import sample_pose
from handsigns.data.synthetic.surface import SUPERSAMPLING, FloatArray, render_surface
from handsigns.data.synthetic.view import project_capsules, sample_view


def render_image(sign: int, rng: np.random.Generator, size: int) -> npt.NDArray[np.uint8]:
    """Render an image of the sign, uint8 (size, size, 3); `rng` is the only randomness."""
    bones = sample_pose(sign, rng)
    view = sample_view(bones, rng)
    parts = build_capsules(bones, sample_hand_shape(rng))
    hand = render_surface(project_capsules(parts, view, SUPERSAMPLING * size), size)
    light = sample_light(rng)
    coverage = hand.coverage[:, :, None]
    skin, cloth = sample_skin_colour(rng, view.palm), sample_colour(rng, 0.9)
    front = shade_surface(hand, skin, cloth, light) * coverage
    behind = sample_background(rng, size) * _background_light(hand.coverage, light, rng)
    scene = front + (1 - coverage) * behind
    # The camera meters the hand as much as the whole image.
    metered = 0.5 * float(scene.mean()) + 0.5 * float(front.sum() / max(3 * coverage.sum(), 1.0))
    return apply_camera(scene, metered, sample_camera(rng), rng)


def _background_light(coverage: FloatArray, light: Light, rng: np.random.Generator) -> FloatArray:
    """Compute the light on the background: float32 (S, S, 3), less in the hand's shadow."""
    size = len(coverage)
    distance = math.exp(rng.uniform(math.log(0.015), math.log(0.3)))
    lx, ly, lz = light.direction
    shadow = shift(coverage, round(distance * size * ly / lz), round(distance * size * lx / lz))
    shadow = gaussian_blur(shadow, (0.6 + 16 * distance) * size / 64)[:, :, None]
    near = gaussian_blur(coverage, 3.0 * size / 64)[:, :, None]
    return light.sun * lz * (1 - shadow) + light.sky * (1 - 0.35 * near)
