import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.data.folds import Fold, fold_numbers, together


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.integers(2, 6), st.integers(0, 9))
def test_folds_are_even_in_size_and_in_every_class(labels, folds, seed):
    labels = np.array(labels)
    numbers = fold_numbers(labels, folds, seed)
    assert set(numbers) <= set(range(folds))
    for chosen in (labels >= 0, *(labels == label for label in set(labels.tolist()))):
        counts = np.bincount(numbers[chosen], minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_each_picture_is_held_out_once(make_split):
    splits = (make_split(30, seed=1), make_split(12, seed=2))
    split = together(*splits)
    seen = []
    for fold in range(4):
        train, val = Fold(fold, 4, seed=3).hold_out(*splits)
        assert len(train) + len(val) == 42
        for index, label in enumerate(val.labels):
            (place,) = np.flatnonzero((split.images == val.images[index]).all((1, 2, 3)))
            assert split.labels[place] == label
            seen.append(int(place))
    assert sorted(seen) == list(range(42))


@pytest.mark.parametrize(("seed", "same"), [(3, True), (4, False)])
def test_the_cut_follows_from_its_seed(make_split, seed, same):
    labels = make_split(60).labels
    assert (fold_numbers(labels, 5, 3) == fold_numbers(labels, 5, seed)).all() == same
