"""The types every data format yields: packed uint8 images, labels, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SplitName = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """The pictures of one split, decoded and packed.

    Attributes:
        images: uint8 (N, H, W, 3), RGB; memory-mapped read-only where it comes from the cache.
        labels: int64 (N,), indices into the data set's `classes`.
        names: N names to show a user, relative to the source (``test_signs/0_IMG_5865.jpg``).
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.labels) == len(self.names):
            raise ValueError(
                f"{len(self.images)} images, {len(self.labels)} labels and "
                f"{len(self.names)} names: a split needs one of each for every picture"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Split:
        """Its first pictures, as many as there are, sharing their memory."""
        return Split(self.images[:count], self.labels[:count], self.names[:count])


@dataclass(frozen=True)
class DataInfo:
    """What is known of a data set without opening any picture; stored with every result.

    Attributes:
        source: the folder as given (absolute), or ``"drawn hands"``.
        fingerprint: hex digest of class names, image size, and every picture's split, label and
            decoded pixels (not its file name or place); equal content has an equal fingerprint.
        classes: class names, in the order of the labels.
        size: height and width of the packed images in pixels.
        counts: pictures for each class, in the order of `classes`, by split.
        notes: what the user should know (carved splits, duplicates across splits, skipped files).
    """

    source: str
    fingerprint: str
    classes: tuple[str, ...]
    size: int
    counts: Mapping[SplitName, tuple[int, ...]]
    notes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> DataInfo:
        """Of what `dataclasses.asdict` made of one, read back from JSON.

        Raises:
            KeyError, TypeError: something is missing or of the wrong kind.
        """
        counts = {split: tuple(numbers) for split, numbers in fields["counts"].items()}
        listed = {name: tuple(fields[name]) for name in ("classes", "notes")}
        return cls(**{**fields, **listed, "counts": counts})
