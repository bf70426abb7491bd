"""Images in memory whose classes are easy to distinguish."""

from __future__ import annotations

import numpy as np

from handsigns.data.splits import Split


def make_split(count: int, seed: int = 0, classes: int = 3, size: int = 16) -> Split:
    """Return noise images with a bright band, whose height determines the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = rng.integers(0, 90, (count, size, size, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        top = label * size // classes
        image[top : top + size // classes] += 120
    names = tuple(f"{label}_{i}.png" for i, label in enumerate(labels))
    return Split(images, labels.astype(np.int64), names)
