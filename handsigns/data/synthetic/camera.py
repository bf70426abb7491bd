"""Camera simulation: exposure, white balance, blur, noise, and quantisation to eight bits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from handsigns.data.synthetic.shading import gaussian_blur
from handsigns.data.synthetic.surface import FloatArray


@dataclass(frozen=True)
class Camera:
    """Camera settings and imperfections.

    Attributes:
        exposure: target mean of the metered light, linear.
        white_balance: float32 (3,), factors of red, green and blue.
        blur: standard deviation of the blur, in 64ths of the image.
        noise_std: standard deviation of the noise, for a full range of 1.
        vignetting: darkening of the corners, 0 to 1.
    """

    exposure: float
    white_balance: FloatArray
    blur: float
    noise_std: float
    vignetting: float


def sample_camera(rng: np.random.Generator) -> Camera:
    """Sample a camera with its imperfections."""
    warmth, green = rng.normal(0.0, 0.04), rng.normal(0.0, 0.012)
    return Camera(
        exposure=0.27 * math.exp(rng.normal(0.0, 0.3)),
        white_balance=np.array([1 + warmth, 1 + green, 1 - warmth], np.float32),
        blur=0.25 + rng.gamma(2.0, 0.1),
        noise_std=rng.gamma(2.0, 0.0035),
        vignetting=rng.uniform(0.0, 0.3),
    )


def apply_camera(
    light: FloatArray, metered: float, camera: Camera, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Turn linear light into an image, uint8 (S, S, 3).

    Args:
        light: incoming light, float32 (S, S, 3), linear.
        metered: mean light that the camera's exposure metering sees.
        camera: settings and imperfections.
        rng: source of the noise.
    """
    size = len(light)
    steps = np.linspace(-1, 1, size, dtype=np.float32) ** 2
    lens = 1 - (camera.vignetting / 2) * (steps[:, None] + steps[None, :])
    gain = camera.exposure / max(metered, 0.02)
    light = gaussian_blur(light, camera.blur * size / 64)
    light = light * lens[:, :, None] * (camera.white_balance * gain)
    # A shoulder compresses highlights before they clip; the root is the display gamma.
    tone = np.sqrt(np.maximum(light, 0) / (1 + 0.22 * light * light))
    luma_noise = rng.standard_normal((size, size, 1), dtype=np.float32)
    chroma_noise = rng.standard_normal((size, size, 3), dtype=np.float32)
    tone = tone + camera.noise_std * (luma_noise + 0.5 * chroma_noise)
    return np.clip(np.rint(tone * 255), 0, 255).astype(np.uint8)
