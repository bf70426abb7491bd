"""Images that carry little information: uniform, dark, overexposed or blurred."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_UNIFORM_STD = 4.0
"""Standard deviation in grey levels below which nothing can be seen."""
_DARK_LEVEL, _BRIGHT_LEVEL = 50.0, 225.0
"""Grey levels below, or above, which 95 % of a dark, or bright, image lie."""
_BLUR_RATIO = 0.25
"""Sharpness, relative to the median of the set, below which an image is blurred."""
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_BATCH_PIXELS = 512 * 64 * 64
"""Pixels of the images that are judged at a time, which bounds the memory."""

Mask = npt.NDArray[np.bool_]


def find_defects(images: Sequence[npt.NDArray[np.uint8]]) -> dict[str, Mask]:
    """Return which images (N,) are uniform, dark, bright and blurred; at most one of these.

    Sharpness is the mean difference of an image from the mean of each pixel's neighbours, in
    proportion to its contrast, and is compared with the other images: sets differ by nature.

    Args:
        images: N images, uint8 (H, H, 3).
    """
    batch = max(1, _BATCH_PIXELS // images[0][:, :, 0].size) if len(images) else 1
    stats = [_statistics(images[i : i + batch]) for i in range(0, len(images), batch)]
    std, low, high, sharpness = np.concatenate([np.empty((4, 0)), *stats], axis=1)
    uniform = std < _UNIFORM_STD
    dark = ~uniform & (high < _DARK_LEVEL)
    bright = ~uniform & (low > _BRIGHT_LEVEL)
    judged = ~(uniform | dark | bright)
    typical = float(np.median(sharpness[judged])) if judged.any() else 0.0
    blurred = judged & (sharpness < _BLUR_RATIO * typical)
    return {"uniform": uniform, "dark": dark, "bright": bright, "blurred": blurred}


def _statistics(images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float64]:
    """Return contrast, darkest and brightest 5 %, and sharpness of each image (4, N)."""
    grey = np.stack(list(images)).astype(np.float32) @ _LUMINANCE
    low, high = np.percentile(grey, (5, 95), axis=(1, 2))
    std = grey.std(axis=(1, 2))
    inner = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    sharpness = abs(inner - around / 4).mean(axis=(1, 2)) / np.maximum(std, 1e-6)
    return np.stack([std, low, high, sharpness]).astype(np.float64)
