"""Test images that are also in the training data are detected by their pixels."""

from types import SimpleNamespace

import numpy as np

from handsigns.data.folds import concat_splits
from handsigns.winner.test import _score_excluding_duplicates


def test_images_of_train_and_val_are_excluded(make_split):
    train, val, fresh = make_split(6, seed=1), make_split(3, seed=2), make_split(4, seed=3)
    test = concat_splits(fresh, val, train)
    data = SimpleNamespace(train=train, val=val)
    predicted = test.labels.copy()
    predicted[0] = -1  # not a duplicate
    predicted[5] = -1  # a duplicate of one in val
    assert _score_excluding_duplicates(data, test, predicted) == (3, 4)
    assert _score_excluding_duplicates(data, concat_splits(train), np.zeros(6, np.int64)) == (0, 0)
