"""What a camera makes of light: exposure, colour, blur, grain, and eight bits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from handsigns.data.synthetic.light import blurred
from handsigns.data.synthetic.surface import Field


@dataclass(frozen=True)
class Camera:
    """How a picture is taken.

    Attributes:
        exposure: the mean of what is metered, linear, that the camera aims at.
        balance: float32 (3,), factors on red, green and blue.
        blur: deviation of the blur, in 64ths of the picture.
        grain: deviation of the noise, of a full range of 1.
        fall_off: how much darker the corners are, 0 to 1.
    """

    exposure: float
    balance: Field
    blur: float
    grain: float
    fall_off: float


def draw_camera(rng: np.random.Generator) -> Camera:
    """A camera and its faults, drawn at random."""
    warmth, green = rng.normal(0.0, 0.04), rng.normal(0.0, 0.012)
    return Camera(
        exposure=0.27 * math.exp(rng.normal(0.0, 0.3)),
        balance=np.array([1 + warmth, 1 + green, 1 - warmth], np.float32),
        blur=0.25 + rng.gamma(2.0, 0.1),
        grain=rng.gamma(2.0, 0.0035),
        fall_off=rng.uniform(0.0, 0.3),
    )


def develop(
    light: Field, metered: float, camera: Camera, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """The picture, uint8 (S, S, 3), of light, float32 (S, S, 3), linear.

    Args:
        light: what comes in.
        metered: how bright that is where the camera measures.
        camera: how the picture is taken.
        rng: of the noise.
    """
    size = len(light)
    steps = np.linspace(-1, 1, size, dtype=np.float32) ** 2
    lens = 1 - (camera.fall_off / 2) * (steps[:, None] + steps[None, :])
    gain = camera.exposure / max(metered, 0.02)
    light = blurred(light, camera.blur * size / 64)
    light = light * lens[:, :, None] * (camera.balance * gain)
    # Bright parts bend over before they burn out; the root is the screen's gamma.
    tone = np.sqrt(np.maximum(light, 0) / (1 + 0.22 * light * light))
    grey = rng.standard_normal((size, size, 1), dtype=np.float32)
    tint = rng.standard_normal((size, size, 3), dtype=np.float32)
    tone = tone + camera.grain * (grey + 0.5 * tint)
    return np.clip(np.rint(tone * 255), 0, 255).astype(np.uint8)
