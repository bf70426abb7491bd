"""Cutting training and validation pictures anew, into folds of which each is held out once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handsigns.data.splits import Split

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def together(first: Split, second: Split) -> Split:
    """The pictures of both, in that order; a copy."""
    import numpy as np

    return Split(
        images=np.concatenate([first.images, second.images]),
        labels=np.concatenate([first.labels, second.labels]),
        names=(*first.names, *second.names),
    )


def hold_out(split: Split, fold: int, folds: int, seed: int) -> tuple[Split, Split]:
    """All folds but one, and that one; stratified by class.

    Args:
        split: the pictures.
        fold: which is held out, in [0, folds).
        folds: into how many they are cut, at least 2.
        seed: of the cut; folds of the same seed share no picture.
    """
    import numpy as np

    out = fold_numbers(split.labels, folds, seed) == fold
    return _part(split, np.flatnonzero(~out)), _part(split, np.flatnonzero(out))


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


def _part(split: Split, chosen: npt.NDArray[np.int64]) -> Split:
    names = tuple(split.names[index] for index in chosen)
    return Split(split.images[chosen], split.labels[chosen], names)
