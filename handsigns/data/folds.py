"""Stratified k-fold splits of the training and validation images, with groups kept together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.data.splits import Split

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


_COPIED_AT_ONCE = 256
"""Images per step of a copy, which bounds its memory."""


def concat_splits(*splits: Split) -> Split:
    """Concatenate splits, copying their images."""
    import numpy as np

    return select_images(splits, np.ones(sum(map(len, splits)), np.bool_))


def _concat_groups(splits: Sequence[Split]) -> npt.NDArray[np.int64] | None:
    import numpy as np

    groups = [split.groups for split in splits if split.groups is not None]
    return np.concatenate(groups) if len(groups) == len(splits) else None


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
        held_out = self.is_held_out(*splits)
        return select_images(splits, ~held_out), select_images(splits, held_out)

    def is_held_out(self, *splits: Split) -> npt.NDArray[np.bool_]:
        """Return which images (N,) of the splits together are in this fold."""
        _, numbers = self._assign(splits)
        held_out: npt.NDArray[np.bool_] = numbers == self.index
        return held_out

    def deviation(self, *splits: Split) -> int:
        """Return by how many images of a class the folds differ at most; 1 without groups."""
        import numpy as np

        labels, numbers = self._assign(splits)
        counts = (np.bincount(numbers[labels == k], minlength=self.count) for k in set(labels))
        return max(int(np.ptp(count)) for count in counts)

    def _assign(
        self, splits: Sequence[Split]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the labels and the folds (N,) of all images."""
        import numpy as np

        labels = np.concatenate([split.labels for split in splits])
        return labels, assign_folds(labels, self.count, self.seed, _concat_groups(splits))


def training_splits(fold: Fold | None, train: Split, val: Split) -> tuple[Split, Split]:
    """Return the training and the validation images of a trial."""
    return (train, val) if fold is None else fold.hold_out(train, val)


def assign_folds(
    labels: npt.NDArray[np.int64],
    folds: int,
    seed: int,
    groups: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64]:
    """Assign each image a fold (N,), and all images of a group the same.

    Class counts differ by at most one between folds, as far as the groups (N,) allow.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    numbers = np.full(len(labels), -1, np.int64)
    counts = np.zeros((folds, labels.max(initial=0) + 1), np.int64)
    if groups is not None:
        _assign_groups(numbers, counts, labels, groups, seed)
    assigned = 0
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = generator.permutation(members[numbers[members] < 0])
        # Continuing after the last class's fold keeps the folds equally large.
        order = np.roll(np.arange(folds), -(assigned % folds))
        for member in members:
            fold = order[counts[order, label].argmin()]
            numbers[member] = fold
            counts[fold, label] += 1
        assigned += len(members)
    return numbers


def _assign_groups(
    numbers: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    seed: int,
) -> None:
    """Assign the groups of two or more images to folds, largest first, in place.

    Each goes where most of its classes are missing, or else where they have the fewest images, in
    proportion to the class.
    """
    import numpy as np

    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shuffled = np.random.default_rng([seed, 1]).permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    order = order[sizes[order] > 1]
    totals = np.maximum(np.bincount(labels, minlength=counts.shape[1]), 1)
    by_group = np.split(np.argsort(inverse, kind="stable"), np.cumsum(sizes)[:-1])
    for group in order:
        members = by_group[group]
        inside = np.bincount(labels[members], minlength=counts.shape[1])
        load = (counts * (inside / totals**2)).sum(1)
        num_missing = ((counts == 0) & (inside > 0)).sum(1)
        fold = np.lexsort((counts.sum(1), load, -num_missing))[0]
        numbers[members] = fold
        counts[fold] += inside


def select_images(splits: Sequence[Split], chosen: npt.NDArray[np.bool_]) -> Split:
    """Return copies of the chosen images (mask of shape (N,)) of all splits."""
    import numpy as np

    from handsigns.data.buffers import allocate_images

    images = allocate_images(int(chosen.sum()), splits[0].images.shape[1])
    rows, start = 0, 0
    for split in splits:
        for block in range(0, len(split), _COPIED_AT_ONCE):
            part = split.images[block : block + _COPIED_AT_ONCE]
            mask = chosen[start : start + len(part)]
            start += len(part)
            images[rows : rows + mask.sum()] = part[mask]
            rows += mask.sum()
    groups = _concat_groups(splits)
    return Split(
        images,
        np.concatenate([split.labels for split in splits])[chosen],
        tuple(itertools.compress((name for split in splits for name in split.names), chosen)),
        None if groups is None else groups[chosen],
    )
