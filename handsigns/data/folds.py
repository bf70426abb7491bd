"""Stratified k-fold splits of the training and validation images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.data.splits import Split

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def concat_splits(*splits: Split) -> Split:
    """Concatenate splits, copying their images."""
    import numpy as np

    return Split(
        images=np.concatenate([split.images for split in splits]),
        labels=np.concatenate([split.labels for split in splits]),
        names=tuple(name for split in splits for name in split.names),
    )


@dataclass(frozen=True)
class Fold:
    """One fold of the training and validation images, which is held out.

    Attributes:
        index: index of the fold, in [0, count).
        count: number of folds, at least 2.
        seed: seed of the assignment; folds of one seed are disjoint.
    """

    index: int
    count: int
    seed: int

    def hold_out(self, *splits: Split) -> tuple[Split, Split]:
        """Return the images of all other folds and those of this fold, stratified by class."""
        import numpy as np

        labels = np.concatenate([split.labels for split in splits])
        held_out = assign_folds(labels, self.count, self.seed) == self.index
        return _subset(splits, ~held_out), _subset(splits, held_out)


def training_splits(
    fold: Fold | None, train: Split, val: Split | None
) -> tuple[Split, Split | None]:
    """Return the training and the validation images of a trial; None without validation."""
    if fold is None or val is None:
        return train, val
    return fold.hold_out(train, val)


def assign_folds(labels: npt.NDArray[np.int64], folds: int, seed: int) -> npt.NDArray[np.int64]:
    """Assign each image a fold (N,), with class counts that differ by at most one between folds."""
    import numpy as np

    generator = np.random.default_rng(seed)
    numbers = np.empty(len(labels), np.int64)
    assigned = 0
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        # Continuing after the last class's fold keeps the folds equally large.
        numbers[members] = (assigned + np.arange(len(members))) % folds
        assigned += len(members)
    return numbers


def _subset(splits: Sequence[Split], chosen: npt.NDArray[np.bool_]) -> Split:
    """Return the chosen images (mask of shape (N,)) of all splits."""
    parts, start = [], 0
    for split in splits:
        mask = chosen[start : start + len(split)]
        names = tuple(itertools.compress(split.names, mask))
        parts.append(Split(split.images[mask], split.labels[mask], names))
        start += len(split)
    return concat_splits(*parts)
