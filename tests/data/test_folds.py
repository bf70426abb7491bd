import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.data.folds import Fold, assign_folds, concat_splits


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.integers(2, 6), st.integers(0, 9))
def test_folds_are_balanced_in_size_and_class_counts(labels, folds, seed):
    labels = np.array(labels)
    fold_indices = assign_folds(labels, folds, seed)
    assert set(fold_indices) <= set(range(folds))
    for mask in (labels >= 0, *(labels == label for label in set(labels.tolist()))):
        counts = np.bincount(fold_indices[mask], minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_each_image_is_held_out_once(make_split):
    splits = (make_split(30, seed=1), make_split(12, seed=2))
    split = concat_splits(*splits)
    seen = []
    for fold in range(4):
        train, val = Fold(fold, 4, seed=3).hold_out(*splits)
        assert len(train) + len(val) == 42
        for index, label in enumerate(val.labels):
            (position,) = np.flatnonzero((split.images == val.images[index]).all((1, 2, 3)))
            assert split.labels[position] == label
            seen.append(int(position))
    assert sorted(seen) == list(range(42))


@pytest.mark.parametrize(("seed", "same"), [(3, True), (4, False)])
def test_fold_assignment_depends_on_the_seed(make_split, seed, same):
    labels = make_split(60).labels
    assert (assign_folds(labels, 5, 3) == assign_folds(labels, 5, seed)).all() == same
