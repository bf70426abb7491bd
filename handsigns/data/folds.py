"""Cutting training and validation pictures anew, into folds of which each is held out once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.data.splits import Split

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def together(*splits: Split) -> Split:
    """The pictures of all, in that order; a copy."""
    import numpy as np

    return Split(
        images=np.concatenate([split.images for split in splits]),
        labels=np.concatenate([split.labels for split in splits]),
        names=tuple(name for split in splits for name in split.names),
    )


@dataclass(frozen=True)
class Fold:
    """Which images of training and validation split together are held out.

    Attributes:
        index: of the fold that is held out, in [0, count).
        count: number of folds, at least 2.
        seed: of the cut; folds of the same seed share no image.
    """

    index: int
    count: int
    seed: int

    def hold_out(self, *splits: Split) -> tuple[Split, Split]:
        """Return the images of all folds but this one, and of this one; stratified by class."""
        import numpy as np

        labels = np.concatenate([split.labels for split in splits])
        out = fold_numbers(labels, self.count, self.seed) == self.index
        return _chosen(splits, ~out), _chosen(splits, out)


def training_splits(fold: Fold | None, train: Split, val: Split) -> tuple[Split, Split]:
    """Return what a trial trains on, and what it is validated on."""
    return (train, val) if fold is None else fold.hold_out(train, val)


def fold_numbers(labels: npt.NDArray[np.int64], folds: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold (N,) of each picture; the folds' counts of a class differ by one at most."""
    import numpy as np

    generator = np.random.default_rng(seed)
    numbers = np.empty(len(labels), np.int64)
    given = 0
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        # Going on where the last class ended keeps the folds equally large.
        numbers[members] = (given + np.arange(len(members))) % folds
        given += len(members)
    return numbers


def _chosen(splits: Sequence[Split], chosen: npt.NDArray[np.bool_]) -> Split:
    """Those of all pictures that are chosen (N,)."""
    parts, begin = [], 0
    for split in splits:
        mask = chosen[begin : begin + len(split)]
        names = tuple(itertools.compress(split.names, mask))
        parts.append(Split(split.images[mask], split.labels[mask], names))
        begin += len(split)
    return together(*parts)
