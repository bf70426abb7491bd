"""Drawn hands: pictures of the six hand signs, made from geometry; the embedded default data set.

`skeleton` bends the bones of a hand, `flesh` puts tapered capsules on them, `view` turns it and
places it in the picture, `surface` finds what is seen of it, `light` and `scene` give it light,
skin and surroundings, `film` takes the photograph, and `picture` has them do so in turn.

Every picture follows from the seed and its own number alone. The last bits of the arithmetic may
differ between processors, and a pixel with them; the data set's fingerprint tells what was drawn.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from handsigns.data.synthetic.picture import draw_picture

CLASSES = ("0", "1", "2", "3", "4", "5")
"""The number of fingers shown."""
VERSION = 2
"""Raised when the same seed draws other pictures than before."""


def draw_hands(
    count: int, seed: int, size: int = 64
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Draw hands.

    Args:
        count: how many; the classes take turns.
        seed: of the whole set, 0 or more. Picture i of a seed is the same whatever the count.
        size: height and width in pixels.

    Returns:
        images uint8 (count, size, size, 3) and labels int64 (count,), the number of fingers.
    """
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    images = np.empty((count, size, size, 3), np.uint8)
    for number, label in enumerate(labels):
        images[number] = draw_picture(int(label), np.random.default_rng([seed, number]), size)
    return images, labels
