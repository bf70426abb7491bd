"""Drawn hands: pictures of the six hand signs, made from geometry; the embedded default data set.

`pose` bends a hand, `scene` chooses light, skin and surroundings, `render` paints. Every picture
follows from the seed and its own number alone. The last bits may differ between processors; the
data set's fingerprint tells what was really drawn.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from handsigns.data.drawn.pose import draw_pose
from handsigns.data.drawn.render import render
from handsigns.data.drawn.scene import draw_scene

CLASSES = ("0", "1", "2", "3", "4", "5")
"""The number of fingers shown."""
VERSION = 1
"""Raised when the same seed draws other pictures than before."""

_AT_ONCE = 16
"""Pictures painted together: few enough for their arrays to stay in the processor's cache."""


def draw_hands(
    count: int, seed: int, size: int = 64
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Draw hands.

    Args:
        count: how many; the classes take turns.
        seed: of the whole set. Picture i of a seed is the same whatever the count.
        size: height and width in pixels.

    Returns:
        images uint8 (count, size, size, 3) and labels int64 (count,), the number of fingers.
    """
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    images = np.empty((count, size, size, 3), np.uint8)

    def draw(first: int) -> None:
        numbers = range(first, min(first + _AT_ONCE, count))
        generators = [np.random.default_rng([seed, number]) for number in numbers]
        poses = [draw_pose(int(labels[n]), rng) for n, rng in zip(numbers, generators, strict=True)]
        scenes = [draw_scene(rng, size) for rng in generators]
        images[first : first + len(poses)] = render(poses, scenes, size)

    # Threads serve: numpy lets go of the interpreter while it computes.
    with ThreadPoolExecutor() as pool:
        list(pool.map(draw, range(0, count, _AT_ONCE)))
    return images, labels
