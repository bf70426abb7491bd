"""Folders of little pictures, in every layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("HANDSIGNS_CACHE", str(folder))
    return folder


@pytest.fixture
def picture() -> Callable[..., Path]:
    """Write a small picture of noise, every one of its own."""
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
def signs_folder(tmp_path, picture) -> Path:
    """The course's layout: six classes, 5 train, 2 val and 2 test pictures of each."""
    root = tmp_path / "SIGNS"
    for split, count in (("train", 5), ("val", 2), ("test", 2)):
        for label in range(6):
            for i in range(count):
                picture(root / f"{split}_signs" / f"{label}_IMG_{split}{i}.jpg")
    return root


@pytest.fixture
def class_folder(tmp_path, picture) -> Path:
    """Class folders with a train split only: 10 pictures of two classes."""
    root = tmp_path / "pets"
    for label in ("cat", "dog"):
        for i in range(10):
            picture(root / "train" / label / f"{i}.png")
    return root
