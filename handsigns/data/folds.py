"""Cutting training and validation pictures anew, into folds of which each is held out once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
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


def hold_out(splits: Sequence[Split], fold: int, folds: int, seed: int) -> tuple[Split, Split]:
    """All folds but one, and that one; stratified by class.

    Args:
        splits: the pictures, of all of which the folds are made.
        fold: which is held out, in [0, folds).
        folds: into how many they are cut, at least 2.
        seed: of the cut; folds of the same seed share no picture.
    """
    import numpy as np

    out = fold_numbers(np.concatenate([split.labels for split in splits]), folds, seed) == fold
    return _chosen(splits, ~out), _chosen(splits, out)


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
