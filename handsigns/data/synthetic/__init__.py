"""Synthetic hands: rendered images of the six hand signs, the built-in default data set.

`skeleton` samples a pose, `capsules` builds a hand of tapered capsules on it, `view` projects them
into the image, `surface` computes the visible surface, `shading` and `background` add light, skin
and surroundings, `camera` simulates the photograph, and `render` runs these steps.

Every image depends on the seed and its index alone. The last bits of the arithmetic, and so single
pixels, may differ between processors; the data set's fingerprint identifies the actual images.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from handsigns.data.synthetic.render import render_image

CLASSES = ("0", "1", "2", "3", "4", "5")
"""Class names: the number of raised fingers."""
VERSION = 2
"""Version of the generator, incremented when the same seed gives different images."""


def generate_hands(
    count: int, seed: int, size: int = 64
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Render hands.

    Args:
        count: number of images; their classes cycle.
        seed: seed of the set, at least 0. Image i of a seed is the same whatever the count.
        size: height and width in pixels.

    Returns:
        images uint8 (count, size, size, 3) and labels int64 (count,), the number of fingers.
    """
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    images = np.empty((count, size, size, 3), np.uint8)
    for i, label in enumerate(labels):
        images[i] = render_image(int(label), np.random.default_rng([seed, i]), size)
    return images, labels
