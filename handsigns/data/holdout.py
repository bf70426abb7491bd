"""Carving a missing split out of another: stratified, seeded, the same on every machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from handsigns.data.layouts import Picture
from handsigns.data.splits import SplitName
from handsigns.io.digest import digest

VAL_SHARE = 0.2
TEST_SHARE = 0.15
SPLIT_SEED = 230
"""Of carved splits: always the same, so that searches with other seeds share their test split."""

PicturesBySplit = dict[SplitName, list[Picture]]

_CARVED: tuple[tuple[SplitName, float], ...] = (("test", TEST_SHARE), ("val", VAL_SHARE))
"""Test first, so that it is the same whether or not there is a val folder."""


def carve_missing(
    pictures: Mapping[SplitName, list[Picture]], seed: int
) -> tuple[PicturesBySplit, list[str]]:
    """All three splits, and a note for the user on each that was carved out of train."""
    splits = dict(pictures)
    notes = []
    for split, share in _CARVED:
        if split not in splits:
            before = len(splits["train"])
            splits["train"], splits[split] = carve(splits["train"], share, seed, split)
            notes.append(
                f"no {split} folder: {len(splits[split])} of {before} training pictures, "
                f"stratified by class and drawn with seed {seed}, are the {split} split"
            )
    return splits, notes


def carve(
    pictures: list[Picture], share: float, seed: int, purpose: str
) -> tuple[list[Picture], list[Picture]]:
    """Divide pictures into those that stay and a share of each class that is carved out.

    Which ones depends on their names and the seed alone, not on the order of the list. Of two or
    more pictures of a class at least one is carved out and one stays.
    """
    by_class: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        by_class[picture.label].append(picture)
    carved: set[str] = set()
    for members in by_class.values():
        drawn = sorted(members, key=lambda p: _lot(p.name, seed, purpose))
        count = min(max(1, round(share * len(members))), len(members) - 1)
        carved |= {p.name for p in drawn[:count]}
    stay = [p for p in pictures if p.name not in carved]
    return stay, [p for p in pictures if p.name in carved]


def _lot(name: str, seed: int, purpose: str) -> str:
    return digest(f"{purpose}/{seed}/{name}")
