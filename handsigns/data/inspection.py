"""Inspection of a data set while it is built, the one time that all its images are at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from handsigns.data.check_findings import (
    CheckedImages,
    class_findings,
    count_findings,
    file_findings,
    group_findings,
    leak_findings,
    quality_findings,
    size_findings,
)
from handsigns.data.findings import DataCheck
from handsigns.data.images import ImageInfo
from handsigns.data.listing import BadFile, ImageListing
from handsigns.data.near_duplicates import Indices, find_groups
from handsigns.data.splits import SPLIT_NAMES, DataInfo, Split, SplitName
from handsigns.data.validate import Leak

_MAX_GROUPS = 60
"""Groups shown."""


def inspect(
    listing: ImageListing,
    bad: Sequence[BadFile],
    infos: Collection[ImageInfo],
    info: DataInfo,
    splits: Mapping[SplitName, Split],
    leaks: Iterable[Leak],
    *,
    named: bool,
) -> DataCheck:
    """Check all images of a data set.

    Args:
        listing, bad: its files, and those of them that cannot be used.
        infos: what the others say of themselves.
        info, splits, leaks: the data set.
        named: whether the user named groups, which are then not near-duplicates for that alone.
    """
    images = CheckedImages(splits, info.classes)
    sizes = dict(Counter(file.size for file in infos).most_common())
    modes = dict(Counter(file.mode for file in infos).most_common())
    groups = _groups(find_groups(images.pixels) if named else images.groups)
    groups.sort(key=lambda g: (-len({images.splits[i] for i in g}), -len(g), g[0]))
    findings = (
        *file_findings(listing, bad),
        *class_findings(info.classes),
        *count_findings(info.classes, info.counts),
        *leak_findings(leaks, splits, named=named),
        *group_findings(groups, images),
        *quality_findings(images),
        *size_findings(sizes, info.size),
    )
    return DataCheck(
        source=info.source,
        fingerprint=info.fingerprint,
        classes=info.classes,
        size=info.size,
        counts=info.counts,
        held_out=tuple(name for name in SPLIT_NAMES if name not in listing.images),
        file_sizes=sizes,
        file_modes=modes,
        findings=findings,
        num_groups=len(groups),
        groups=tuple(images.group(members) for members in groups[:_MAX_GROUPS]),
    )


def _groups(labels: Indices) -> list[list[int]]:
    """Return the groups of two or more images, given the group of each image (N,)."""
    members: dict[int, list[int]] = {}
    for index, group in enumerate(labels.tolist()):
        members.setdefault(group, []).append(index)
    return [group for group in members.values() if len(group) > 1]
