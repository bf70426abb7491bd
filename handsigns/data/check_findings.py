"""Findings of a check, each with what was found and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from handsigns.console.format import pluralize
from handsigns.console.sanitize import printable
from handsigns.data.findings import DuplicateGroup, Finding, FindingKind, ImageRef
from handsigns.data.image_quality import find_defects
from handsigns.data.images import Pixels
from handsigns.data.imbalance import rare_classes
from handsigns.data.listing import BadFile, ImageListing
from handsigns.data.near_duplicates import image_digests
from handsigns.data.splits import SPLIT_NAMES, Split, SplitName
from handsigns.data.thumbnails import encode_thumbnail
from handsigns.data.validate import SPLIT_OFF_ADVICE, Leak, describe_leak

_FEW_IMAGES = 20
"""Training images below which a class is too small to learn, or to judge."""
_MAX_EXAMPLES = 20
_MAX_PER_GROUP = 12
_MAX_IMAGES = 24
"""Images shown per finding."""
_IGNORED_ADVICE = {
    "signs": "move images that belong to the data into the folders of the splits",
    "classes": "move images that belong to the data into the class folders",
    "table": "give images that belong to the data a row in labels.csv",
}
_DEFECTS: dict[FindingKind, tuple[str, str]] = {
    "uniform": ("of one colour", "remove them: nothing can be seen"),
    "dark": ("very dark", "remove them, or take them again with more light"),
    "bright": ("overexposed", "remove them, or take them again with less light"),
    "blurred": ("much less sharp than the others", "look at them; remove those that show nothing"),
}


class CheckedImages:
    """All images of a data set, numbered: train, then val, then test."""

    def __init__(self, splits: Mapping[SplitName, Split], classes: Sequence[str]) -> None:
        parts = [splits[name] for name in SPLIT_NAMES]
        self.pixels: list[Pixels] = [image for part in parts for image in part.images]
        self.names = [name for part in parts for name in part.names]
        self.labels = [classes[label] for part in parts for label in part.labels]
        self.splits = [name for name in SPLIT_NAMES for _ in splits[name].names]
        groups = [part.groups for part in parts if part.groups is not None]
        self.groups = np.concatenate(groups) if groups else np.arange(len(self.names))
        self.digests = image_digests(self.pixels)

    def ref(self, index: int) -> ImageRef:
        """Return an image; with its thumbnail, unless `test` alone may show it."""
        split = self.splits[index]
        thumbnail = "" if split == "test" else encode_thumbnail(self.pixels[index])
        return ImageRef(split, printable(self.names[index]), self.labels[index], thumbnail)

    def refs(self, indices: Sequence[int]) -> tuple[ImageRef, ...]:
        """Return the first images of these."""
        return tuple(self.ref(index) for index in indices[:_MAX_IMAGES])

    def group(self, members: Sequence[int]) -> DuplicateGroup:
        """Return a group: of a large one, images of every split."""
        identical = len({self.digests[i] for i in members}) == 1
        first_of_split = {self.splits[i]: i for i in reversed(members)}.values()
        shown = [*sorted(first_of_split), *(i for i in members if i not in first_of_split)]
        shown = sorted(shown[:_MAX_PER_GROUP])
        return DuplicateGroup(len(members), identical, tuple(self.ref(i) for i in shown))


def file_findings(listing: ImageListing, bad: Sequence[BadFile]) -> Iterator[Finding]:
    """Yield findings on files that are not part of the data."""
    remedies = {b.remedy for b in bad if b.remedy}
    if bad:
        yield Finding(
            "unusable_files",
            len(bad),
            f"{pluralize(len(bad), 'file')} cannot be used",
            "; ".join(["fix or remove them, or skip them (--skip-bad)", *sorted(remedies)]),
            tuple(printable(f"{b.name}: {b.reason}") for b in bad[:_MAX_EXAMPLES]),
        )
    if listing.ignored:
        yield Finding(
            "ignored_images",
            len(listing.ignored),
            f"{pluralize(len(listing.ignored), 'file or folder', 'files or folders')} not part "
            f"of the layout",
            _IGNORED_ADVICE[listing.layout],
            tuple(map(printable, listing.ignored[:_MAX_EXAMPLES])),
        )


def class_findings(classes: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding on names of classes that are probably spellings of one."""
    spellings: dict[str, list[str]] = {}
    for label in classes:
        spellings.setdefault(label.casefold(), []).append(label)
    repeated = [printable(" and ".join(same)) for same in spellings.values() if len(same) > 1]
    if repeated:
        yield Finding(
            "class_spellings",
            len(repeated),
            f"classes {repeated[0]} differ only in case",
            "move the images into one folder if they are one class",
            tuple(repeated[:_MAX_EXAMPLES]),
        )


