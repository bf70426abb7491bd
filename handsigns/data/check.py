"""Check of a data set, for what makes its results worth less."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from handsigns.data.check_findings import (
    CheckedImages,
    count_findings,
    file_findings,
    group_findings,
    leak_findings,
    quality_findings,
    size_findings,
)
from handsigns.data.dataset import DataSet, open_data
from handsigns.data.findings import DataCheck
from handsigns.data.images import read_header
from handsigns.data.layouts import list_images
from handsigns.data.near_duplicates import Indices, find_groups
from handsigns.data.parallel import ProgressCallback, no_progress, parallel_map
from handsigns.data.splits import SPLIT_NAMES, Split, SplitName
from handsigns.errors import DataError

_MAX_GROUPS = 60
"""Groups shown."""


def check_data(
    source: Path,
    *,
    size: int = 64,
    group_by: str | None = None,
    progress: ProgressCallback = no_progress,
) -> DataCheck:
    """Check a folder of images, whether or not a search could use it.

    Args:
        source: the folder.
        size, group_by, progress: see `open_data`.

    Raises:
        DataError: it is not a folder of images in a supported layout, or its groups cannot be read.
    """
    try:
        data = open_data(source, size=size, group_by=group_by, progress=progress)
    except DataError:
        options = {"skip_bad": True, "allow_incomplete": True}
        data = open_data(source, size=size, group_by=group_by, progress=progress, **options)
    return check_open_data(source, data, group_by)


def check_open_data(source: Path, data: DataSet, group_by: str | None = None) -> DataCheck:
    """Check a data set that is open; its test split is looked at, and influences nothing."""
    listing = list_images(source)
    splits: dict[SplitName, Split] = {
        "train": data.train,
        "val": data.val,
        "test": data.cached.open_split("test"),
    }
    images = CheckedImages(splits, data.info.classes)
    files = [image for members in listing.images.values() for image in members]
    headers = [h for h in parallel_map(lambda f: read_header(f.path), files) if h is not None]
    sizes, modes = (dict(Counter(h[k] for h in headers).most_common()) for k in (0, 1))
    # Images that the user groups are not near-duplicates for that.
    groups = _groups(images.groups if group_by is None else find_groups(images.pixels))
    groups.sort(key=lambda g: (-len({images.splits[i] for i in g}), -len(g), g[0]))
    findings = (
        *file_findings(listing, images),
        *count_findings(data.info.classes, data.info.counts),
        *leak_findings(splits, group_by),
        *group_findings(groups, images),
        *quality_findings(images),
        *size_findings(sizes, data.info.size),
    )
    return DataCheck(
        source=data.info.source,
        fingerprint=data.info.fingerprint,
        classes=data.info.classes,
        size=data.info.size,
        counts=data.info.counts,
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
