import dataclasses

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


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=2, max_size=80),
    st.integers(2, 5),
    st.integers(0, 9),
)
def test_groups_are_never_separated_by_folds(images, folds, seed):
    labels, groups = (np.array(column) for column in zip(*images, strict=True))
    numbers = assign_folds(labels, folds, seed, groups)
    for group in set(groups.tolist()):
        assert len(set(numbers[groups == group].tolist())) == 1


def test_each_fold_has_each_class_if_groups_allow():
    counts = ((1, 3), (3, 0), (1, 1), (1, 2))
    labels = np.concatenate([np.repeat([0, 1], group) for group in counts])
    groups = np.repeat(np.arange(4), [sum(group) for group in counts])
    numbers = assign_folds(labels, 3, 360, groups)
    assert all(set(labels[numbers == fold].tolist()) == {0, 1} for fold in range(3))


def test_single_groups_leave_the_folds_unchanged(make_split):
    labels = make_split(60).labels
    assert (assign_folds(labels, 5, 3) == assign_folds(labels, 5, 3, np.arange(60))).all()


def test_folds_stay_stratified_as_far_as_groups_allow(make_split):
    split = make_split(300)
    assert Fold(0, 5, seed=1).deviation(split) == 0
    assert Fold(0, 7, seed=1).deviation(split) == 1
    fours = dataclasses.replace(split, groups=split.labels * 100 + np.arange(300) // 12)
    assert Fold(0, 7, seed=1).deviation(fours) <= 4
    people = np.arange(300) // 30  # each has images of every class
    assert Fold(0, 5, seed=1).deviation(dataclasses.replace(split, groups=people)) == 0


def test_held_out_images_keep_their_groups(make_split):
    groups = np.repeat(np.arange(10), 3)
    split = dataclasses.replace(make_split(30), groups=groups)
    train, val = Fold(0, 3, seed=1).hold_out(split)
    assert not set(train.groups.tolist()) & set(val.groups.tolist())
    assert len(train) + len(val) == 30
