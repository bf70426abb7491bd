"""Test images with near-duplicates in the training data are left out of a second score."""

import dataclasses
from types import SimpleNamespace

import numpy as np

from handsigns.winner.test import _score_excluding_duplicates


def test_images_in_groups_of_train_and_val_are_excluded(make_split):
    def split(count, groups):
        return dataclasses.replace(make_split(count), groups=np.array(groups))

    data = SimpleNamespace(train=split(3, [0, 1, 1]), val=split(2, [3, 4]))
    test = split(5, [5, 1, 4, 8, 9])
    predicted = test.labels.copy()
    predicted[0] = -1  # has no near-duplicate
    predicted[1] = -1  # has some in train
    assert _score_excluding_duplicates(data, test, predicted) == (2, 3)
    only_leaks = split(2, [0, 3])
    assert _score_excluding_duplicates(data, only_leaks, np.zeros(2, np.int64)) == (0, 0)
