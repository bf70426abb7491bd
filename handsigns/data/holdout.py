"""Hold-out splits: stratified, seeded, the same on every machine, with groups kept together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from handsigns.console.format import pluralize
from handsigns.console.sanitize import printable
from handsigns.data.listing import ImageFile
from handsigns.data.splits import SplitName
from handsigns.io.digest import digest

VAL_FRACTION = 0.2
TEST_FRACTION = 0.15
SPLIT_SEED = 230
"""Fixed seed of the splits, so that searches with other seeds share their test split."""

ImagesBySplit = dict[SplitName, list[ImageFile]]
Groups = Mapping[str, int]
"""Group of each image by its name; an image that is missing is a group by itself."""

_SPLIT_OFF: tuple[tuple[SplitName, float], ...] = (("test", TEST_FRACTION), ("val", VAL_FRACTION))
"""Fractions of train; test first, so that it is the same whether or not there is a val folder."""
_MAX_NAMED = 3


def split_off_missing(
    images: Mapping[SplitName, list[ImageFile]], seed: int, groups: Groups
) -> tuple[ImagesBySplit, list[str]]:
    """Return all three splits, and notes on each that was split off from train."""
    splits = dict(images)
    notes = []
    for split, share in _SPLIT_OFF:
        if split not in splits:
            pool = splits["train"]
            # Test is split off first, and leaves groups of each class for val.
            others = int(split == "test" and "val" not in splits)
            splits["train"], splits[split] = split_off(
                pool, share, seed, split, groups, others=others
            )
            together = ", groups kept together" if _num_groups(pool, groups) < len(pool) else ""
            notes.append(
                f"no {split} folder: {len(splits[split])} of {len(pool)} training images split off "
                f"as {split} (stratified by class, seed {seed}{together})"
            )
            notes += _deviation_notes(pool, splits[split], share, split)
    return splits, notes


def loosen(images: Mapping[SplitName, list[ImageFile]], groups: Groups) -> tuple[Groups, list[str]]:
    """Return the groups without those that would leave a class out of a split; and a note on each.

    Args:
        images: images by split; a split that is missing is split off from train.
        groups: their near-duplicates.
    """
    needed = 1 + sum(split not in images for split, _ in _SPLIT_OFF)
    by_class: dict[str, list[ImageFile]] = defaultdict(list)
    for image in images["train"]:
        by_class[image.label].append(image)
    loose: set[int] = set()
    notes = []
    for label, members in by_class.items():
        count = _num_groups(members, groups)
        if count < min(needed, len(members)):
            loose |= {groups[image.name] for image in members if image.name in groups}
            notes.append(
                f"the {len(members)} training images of class {printable(label)} are "
                f"{pluralize(count, 'group')} of near-duplicates, too few to keep them together"
            )
    return {name: group for name, group in groups.items() if group not in loose}, notes


def split_off(
    images: list[ImageFile], share: float, seed: int, purpose: str, groups: Groups, others: int = 0
) -> tuple[list[ImageFile], list[ImageFile]]:
    """Split off a fraction of each class; return the remaining images and those split off.

    The selection depends on names, groups and seed alone, not on the order of the list. Of a class
    with two or more groups at least one is split off and one remains, if the other classes' images
    in them allow, or as many more as `others`, the number of splits yet to be split off from them.
    Without groups the fraction of each class is exact, up to rounding.
    """
    counts = Counter(image.label for image in images)
    targets = {label: _target(share, count) for label, count in counts.items()}
    members = _members(images, groups)
    order = sorted(
        members.values(), key=lambda group: _sort_key(min(p.name for p in group), seed, purpose)
    )
    chosen: Counter[str] = Counter()
    names: set[str] = set()
    available: Counter[str] = Counter()
    for group in members.values():
        available.update({image.label for image in group})
    # Groups of each class that can be taken.
    for label, count in available.items():
        available[label] = count - min(1 + others, max(1, count - 1))

    def take(group: Sequence[ImageFile]) -> None:
        chosen.update(image.label for image in group)
        names.update(image.name for image in group)
        available.subtract({image.label for image in group})

    def is_available(group: Sequence[ImageFile]) -> bool:
        return all(available[image.label] > 0 for image in group)

    for group in order:
        inside = Counter(image.label for image in group)
        if is_available(group) and _improves(inside, chosen, targets):
            take(group)
    for label in sorted(counts):
        # A class whose groups are all larger than its share.
        fitting = [g for g in order if is_available(g) and any(p.label == label for p in g)]
        if targets[label] and not chosen[label] and fitting:
            take(min(fitting, key=len))
    remaining = [p for p in images if p.name not in names]
    return remaining, [p for p in images if p.name in names]


def _target(share: float, count: int) -> int:
    """Return the number of a class's images to split off."""
    return min(max(1, round(share * count)), count - 1)


def _members(images: Iterable[ImageFile], groups: Groups) -> dict[int | str, list[ImageFile]]:
    members: dict[int | str, list[ImageFile]] = defaultdict(list)
    for image in images:
        members[groups.get(image.name, image.name)].append(image)
    return members


def _num_groups(images: Iterable[ImageFile], groups: Groups) -> int:
    return len(_members(images, groups))


def _improves(inside: Counter[str], chosen: Counter[str], targets: Mapping[str, int]) -> bool:
    """Return whether a group brings the class counts nearer to their targets, in proportion."""
    change = 0.0
    for label, count in inside.items():
        left = targets[label] - chosen[label]
        change += (abs(left - count) - abs(left)) / max(targets[label], 1)
    return change < 0


def _deviation_notes(
    pool: Sequence[ImageFile], split: Sequence[ImageFile], share: float, name: str
) -> list[str]:
    """Return a note on the classes of which groups prevented the exact fraction."""
    counts = Counter(image.label for image in pool)
    found = Counter(image.label for image in split)
    off = [k for k in sorted(counts) if found[k] != _target(share, counts[k])]
    if not off:
        return []
    off.sort(key=lambda k: -abs(found[k] - _target(share, counts[k])))
    named = ", ".join(
        f"{printable(k)} {found[k]} instead of {_target(share, counts[k])}"
        for k in off[:_MAX_NAMED]
    )
    more = f" and {len(off) - _MAX_NAMED} more" if len(off) > _MAX_NAMED else ""
    return [f"{name} deviates from stratification to keep groups together: {named}{more}"]


def _sort_key(name: str, seed: int, purpose: str) -> str:
    return digest(f"{purpose}/{seed}/{name}")
