"""Types of a loaded data set: uint8 image arrays, labels and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SplitName = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "val", "test")
MIN_SIZE, MAX_SIZE = 16, 1024
"""Limits on the height and width of the images of a search in pixels."""


@dataclass(frozen=True)
class Split:
    """Decoded images of one split.

    Attributes:
        images: uint8 (N, H, W, 3), RGB; memory-mapped read-only if it comes from the cache.
        labels: int64 (N,), indices into the data set's `classes`.
        names: N names to show a user, relative to the source (``test_signs/0_IMG_5865.jpg``).
        groups: int64 (N,), of all splits together: images of one group, such as near-duplicates,
            are kept together; None: each image is a group by itself.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]
    groups: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.labels) == len(self.names):
            raise ValueError(
                f"{len(self.images)} images, {len(self.labels)} labels and "
                f"{len(self.names)} names: a split needs one of each per image"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def head(self, count: int) -> Split:
        """Return at most the first `count` images, sharing their memory."""
        groups = None if self.groups is None else self.groups[:count]
        return Split(self.images[:count], self.labels[:count], self.names[:count], groups)


@dataclass(frozen=True)
class DataInfo:
    """Metadata of a data set, stored with every result.

    Attributes:
        source: absolute path of the folder, or ``"synthetic hands"``.
        fingerprint: hex digest of class names, image size, and every image's split, label, named
            group and decoded pixels (not its path); equal content has an equal fingerprint.
        classes: class names, in the order of the labels.
        size: height and width of the decoded images in pixels.
        counts: images per class, in the order of `classes`, by split.
        notes: notes for the user (splits split off, duplicates across splits, skipped files).
        groups: number of groups of train and val images per class, in the order of `classes`;
            empty if each image is a group by itself.
    """

    source: str
    fingerprint: str
    classes: tuple[str, ...]
    size: int
    counts: Mapping[SplitName, tuple[int, ...]]
    notes: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> DataInfo:
        """Build an instance from the JSON form of its `dataclasses.asdict`.

        Raises:
            KeyError, TypeError: a field is missing or has the wrong type.
        """
        counts = {split: tuple(numbers) for split, numbers in fields["counts"].items()}
        listed = {name: tuple(fields[name]) for name in ("classes", "notes", "groups")}
        return cls(**{**fields, **listed, "counts": counts})
