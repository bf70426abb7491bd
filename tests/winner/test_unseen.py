"""Test pictures that were learnt from are told apart by their pixels."""

from types import SimpleNamespace

import numpy as np

from handsigns.data.folds import together
from handsigns.winner.test import _unseen


def test_pictures_of_train_and_val_do_not_count(make_split):
    train, val, fresh = make_split(6, seed=1), make_split(3, seed=2), make_split(4, seed=3)
    test = together(fresh, val, train)
    data = SimpleNamespace(train=train, val=val)
    predicted = test.labels.copy()
    predicted[0] = -1  # a fresh one
    predicted[5] = -1  # one that was learnt from
    assert _unseen(data, test, predicted) == (3, 4)
    assert _unseen(data, together(train), np.zeros(6, np.int64)) == (0, 0)
