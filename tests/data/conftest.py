"""Fixtures: folders of small images, in every layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Cache folder private to the test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("HANDSIGNS_CACHE", str(folder))
    return folder


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Return a function that writes a small noise image, different at every call."""
    count = 0

    def write(path: Path, size=(8, 8), seed: int | None = None) -> Path:
        nonlocal count
        count += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(count if seed is None else seed)
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, quality=95)
        return path

    return write


@pytest.fixture
def signs_folder(tmp_path, write_image) -> Path:
    """CS230 layout: six classes, 5 train, 2 val and 2 test images of each."""
    root = tmp_path / "SIGNS"
    for split, count in (("train", 5), ("val", 2), ("test", 2)):
        for label in range(6):
            for i in range(count):
                write_image(root / f"{split}_signs" / f"{label}_IMG_{split}{i}.jpg")
    return root


@pytest.fixture
def class_folder(tmp_path, write_image) -> Path:
    """Class folders with a train split only: two classes of 10 images."""
    root = tmp_path / "pets"
    for label in ("cat", "dog"):
        for i in range(10):
            write_image(root / "train" / label / f"{i}.png")
    return root
