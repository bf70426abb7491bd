"""Hold-out splits: stratified, seeded, the same on every machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from handsigns.data.listing import ImageFile
from handsigns.data.splits import SplitName
from handsigns.io.digest import digest

VAL_FRACTION = 0.2
TEST_FRACTION = 0.15
SPLIT_SEED = 230
"""Fixed seed of the splits, so that searches with other seeds share their test split."""

ImagesBySplit = dict[SplitName, list[ImageFile]]

_SPLIT_OFF: tuple[tuple[SplitName, float], ...] = (("test", TEST_FRACTION), ("val", VAL_FRACTION))
"""Fractions of train; test first, so that it is the same whether or not there is a val folder."""


def split_off_missing(
    images: Mapping[SplitName, list[ImageFile]], seed: int
) -> tuple[ImagesBySplit, list[str]]:
    """Return all three splits, and a note on each that was split off from train."""
    splits = dict(images)
    notes = []
    for split, share in _SPLIT_OFF:
        if split not in splits:
            before = len(splits["train"])
            splits["train"], splits[split] = split_off(splits["train"], share, seed, split)
            notes.append(
                f"no {split} folder: {len(splits[split])} of {before} training images split off "
                f"as {split} (stratified by class, seed {seed})"
            )
    return splits, notes


def split_off(
    images: list[ImageFile], share: float, seed: int, purpose: str
) -> tuple[list[ImageFile], list[ImageFile]]:
    """Split off a fraction of each class; return the remaining images and those split off.

    The selection depends on names and seed alone, not on the order of the list. Of a class with two
    or more images at least one is split off and one remains.
    """
    by_class: dict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        by_class[image.label].append(image)
    split_off_names: set[str] = set()
    for members in by_class.values():
        shuffled = sorted(members, key=lambda p: _sort_key(p.name, seed, purpose))
        count = min(max(1, round(share * len(members))), len(members) - 1)
        split_off_names |= {p.name for p in shuffled[:count]}
    remaining = [p for p in images if p.name not in split_off_names]
    return remaining, [p for p in images if p.name in split_off_names]


def _sort_key(name: str, seed: int, purpose: str) -> str:
    return digest(f"{purpose}/{seed}/{name}")
