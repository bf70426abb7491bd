"""What several tests share: tiny pictures and plans that train in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from handsigns.data.splits import Split

# How long an example takes says nothing on a shared machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

REPOSITORY = Path(__file__).resolve().parents[1]
SIGNS = REPOSITORY.parent / "shared" / "data" / "signs_dev"


@pytest.fixture(scope="session")
def signs() -> Path:
    """The real photographs; the test is skipped where they are absent."""
    if not SIGNS.is_dir():
        pytest.skip("the real photographs are not here")
    return SIGNS


@pytest.fixture
def make_split() -> Callable[..., Split]:
    """Pictures whose class is easy to see: a bright band at a height of its own, in noise."""

    def make(count: int, seed: int = 0, classes: int = 3, size: int = 16) -> Split:
        rng = np.random.default_rng(seed)
        labels = np.arange(count) % classes
        images = rng.integers(0, 90, (count, size, size, 3), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            top = label * size // classes
            image[top : top + size // classes] += 120
        names = tuple(f"{label}_{i}.png" for i, label in enumerate(labels))
        return Split(images, labels.astype(np.int64), names)

    return make