def count_findings(
    classes: Sequence[str], counts: Mapping[SplitName, Sequence[int]]
) -> Iterator[Finding]:
    """Yield findings on the number of images of the classes."""
    missing = [
        f"{split}: {label}"
        for split in SPLIT_NAMES
        for label, count in zip(classes, counts[split], strict=True)
        if count == 0
    ]
    if missing:
        yield Finding(
            "missing_class",
            len(missing),
            f"{pluralize(len(missing), 'class', 'classes')} without an image in a split",
            f"add images, or {SPLIT_OFF_ADVICE}",
            tuple(missing[:_MAX_EXAMPLES]),
        )
    train = dict(zip(classes, counts["train"], strict=True))
    few = [f"{label}: {count}" for label, count in train.items() if 0 < count < _FEW_IMAGES]
    if few:
        yield Finding(
            "few_images",
            len(few),
            f"{pluralize(len(few), 'class', 'classes')} with fewer than {_FEW_IMAGES} training "
            f"images",
            "add images of them; scores of so few vary by chance",
            tuple(few[:_MAX_EXAMPLES]),
        )
    rare = [classes[k] for k in rare_classes(counts["train"])]
    if rare:
        largest, smallest = max(train, key=train.__getitem__), min(rare, key=train.__getitem__)
        yield Finding(
            "imbalance",
            len(rare),
            f"class {smallest} has {pluralize(train[smallest], 'training image')}, {largest} "
            f"{train[largest]}",
            "add images of the rare classes; accuracy hardly shows how they are recognised, "
            "balanced accuracy and the recall of each class do",
            tuple(f"{k}: {train[k]}" for k in rare[:_MAX_EXAMPLES]),
        )


def leak_findings(
    leaks: Iterable[Leak], splits: Mapping[SplitName, Split], *, named: bool
) -> Iterator[Finding]:
    """Yield a finding for each leak."""
    for leak in leaks:
        yield Finding(
            "across_splits",
            len(leak.images),
            f"{describe_leak(leak, splits[leak.split], named=named)}, "
            f"{leak.num_identical} identical",
            f"{leak.split} scores are optimistic: {SPLIT_OFF_ADVICE}, which keeps groups "
            f"together, or move each group into one split",
            tuple(
                printable(splits[leak.split].names[index]) for index in leak.images[:_MAX_EXAMPLES]
            ),
        )


def group_findings(groups: Sequence[Sequence[int]], images: CheckedImages) -> Iterator[Finding]:
    """Yield findings on groups of near-duplicates; see `CheckedImages.groups`."""

    def distinct(values: Sequence[str], group: Sequence[int]) -> int:
        return len({values[i] for i in group})

    conflicting = [group for group in groups if distinct(images.labels, group) > 1]
    if conflicting:
        yield Finding(
            "conflicting_labels",
            len(conflicting),
            f"{pluralize(len(conflicting), 'group')} of near-duplicates with different labels",
            "look at them: all but one of the labels are wrong",
            images=images.refs([i for group in conflicting for i in group]),
        )
    within = [group for group in groups if distinct(images.splits, group) == 1]
    surplus = sum(len(group) - 1 for group in within)
    if surplus:
        yield Finding(
            "within_split",
            surplus,
            f"{pluralize(surplus, 'image')} {'repeats' if surplus == 1 else 'repeat'} another of "
            f"the same split, in {pluralize(len(within), 'group')}",
            "they count as more than they are worth; splits that are split off, and folds, keep "
            "them together",
        )


def quality_findings(images: CheckedImages) -> Iterator[Finding]:
    """Yield findings on images in which little can be seen."""
    defects = find_defects(images.pixels)
    for kind, (what, advice) in _DEFECTS.items():
        found = np.flatnonzero(defects[kind]).tolist()
        if found:
            yield Finding(
                kind,
                len(found),
                f"{pluralize(len(found), 'image')} {what}",
                advice,
                tuple(printable(images.names[i]) for i in found[:_MAX_EXAMPLES]),
                images.refs(found),
            )


def size_findings(sizes: Mapping[str, int], size: int) -> Iterator[Finding]:
    """Yield a finding on files that are smaller than the decoded images, by number per size."""
    small = {s: n for s, n in sizes.items() if min(map(int, s.split("x"))) < size}
    if small:
        count = sum(small.values())
        yield Finding(
            "enlarged",
            count,
            f"{pluralize(count, 'image')} smaller than the {size} pixels they are enlarged to",
            f"a smaller size is faster and loses nothing if most are (--size "
            f"{max(16, min(min(map(int, s.split('x'))) for s in small))})",
            tuple(f"{s}: {n}" for s, n in list(small.items())[:_MAX_EXAMPLES]),
        )
