"""Findings of a check of a data set: what is wrong with its images, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from handsigns.data.splits import SplitName

FindingKind = Literal[
    "unusable_files", "ignored_images", "class_spellings", "missing_class", "few_images",
    "imbalance", "across_splits", "within_split", "conflicting_labels",
    "uniform", "dark", "bright", "blurred", "enlarged", "suspect_labels",
]  # fmt: skip


@dataclass(frozen=True)
class ImageRef:
    """Image of a data set.

    Attributes:
        split, name, label: its split, its name relative to the source, and its class.
        thumbnail: JPEG in Base64; empty for a test image, which is not looked at before `test`.
    """

    split: SplitName
    name: str
    label: str
    thumbnail: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that the user should know, or change.

    Attributes:
        kind: what it is about.
        count: number of images, files or classes concerned.
        message: what was found, as a phrase.
        advice: what to do.
        examples: names of files, with reasons where there are some.
        images: some of the images, where they can be shown.
    """

    kind: FindingKind
    count: int
    message: str
    advice: str
    examples: tuple[str, ...] = ()
    images: tuple[ImageRef, ...] = ()


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that are near-duplicates of each other.

    Attributes:
        size: number of images.
        identical: whether the pixels of all are equal.
        images: its images, or the first of them.
    """

    size: int
    identical: bool
    images: tuple[ImageRef, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits of its images."""
        return tuple(dict.fromkeys(image.split for image in self.images))

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes of its images."""
        return tuple(dict.fromkeys(image.label for image in self.images))


@dataclass(frozen=True)
class DataCheck:
    """Outcome of a check of a data set.

    Attributes:
        source: absolute path of the folder.
        fingerprint: see `DataInfo`.
        classes: class names.
        size: height and width in pixels of the decoded images, which were compared.
        counts: images per class, in the order of `classes`, by split.
        held_out: splits that are missing in the folder, and were split off from train.
        file_sizes: number of files by width and height, such as ``3024x4032``, most first.
        file_modes: number of files by Pillow's mode, such as ``RGB``, most first.
        findings: most severe first.
        num_groups: number of groups of two or more images.
        groups: some of these groups, those across splits first, then the largest.
    """

    source: str
    fingerprint: str
    classes: tuple[str, ...]
    size: int
    counts: Mapping[SplitName, tuple[int, ...]]
    held_out: tuple[SplitName, ...]
    file_sizes: Mapping[str, int]
    file_modes: Mapping[str, int]
    findings: tuple[Finding, ...]
    num_groups: int
    groups: tuple[DuplicateGroup, ...]

    @property
    def num_images(self) -> int:
        """Number of usable images."""
        return sum(map(sum, self.counts.values()))
