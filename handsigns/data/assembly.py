"""Assembly of a data set from decoded images: splits, groups, metadata and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from handsigns.data.buffers import allocate_images
from handsigns.data.cache import BuiltDataSet, Splits, fingerprint
from handsigns.data.group_names import GroupNames, unnamed_note
from handsigns.data.holdout import SPLIT_SEED, ImagesBySplit, loosen, split_off_missing
from handsigns.data.images import ImageInfo, Pixels
from handsigns.data.inspection import inspect
from handsigns.data.listing import BadFile, ImageFile, ImageListing
from handsigns.data.near_duplicates import find_groups
from handsigns.data.splits import SPLIT_NAMES, DataInfo, Split, SplitName
from handsigns.data.validate import (
    check_complete,
    find_leaks,
    ignored_notes,
    leak_notes,
    remark_notes,
    skipped_notes,
)


def assemble(
    source: str,
    listing: ImageListing,
    pixels: Mapping[str, Pixels],
    infos: Mapping[str, ImageInfo],
    bad: Sequence[BadFile],
    size: int,
    named: GroupNames,
    allow_incomplete: bool,
) -> BuiltDataSet:
    """Assemble a data set from decoded images: split off what is missing, group and check it.

    Args:
        source: absolute path of the folder.
        listing: its files.
        pixels, infos: decoded images, and what their files say, by name.
        bad: unusable files.
        size: height and width of the images in pixels.
        named: see `group_names`.
        allow_incomplete: allow splits without images of some class.

    Raises:
        DataError: a split has no images of some class.
    """
    usable = {
        split: [image for image in members if image.name in pixels]
        for split, members in listing.images.items()
    }
    if not allow_incomplete:
        check_complete(source, usable, listing.classes)
    groups = _groups(usable, pixels, named)
    loose, notes = (groups, []) if named else loosen(usable, groups)
    images, split_notes = split_off_missing(usable, SPLIT_SEED, loose)
    if not allow_incomplete:
        check_complete(source, images, listing.classes, provided=usable)
    splits = {
        name: _pack_split(images[name], listing.classes, pixels, groups, size)
        for name in SPLIT_NAMES
    }
    leaks = find_leaks(splits)
    notes += [
        *split_notes,
        *skipped_notes(bad),
        *ignored_notes(listing.ignored),
        *remark_notes({name: info.remarks for name, info in infos.items()}),
        *unnamed_note(named, listing),
        *leak_notes(leaks, splits, named=bool(named)),
    ]
    info = make_info(source, listing.classes, size, splits, notes, named)
    check = inspect(listing, bad, infos.values(), info, splits, leaks, named=bool(named))
    return BuiltDataSet(info, splits, check)


def _groups(
    images: ImagesBySplit, pixels: Mapping[str, Pixels], named: GroupNames
) -> dict[str, int]:
    """Return the group of each image by its name: near-duplicates, and those named alike."""
    seen = [image.name for split in ("train", "val") for image in images.get(split, ())]
    names = [*seen, *(image.name for image in images.get("test", ()))]
    keys = [named.get(name) for name in names]
    groups = find_groups([pixels[name] for name in names], keys, len(seen))
    return dict(zip(names, groups.tolist(), strict=True))


def _pack_split(
    members: Sequence[ImageFile],
    classes: tuple[str, ...],
    pixels: Mapping[str, Pixels],
    groups: Mapping[str, int],
    size: int,
) -> Split:
    packed = allocate_images(len(members), size)
    for image, member in zip(packed, members, strict=True):
        image[:] = pixels[member.name]
    return Split(
        packed,
        np.array([classes.index(image.label) for image in members], np.int64),
        tuple(image.name for image in members),
        np.array([groups[image.name] for image in members], np.int64),
    )


def make_info(
    source: str,
    classes: tuple[str, ...],
    size: int,
    splits: Splits,
    notes: Sequence[str] = (),
    named: GroupNames | None = None,
) -> DataInfo:
    """Return the metadata of a data set."""
    counts = images_per_class(splits, len(classes))
    digest_of_all = fingerprint(splits, classes, size, named)
    groups = groups_per_class(splits, len(classes))
    return DataInfo(source, digest_of_all, classes, size, counts, tuple(notes), groups)


def images_per_class(splits: Splits, num_classes: int) -> dict[SplitName, tuple[int, ...]]:
    """Return the number of images per class of each split; see `DataInfo.counts`."""
    return {
        name: tuple(np.bincount(split.labels, minlength=num_classes).tolist())
        for name, split in splits.items()
    }


def groups_per_class(splits: Splits, num_classes: int) -> tuple[int, ...]:
    """Return the number of groups of train and val images per class; see `DataInfo.groups`."""
    members = [splits["train"], splits["val"]]
    pairs = {
        pair
        for split in members
        if split.groups is not None
        for pair in zip(split.labels.tolist(), split.groups.tolist(), strict=True)
    }
    if not pairs or len(pairs) == sum(map(len, members)):
        return ()
    return tuple(np.bincount([label for label, _ in pairs], minlength=num_classes).tolist())
